"""Data sets of the user's own: tables of files, texts and labels."""
