"""Everything that a training needs before its first step, checked before a file is written."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.pipeline import poisson
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Category, MultiLabel, Text
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.devices import cpu, parallel
from mmjax.errors import UserError
from mmjax.evaluation.evaluator import Evaluator
from mmjax.heads import Decoder, TokenWords
from mmjax.models.train_state import TrainState
from mmjax.objectives.distillation import Taught
from mmjax.runs import budget, checkpoint_reader, folder
from mmjax.train.loop.stream import BatchStream
from mmjax.train.loop.teacher import Teacher
from mmjax.train.loop.trainer import Trainer


class Ready(NamedTuple):
    """Data, compiled step and fresh state of a training."""

    preprocessing: Preprocessing
    stream: BatchStream
    trainer: Trainer
    fresh: TrainState
    weights: dict[str, str]  # {module: the file or run that it starts from}
    budget: dict[str, Any] | None  # of private training
    unread: tuple[str, ...]  # modalities that the data have, and neither model nor teacher reads


def bound(experiments: Sequence[Experiment]) -> list[Experiment]:
    """The experiments, equal but for the seed, with data that are complete for their model."""
    first = experiments[0]
    targets = {
        one.target
        for one in first.objectives.values()
        if one.target is not None and not isinstance(one, Taught)
    }
    modalities = dict.fromkeys(first.model.modalities)
    if first.teacher is not None:
        modalities |= dict.fromkeys(folder.require(Path(first.teacher)).model.modalities)
    data = first.data.bound(tuple(modalities), sorted(targets))
    return [dataclasses.replace(experiment, data=data) for experiment in experiments]


def prepare(experiment: Experiment, run: Path, mesh: Mesh | None = None) -> Ready:
    """Prepare a training in the folder `run`; `mesh`: by default the devices that `compute` names.

    Raises:
        UserError: the configuration cannot be trained, or data or weights are missing.
    """
    compute = experiment.compute
    if mesh is None:
        cpu.request_host_devices(experiment.batch_size // compute.accumulate, compute.devices)
        mesh = parallel.choose(
            experiment.batch_size, compute.devices, parts=compute.accumulate, fsdp=compute.fsdp
        )
    experiment.data.prepare()
    # A model may read some of the modalities that the data have.
    fitted = folder.preprocessing(run, experiment) or experiment.data.preprocessing()
    preprocessing = fitted.using(experiment.model.modalities)
    preprocessing = preprocessing.sharing(experiment.model.shared)
    teacher = None
    if experiment.teacher is not None:
        taught = [o.target or "" for o in experiment.objectives.values() if isinstance(o, Taught)]
        teacher = Teacher(experiment.teacher, preprocessing, taught)
    require_agreement(experiment, preprocessing, () if teacher is None else teacher.names())
    stream = BatchStream(experiment, preprocessing, teacher)
    spent = _budget(experiment, run, stream.epoch, mesh)
    noise = None if spent is None else spent["noise"]
    trainer = Trainer(experiment, preprocessing, stream.first(), mesh, noise)
    # A run that is resumed does not need the files of weights.
    fresh, files = trainer.begin(experiment.seed, weights=not checkpoint_reader.steps(run))
    metric = experiment.keeping.best_metric
    if metric != "loss":
        evaluator = Evaluator(experiment, preprocessing, parallel.local(mesh), folder.CHUNK)
        if metric not in (known := evaluator.names(fresh.variables, "validation")):
            raise UserError(f"--best-metric {metric}: choose from {', '.join(known)}")
    unread = tuple(sorted(set(fitted.transforms) - set(stream.modalities)))
    return Ready(preprocessing, stream, trainer, fresh, files, spent, unread)


def _budget(experiment: Experiment, run: Path, examples: int, mesh: Mesh) -> dict[str, Any] | None:
    """The budget of private training; UserError for what it was not made for."""
    private = experiment.private
    if not private.on:
        return None
    name = type(experiment.data).__name__
    for flag, wrong, why in (
        ("--data", experiment.data.shares_rows, f"{name} has one row in several examples"),
        ("--changed-data", experiment.keeping.changed_data, "the budget is that of one data set"),
        ("--processes", parallel.share()[1] > 1, "private training takes one process"),
        ("--devices", poisson.PARTS % mesh.size != 0, "private training takes 1, 2, 4 or 8"),
    ):
        if wrong:
            raise UserError(f"{flag}: not in private training: {why}")
    return budget.planned(
        run,
        private,
        examples=examples,
        batch_size=experiment.batch_size,
        steps=experiment.steps,
    )


def require_agreement(
    experiment: Experiment, preprocessing: Preprocessing, taught: Sequence[str] = ()
) -> None:
    """UserError, naming the flag, where a part of the model expects other values than the data has.

    Encoders treat unknown ids as missing, and cannot detect another sample rate: without this
    check training would be silently wrong. `taught`: targets that a teacher adds.
    """
    for name, encoder in experiment.model.encoders.items():
        transform = preprocessing.transforms.get(name)
        flag = f"--model.encoders.{name}"
        if isinstance(transform, TextTransform) and hasattr(encoder, "vocabulary_size"):
            rows, words = encoder.vocabulary_size, transform.vocabulary_size
            if rows < words:
                raise UserError(
                    f"{flag}.vocabulary-size {rows}: the texts' tokenizer has {words} words; "
                    f"allow as many, or choose a smaller --data.columns.{name}.vocabulary-size"
                )
        if isinstance(transform, TableTransform) and hasattr(encoder, "categories"):
            given, wanted = encoder.categories, transform.categories
            if (given or (0,) * len(wanted)) != wanted:
                raise UserError(
                    f"{flag}.categories {given}: the table's columns have {wanted} (0: a number)"
                )
        rate = getattr(encoder, "sample_rate", None)
        if isinstance(transform, AudioTransform) and rate not in (None, transform.sample_rate):
            raise UserError(
                f"{flag}.sample-rate {rate}: the recordings come at {transform.sample_rate} Hz"
            )
    for name, objective in experiment.objectives.items():
        if objective.target is None or objective.target in taught:
            continue
        if objective.target not in preprocessing.targets:
            known = ", ".join([*sorted(preprocessing.targets), *taught])
            teach = ""
            if isinstance(objective, Taught) and not taught:
                teach = ", or give the run that makes it with --teacher"
            raise UserError(
                f"objectives.{name}: the data has no target {objective.target!r}; choose "
                f"--objectives.{name}.target from {known}{teach}"
            )
        kind = preprocessing.targets[objective.target]
        head = experiment.model.heads_by_output.get(objective.output)
        if isinstance(kind, Text) and isinstance(head, (Decoder, TokenWords)):
            _require_words(f"--model.heads.{objective.output}", head, kind)
        for field, wanted in (("classes", Category), ("labels", MultiLabel)):
            got = getattr(head, field, None)
            if isinstance(kind, wanted) and got is not None and got != len(kind.names):
                raise UserError(
                    f"--model.heads.{objective.output}.{field} {got}: target "
                    f"{objective.target!r} has {len(kind.names)}: {', '.join(kind.names[:10])}"
                )


def _require_words(flag: str, head: Decoder | TokenWords, kind: Text) -> None:
    """UserError where a head does not know the words of its target."""
    if head.vocabulary_size < kind.vocabulary_size:
        raise UserError(
            f"{flag}.vocabulary-size {head.vocabulary_size}: the target's tokenizer has "
            f"{kind.vocabulary_size} words; allow as many"
        )
    if isinstance(head, TokenWords):
        if kind.end != 0:
            raise UserError(
                f"{flag}: token_words takes word 0 as the blank, and the target's tokenizer ends "
                f"texts with word {kind.end}; train one on its texts instead"
            )
        return
    for field in ("end", "unknown"):
        if getattr(head, field) != getattr(kind, field):
            raise UserError(
                f"{flag}.{field} {getattr(head, field)}: the number of this word in the target's "
                f"tokenizer is {getattr(kind, field)}"
            )
