"""The command line: one file a command, and experiment files as scripts.

Heavy imports stand in the functions that need them: `mmjax --help` answers at once.
"""
