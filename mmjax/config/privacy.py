"""Hides the user's home folder and the machine's name in the files of a run."""

import os
import re
import socket
from pathlib import Path


def hide_home(text: str) -> str:
    """The text with every path in the home folder written as ~: `--workdir=~/run`."""
    home = re.escape(os.path.expanduser("~").rstrip("/"))
    return re.sub(rf"(?<![\w/]){home}(?=/|$)", "~", text) if home else text


def encode_path(text: str) -> str:
    """`hide_home` for a text that may be a path; `decode_path` inverts it exactly."""
    candidates = (hide_home(text), text, f"\\{text}")  # the last for one that begins with ~/
    return next(hidden for hidden in candidates if decode_path(hidden) == text)


def decode_path(text: str) -> str:
    """The text that `encode_path` was given, for the home folder of this user."""
    return os.path.expanduser(text) if text.startswith("~/") else text.removeprefix("\\")


def hide_host(folder: Path) -> None:
    """Rename the files in a folder whose names contain the machine's name between dots."""
    host = re.compile(rf"(?<![^.]){re.escape(socket.gethostname())}(?![^.])")
    for path in folder.glob("*"):
        if host.search(path.name):
            path.rename(folder / host.sub("host", path.name))
