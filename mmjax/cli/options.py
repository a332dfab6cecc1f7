"""What commands share: arguments, the user's own files, setup and end of the process."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import tyro

from mmjax.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from mmjax.config import Experiment

Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="the folder of a run")]
Own = Annotated[
    tuple[Path, ...],
    tyro.conf.arg(
        name="with",
        help="your Python files that register classes of the run (mmjax.register); they are "
        "executed",
    ),
]


# Flags of several values.
SEVERAL = ("--input", "--templates", "--with", "--columns", "--target", "--by", "--answers")


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of a flag that is repeated behind its first occurrence.

    Without this the parser would keep only the last of them. After -- nothing is changed.

    Raises:
        UserError: a flag of one value is given twice.
    """
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    part: list[str] = []
    parts = {"": part}  # by flag; first the arguments before any
    for word in own:
        if not word.startswith("--"):
            part.append(word)
            continue
        flag = word.partition("=")[0].replace("_", "-")
        if flag in parts and (flag not in SEVERAL or "=" in word):
            raise UserError(f"{flag}: given twice")
        part = parts[flag] if flag in parts else parts.setdefault(flag, [word])
    return [*(word for part in parts.values() for word in part), *arguments[len(own) :]]


def load_own(files: Sequence[Path]) -> None:
    """Execute files that register classes."""
    for file in files:
        load_file(file)


def load_file(path: Path) -> ModuleType:
    """Execute a Python file as an import would; returns the module.

    Raises:
        UserError: there is no such file, or it is not valid Python.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: expected a Python file, got no file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: expected the name of a Python file, ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as for a script: it may import its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def experiment_of(path: Path) -> "Experiment":
    """The variable `experiment` of a file, or its only Experiment."""
    from mmjax.config import Experiment

    names = vars(load_file(path)).items()
    experiments = {name: value for name, value in names if isinstance(value, Experiment)}
    if "experiment" in experiments:
        return experiments["experiment"]
    if len(experiments) != 1:
        raise UserError(
            f"{path}: expected an mmjax.Experiment called `experiment`, got "
            f"{', '.join(sorted(experiments)) or 'none'}"
        )
    return next(iter(experiments.values()))


def require_folder(flag: str, file: Path | None) -> None:
    """UserError unless a file that is written at the end has a folder to be written to."""
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise UserError(f"{flag} {file}: expected a file in a folder that exists")


def prepare_process(own: Sequence[Path] = ()) -> None:
    """Set up JAX for a command (32 bits, compilation cache), and execute the user's own files."""
    import jax

    from mmjax.devices import compilation_cache

    jax.config.update("jax_enable_x64", False)  # runs use 32 bits, whatever JAX_ENABLE_X64 says
    compilation_cache.enable()
    load_own(own)


@contextlib.contextmanager
def errors_shown() -> Iterator[None]:
    """A context that ends the process with one line and exit code 1 after a UserError."""
    try:
        with quiet_pipe():
            yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """A context that ends the process quietly if its output is closed, as by `head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush the rest of the output again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE
