"""From a table to an experiment: parts by the kinds of its columns, the best of a few."""
