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


class Teacher:
    """Adds a run's outputs to training batches, as targets that `Taught` objectives read."""

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

    def names(self) -> tuple[str, ...]:
        """The targets that it adds."""
        return (EMBEDDING, *(f"{TEACHER}{name}" for name in self._model.outputs))

    def taught(
        self, batches: Generator[Batch, None, None], modalities: Collection[str]
    ) -> Generator[Batch, None, None]:
        """The batches with the teacher's targets, and with the inputs of `modalities` alone."""
        with contextlib.closing(batches):
            for batch in batches:
                seen = {name: batch.inputs[name] for name in self._modalities}
                made = jax.device_get(self._apply(self._variables, seen))
                everywhere = np.ones(len(batch.ids), bool)
                taught = {name: Masked(values, everywhere) for name, values in made.items()}
                inputs = {name: batch.inputs[name] for name in modalities}
                targets = {**batch.targets, **taught}
                yield dataclasses.replace(batch, inputs=inputs, targets=targets)

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
