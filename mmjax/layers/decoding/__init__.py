"""Generation of texts, word by word."""
