"""Processes of their own, for what must be measured from a start: with or without a cache."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def child(what: str, side: str, settings: dict | None = None, cache: str = "") -> dict[str, Any]:
    """What `child.py` prints, with `whole`, the seconds from the process's start to its end."""
    command = [sys.executable, str(HERE / "child.py"), what, side, json.dumps(settings or {})]
    seconds, printed = timed(command, cache)
    return json.loads(printed.splitlines()[-1]) | {"whole": seconds}


def timed(command: Sequence[str], cache: str = "") -> tuple[float, str]:
    """Seconds, and what it printed. `cache`: a folder for compiled programs.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    switch = {"XDG_CACHE_HOME": cache} if cache else {"MMJAX_COMPILATION_CACHE": "off"}
    unset = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    begin = time.perf_counter()
    done = subprocess.run(command, env=unset | switch, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-500:]}")
    return seconds, done.stdout
