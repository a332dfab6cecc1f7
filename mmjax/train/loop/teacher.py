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

    def __init__(self, run: str, student: Preprocessing) -> None:
        """UserError unless `run` is a run that reads its modalities as the student does."""
        restored = restore(Path(run))
        self._model, self._run = restored.model, run
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
        vectors = cast(
            dict[str, jax.Array],
            self._model.apply(variables, inputs, train=False, method="embed"),
        )
        arrays = {n: v for n, v in outputs.values.items() if isinstance(v, jax.Array)}
        joined = jnp.concatenate([vectors[name] for name in sorted(vectors)], axis=-1)
        return {EMBEDDING: joined} | {f"{TEACHER}{name}": v for name, v in arrays.items()}
