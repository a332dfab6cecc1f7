"""The command line in a process of its own, as a user has it."""

import subprocess
import sys
from typing import Any


def process(*arguments: Any, **options: Any) -> subprocess.CompletedProcess:
    """`mmjax` with these arguments."""
    command = [sys.executable, "-m", "mmjax", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False} | options
    return subprocess.run(command, **options)


def mmjax(*arguments: Any, code: int = 0, **options: Any) -> str:
    """What it prints: stdout, or stderr where it is to fail."""
    done = process(*arguments, **options)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr
