"""Everything that a training needs before its first step, checked before a file is written."""

from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import cpu, parallel
from mmjax.errors import UserError
from mmjax.evaluation.evaluator import Evaluator
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, folder
from mmjax.train.loop.compatibility import require_agreement
from mmjax.train.loop.stream import BatchStream
from mmjax.train.loop.trainer import Trainer


class Ready(NamedTuple):
    """Data, compiled step and fresh state of a training."""

    preprocessing: Preprocessing
    stream: BatchStream
    trainer: Trainer
    fresh: TrainState
    weights: dict[str, str]  # {modality: its file of published weights}


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
    preprocessing = folder.preprocessing(run, experiment) or experiment.data.preprocessing()
    require_agreement(experiment, preprocessing)
    stream = BatchStream(experiment, preprocessing)
    trainer = Trainer(experiment, preprocessing, stream.first(), mesh)
    # A run that is resumed does not need the files of weights.
    fresh, files = trainer.begin(experiment.seed, weights=not checkpoint_reader.steps(run))
    metric = experiment.keeping.best_metric
    if metric != "loss":
        evaluator = Evaluator(experiment, preprocessing, parallel.local(mesh), folder.CHUNK)
        if metric not in (known := evaluator.names(fresh.variables, "validation")):
            raise UserError(f"--best-metric {metric}: choose from {', '.join(known)}")
    return Ready(preprocessing, stream, trainer, fresh, files)
