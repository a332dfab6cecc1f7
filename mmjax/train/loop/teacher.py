"""The teacher of a distillation: a finished run, whose outputs are targets of the training."""

import contextlib
import dataclasses
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import UserError
from mmjax.objectives.distillation import EMBEDDING, TEACHER
from mmjax.runs.restore import restore
from mmjax.types import Batch, Masked, Outputs

MOST_STORED = 2**30  # bytes of outputs


class Teacher:
    """Adds a run's outputs to training batches, as targets that `Taught` objectives read.

    Where examples are the same in every epoch (`store`), the teacher computes in the first alone.
    """

    def __init__(self, run: str, student: Preprocessing, wanted: Collection[str]) -> None:
        """Restore the teacher.

        Args:
            run: the folder of its run
            student: how the student's modalities are read
            wanted: the targets to compute, of those in `names`

        Raises:
            UserError: not a run, or one that reads a modality in another way than the student.
        """
        restored = restore(Path(run))
        self._model, self._wanted = restored.model, wanted
        self._variables = jax.tree.map(jnp.asarray, restored.variables)
        own = restored.preprocessing.transforms
        for name in sorted(own.keys() & student.transforms.keys()):
            if own[name] != student.transforms[name]:
                raise UserError(
                    f"--teacher {run}: reads {name!r} in another way than this training would: "
                    f"{own[name]!r:.200} there; train both on the same data"
                )
        self.preprocessing = Preprocessing({**student.transforms, **own}, student.targets)
        """From raw examples to the inputs of teacher and student."""
        self._modalities = tuple(own)
        self._apply = jax.jit(self._outputs)
        self._stored: dict[str, np.ndarray] = {}
        self._known = np.zeros(0, bool)  # by example, whether its outputs are stored

    def names(self) -> tuple[str, ...]:
        """The targets that it adds."""
        return (EMBEDDING, *(f"{TEACHER}{name}" for name in self._model.outputs))

    def store(self, examples: int) -> None:
        """Ask once for each of so many examples, which are the same in every epoch."""
        self._known = np.zeros(examples, bool)

    def taught(
        self, batches: Generator[Batch, None, None], modalities: Collection[str]
    ) -> Generator[Batch, None, None]:
        """The batches with the teacher's targets, and with the inputs of `modalities` alone."""
        with contextlib.closing(batches):
            for batch in batches:
                made = self._targets(batch)
                everywhere = np.ones(len(batch.ids), bool)
                taught = {name: Masked(values, everywhere) for name, values in made.items()}
                inputs = {name: batch.inputs[name] for name in modalities}
                targets = {**batch.targets, **taught}
                yield dataclasses.replace(batch, inputs=inputs, targets=targets)

    def _targets(self, batch: Batch) -> dict[str, np.ndarray]:
        rows = np.asarray(batch.ids)
        if len(self._known) and self._known[rows].all():
            return {name: values[rows] for name, values in self._stored.items()}
        seen = {name: batch.inputs[name] for name in self._modalities}
        made: dict[str, np.ndarray] = jax.device_get(self._apply(self._variables, seen))
        size = sum(values[0].nbytes for values in made.values())
        if size * len(self._known) > MOST_STORED:
            self._known = np.zeros(0, bool)
        if len(self._known):
            for name, values in made.items():
                if name not in self._stored:
                    shape = (len(self._known), *values.shape[1:])
                    self._stored[name] = np.zeros(shape, values.dtype)
                self._stored[name][rows] = values
            self._known[rows] = True
        return made

    def _outputs(self, variables: Any, inputs: dict[str, Masked]) -> dict[str, jax.Array]:
        outputs = cast(Outputs, self._model.apply(variables, inputs, train=False))
        made = {
            f"{TEACHER}{name}": value
            for name, value in outputs.values.items()
            if isinstance(value, jax.Array)
        }
        if EMBEDDING in self._wanted:
            vectors = cast(
                dict[str, jax.Array],
                self._model.apply(variables, inputs, train=False, method="embed"),
            )
            made[EMBEDDING] = jnp.concatenate([vectors[name] for name in sorted(vectors)], axis=-1)
        return {name: value for name, value in made.items() if name in self._wanted}
