"""Reports: descriptions of models, and tables of finished runs."""
