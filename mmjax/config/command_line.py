"""An experiment on the command line: tyro shows its fields as flags and its parts as choices.

`x.py --optim.peak-lr 3e-4 model.fusion:mult --model.fusion.heads 8`: flags change fields;
`path:name` selects another registered class. Both may come in any order.

tyro can neither change the class of a dict's value nor read fields of type nn.Module. So it gets
views: dataclasses with the same fields, each with the type of its choices.
"""

import dataclasses
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union

import tyro

from mmjax.config import columns
from mmjax.config.arguments import arranged, changed
from mmjax.config.experiment import Experiment
from mmjax.config.processes import Processes
from mmjax.config.registry import fields, required, siblings, tag
from mmjax.config.settings import Compute, Keeping
from mmjax.config.span import Span
from mmjax.config.sweep import Axis, Point, combinations
from mmjax.data.datasets import TableData
from mmjax.data.tables.columns import Column
from mmjax.errors import UserError
from mmjax.models import Model
from mmjax.objectives import Objective


class Command(NamedTuple):
    """A parsed command line."""

    points: tuple[Point, ...]  # the experiment, or those of a sweep
    run: Path  # the run's folder
    processes: Processes
    profile: Span | None  # steps to trace
    seeds: int  # number of seeds
    encrypt: Path | None  # the file of the key under which the run's folder is kept

    @property
    def many(self) -> bool:
        """Whether it asks for several runs."""
        return self.seeds > 1 or len(self.points) > 1


def parse(
    experiment: Experiment, workdir: Path, arguments: Sequence[str], description: str
) -> Command:
    """Parse the command line of an experiment's script; `description` is its help text.

    A wrong flag or choice ends the process with exit code 2 and a message that names the choices.
    """
    try:
        experiment, arguments = columns.taken(experiment, arguments)
        parsed, chosen = _parsed(experiment, workdir, arguments, description)
        if parsed.seeds < 1:
            raise UserError(f"--seeds: expected at least 1, got {parsed.seeds}")
        points = [Point({}, chosen)]
        if parsed.sweep:
            points = []
            for values in combinations([Axis.parse(text) for text in parsed.sweep]):
                arguments_of_point = changed(experiment, arguments, values)
                points.append(Point(values, _parsed(experiment, workdir, arguments_of_point)[1]))
        span = None if parsed.profile is None else Span.parse(parsed.profile)
        command = Command(
            tuple(points), parsed.workdir, parsed.processes, span, parsed.seeds, parsed.encrypt
        )
        if command.many and span is not None:
            raise UserError("--profile: goes with one training, not with --seeds or --sweep")
        if command.encrypt is not None and command.processes.distributed:
            raise UserError("--encrypt: goes with one process")
        return command
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _parsed(
    experiment: Experiment, workdir: Path, arguments: Sequence[str], description: str = ""
) -> tuple[Any, Experiment]:
    """The values of all flags, and the experiment that they make."""
    about = "the run's folder; the same command goes on with what is in it"
    traced = "first:last, steps to trace into the folder profile/ of the run, such as 10:20"
    many = "trainings in one program, with the seeds from --seed on, each in a folder of its own"
    swept = (
        "fields and choices with values, such as optim.peak-lr=1e-4,3e-4 model.fusion=concat,mult: "
        "every combination is trained, each with --seeds seeds, in a folder of its own"
    )
    kept = (
        "file of a key of mmjax encrypt --new-key: before and after the training only WORKDIR.enc "
        "is there, encrypted; while it trains, WORKDIR is a plain folder"
    )
    kind, view = _view(experiment)
    whole = dataclasses.make_dataclass(
        "Run",
        [
            ("workdir", Annotated[Path, tyro.conf.arg(help=about)]),
            ("processes", Annotated[Processes, tyro.conf.arg(name="")]),
            ("profile", Annotated[str | None, tyro.conf.arg(help=traced)]),
            ("encrypt", Annotated[Path | None, tyro.conf.arg(help=kept)]),
            ("seeds", Annotated[int, tyro.conf.arg(help=many)]),
            ("sweep", Annotated[tuple[str, ...], tyro.conf.arg(help=swept)]),
        ],
        bases=(kind,),
        frozen=True,
        kw_only=True,
    )
    names = [f.name for f in fields(type(view))]
    values = {name: getattr(view, name) for name in names}
    values |= {"workdir": workdir, "processes": Processes(), "profile": None, "seeds": 1}
    values["encrypt"] = None
    parsed = tyro.cli(
        whole,
        args=arranged(experiment, arguments),
        default=whole(**values, sweep=()),
        description=description,
        config=(tyro.conf.CascadeSubcommandArgs,),
    )
    return parsed, Experiment(**{name: _real(getattr(parsed, name)) for name in names})


def _view(value: Any) -> tuple[Any, Any]:
    """The type that tyro gets for a value, and the value as an instance of it."""
    own = tag(type(value))
    # --data.columns says the kind of a column; another model has other outputs.
    if own is None or isinstance(value, Column | Model):
        return _opened(value)
    offered = {}
    for name, cls in siblings(type(value)).items():
        if isinstance(value, Objective) and value.reads_vectors != cls.reads_vectors:
            continue  # it reads the outputs of another model
        # Fields without defaults get the values of the present object, if it has them all.
        needed = [f.name for f in fields(cls) if required(f)]
        if cls is type(value):
            offered[name] = _opened(value)
        elif all(hasattr(value, field) for field in needed):
            offered[name] = _opened(cls(**{field: getattr(value, field) for field in needed}))
    kind, view = offered[own.split("/")[1]]
    if len(offered) == 1:
        return kind, view
    choices = tuple(
        Annotated[kind, tyro.conf.subcommand(name, default=default)]
        for name, (kind, default) in offered.items()
    )
    return Union[choices], view


def _opened(value: Any) -> tuple[Any, Any]:
    """A view of an object with registered parts; any other object as it is."""
    if isinstance(value, Mapping):
        hints, parts = {}, dict(value)
    elif dataclasses.is_dataclass(value):
        hints = typing.get_type_hints(type(value))
        parts = {f.name: getattr(value, f.name) for f in fields(type(value))}
    else:
        return type(value), value
    views = {name: _view(part) for name, part in parts.items() if _has_parts(part)}
    for name, part in parts.items():
        if isinstance(value, TableData) and name == "columns" and not part:
            views[name] = (tyro.conf.Suppress[tyro.conf.Fixed[dict]], part)
        if isinstance(part, Compute | Keeping):  # their flags need no prefix
            views[name] = (Annotated[type(part), tyro.conf.arg(name="")], part)
    if not views:
        return type(value), value
    # tyro finds the help of an Experiment's fields in the docstring of the base class.
    kind = dataclasses.make_dataclass(
        type(value).__name__,
        [(name, views[name][0] if name in views else hints[name]) for name in parts],
        bases=(Experiment,) if isinstance(value, Experiment) else (),
        namespace={
            "stands_for": type(value),
            "__doc__": type(value).__doc__,
            "__post_init__": lambda self: None,  # only the real object is checked
        },
        frozen=True,
        kw_only=True,
    )
    return kind, kind(**{name: views[name][1] if name in views else parts[name] for name in parts})


def _has_parts(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_parts, value.values()))
    return tag(type(value)) is not None


def _real(view: Any) -> Any:
    """The object that a view stands for."""
    kind = getattr(type(view), "stands_for", None)
    if kind is None:
        return view
    parts = {f.name: _real(getattr(view, f.name)) for f in fields(type(view))}
    return parts if kind is dict else kind(**parts)
