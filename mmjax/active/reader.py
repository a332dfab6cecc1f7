"""What a classifier says of rows: probabilities, passes with dropout, and what it sees in them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from flax import linen as nn
from jaxtyping import Float

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Category
from mmjax.errors import UserError
from mmjax.evaluation.predictions import CHUNK, filled
from mmjax.heads import Logit
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import is_zero
from mmjax.models.base import Model
from mmjax.objectives import BinaryCrossEntropy, Objective, SoftmaxCrossEntropy
from mmjax.statistics.scaling import two_classes
from mmjax.types import Masked


class Seen(NamedTuple):
    """What a model says of some rows."""

    p: Float[np.ndarray, "row class"]
    vectors: Float[np.ndarray, "row dim"]  # what the last layer of the head reads
    passes: Float[np.ndarray, "pass row class"]


class Reader:
    """A restored model and one of its objectives that chooses a class, or says yes or no."""

    def __init__(
        self,
        model: Model,
        variables: Mapping[str, Any],
        preprocessing: Preprocessing,
        objectives: Mapping[str, Objective],
        name: str | None = None,
    ) -> None:
        """`name`: the objective; None: the only one that can be reviewed.

        Raises:
            UserError: there is no such objective, or several; names the choices.
        """
        kinds = preprocessing.targets
        able = {
            n: o
            for n, o in objectives.items()
            if isinstance(o, SoftmaxCrossEntropy)
            or (isinstance(o, BinaryCrossEntropy) and not _has_labels(model, o))
        }
        if name not in able and (name is not None or len(able) != 1):
            raise UserError(
                f"--objective {name or ''}: expected one that chooses a class or says yes or no; "
                f"choose from {', '.join(able) or 'none, which this run has'}"
            )
        self.name = name if name is not None else next(iter(able))
        self.objective = able[self.name]
        self.preprocessing = preprocessing
        self.target = self.objective.target or ""
        kind = kinds.get(self.target)
        self.names = list(kind.names) if isinstance(kind, Category) else ["no", "yes"]
        self.variables, self._head = variables, model.path_of_head(self.objective.output)
        self._model, self._drops = model, False
        self._apply = jax.jit(self._outputs, static_argnames="dropping")

    def __call__(self, rows: Sequence[Mapping[str, Any]], passes: int = 0) -> Seen:
        """What the model says of rows `{modality: value or None}`.

        Args:
            rows: of raw values
            passes: with dropout on, each with other units dropped

        Raises:
            UserError: passes are asked of a model without dropout.
        """
        found = []
        for first in range(0, len(rows), CHUNK):
            part = list(rows[first : first + CHUNK])
            names = self.preprocessing.transforms
            inputs = self.preprocessing({n: [row.get(n) for row in filled(part)] for n in names})
            p, vectors, drawn = self.of(inputs, passes, seed=first)
            found.append((p[: len(part)], vectors[: len(part)], drawn[:, : len(part)]))
        p, vectors = (np.concatenate([one[i] for one in found]) for i in (0, 1))
        return Seen(p, vectors, np.concatenate([one[2] for one in found], axis=1))

    def of(self, inputs: Mapping[str, Masked], passes: int = 0, seed: int = 0) -> Seen:
        """The same of one batch that is preprocessed; `seed`: of dropout."""
        with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
            key = jax.random.key(seed)
            logits, vectors = self._apply(self.variables, inputs, key, dropping=False)
            drawn = [
                self._apply(self.variables, inputs, jax.random.fold_in(key, i), dropping=True)[0]
                for i in range(passes)
            ]
        if passes and not self._drops:
            raise UserError(
                "bald: the model has no dropout; train it with some, such as --model.heads."
                f"{self.objective.output}.dropout 0.3, or choose another --strategy"
            )
        p = _probabilities(logits)
        several = np.stack([_probabilities(x) for x in drawn]) if drawn else np.zeros((0, *p.shape))
        return Seen(p, np.asarray(vectors), several)

    def _outputs(self, variables: Any, inputs: Any, key: Any, dropping: bool) -> Any:
        """Logits, and the input of the last linear layer of the head."""
        held: list[jax.Array] = []

        def look(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            module = context.module
            if isinstance(module, nn.Dense) and module.path[:1] == (self._head,):
                held.append(args[0])
            if dropping and isinstance(module, Dropout) and context.method_name == "__call__":
                self._drops |= not is_zero(module.rate)
                kwargs = {**kwargs, "train": True}
            return call(*args, **kwargs)

        with nn.intercept_methods(look):
            outputs: Any = self._model.apply(variables, inputs, train=False, rngs={"dropout": key})
        if not held:
            raise UserError(
                f"objectives.{self.name}: expected a head that ends in a linear layer (nn.Dense)"
            )
        vectors = held[-1].reshape(held[-1].shape[0], -1)
        return outputs.values[self.objective.output].astype(jnp.float32), vectors.astype("f4")


def _has_labels(model: Model, objective: Objective) -> bool:
    """Whether the objective's head gives several labels, each yes or no."""
    head = model.heads_by_output.get(objective.output)
    return isinstance(head, Logit) and head.labels is not None


def _probabilities(logits: jax.Array) -> Float[np.ndarray, "row class"]:
    """The probabilities of all classes; a single logit, of yes or no, gives two."""
    wide = np.asarray(logits, np.float64)
    return scipy.special.softmax(two_classes(wide) if wide.ndim == 1 else wide, axis=-1)
