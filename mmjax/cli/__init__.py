"""The command line: one file per command, and experiment files as scripts.

Commands import JAX inside their functions, so that `mmjax --help` is fast.
"""
