"""Dual encoder: every modality becomes a vector of one space, as in CLIP, arXiv:2103.00020."""

from collections.abc import Mapping
from typing import final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from mmjax.errors import UserError
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.models.base import Model
from mmjax.types import Masked, Outputs, Tokens

OUTPUT = "embedding"
LARGEST = 100.0  # scale of the cosines, as CLIP clips it


@final
class DualEncoder(Model, kw_only=True):
    """z_m = normalised(W_m mean of the tokens of modality m), one W for each encoder.

    The output `embedding` is {"vectors": {modality: [batch, dim]}, "scale": [], "bias": []}: unit
    vectors (zeros for a missing modality), and what objectives multiply cosines with and add.

    Attributes:
        dim: width of the common space
        hidden: widths of hidden ReLU layers before it
        scale: first value of the learned factor of cosines, at most 100; None: not learned, 1
        bias: first value of what is added to scaled cosines, as `PairwiseSigmoid` needs; None: 0
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    dim: int = 64
    hidden: tuple[int, ...] = ()
    scale: float | None = 14.3
    bias: float | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The one output."""
        return (OUTPUT,)

    @nn.compact
    def __call__(
        self,
        inputs: Mapping[str, Masked],
        train: bool,
        targets: Mapping[str, Masked] | None = None,
    ) -> Outputs:
        """The vectors of all modalities.

        Raises:
            UserError: the inputs' modalities are not the encoders', or a field is out of range.
        """
        self.check_fields()
        self.require_all(inputs)
        tokens, vectors = self._embedded(inputs, train)
        values = {"vectors": vectors, "scale": jnp.ones(()), "bias": jnp.zeros(())}
        if self.scale is not None:
            log = self.param("log_scale", nn.initializers.constant(jnp.log(self.scale)), ())
            values["scale"] = jnp.minimum(jnp.exp(log), LARGEST)
        if self.bias is not None:
            values["bias"] = self.param("bias", nn.initializers.constant(self.bias), ())
        present = {name: one.present() for name, one in tokens.items()}
        return Outputs(values={OUTPUT: values}, present=present)

    @nn.compact
    def embed(self, inputs: Mapping[str, Masked], train: bool) -> dict[str, Array]:
        """Unit vectors `[batch, dim]` of the modalities that `inputs` holds; zeros if missing."""
        return self._embedded(inputs, train)[1]

    def _embedded(
        self, inputs: Mapping[str, Masked], train: bool
    ) -> tuple[dict[str, Tokens], dict[str, Array]]:
        self.check_fields()
        require_at_least(self, 1, "dim")
        if self.scale is not None and not 0 < self.scale <= LARGEST:
            raise UserError(f"--model.scale: expected above 0 and at most 100, got {self.scale}")
        if self.unimodal != "none":
            raise UserError("--model.unimodal: a dual encoder has no heads: expected none")
        self.check_inputs(inputs)
        return self.computed(DualEncoder._vectors, inputs, train)

    def _vectors(
        self, inputs: Mapping[str, Masked], train: bool
    ) -> tuple[dict[str, Tokens], dict[str, Array]]:
        tokens, vectors, layers = self.encoded(inputs, train), {}, {}
        for name, one in tokens.items():
            own = self.encoder_of(name)
            if own not in layers:
                hidden = [
                    nn.Dense(width, name=f"hidden_{own}_{number}")
                    for number, width in enumerate(self.hidden)
                ]
                layers[own] = hidden, nn.Dense(self.dim, False, name=f"projection_{own}")
            hidden, projection = layers[own]
            x = masked_mean(one.values, one.mask)
            for layer in hidden:
                x = nn.relu(layer(x))
            vectors[name] = clear(_unit(projection(x)), one.present())
        return tokens, vectors


def _unit(x: Array) -> Array:
    """x / |x| in float32; the gradient at 0 is finite."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-12))
