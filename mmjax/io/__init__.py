"""Files: strict JSON with checksums, safe opening of foreign files, rows of tables."""
