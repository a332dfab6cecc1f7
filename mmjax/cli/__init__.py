"""The command line: one file a command, and experiment files as scripts."""
