"""Multimodal model: encoders -> fusion -> heads."""

from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import PRNGKeyArray

from mmjax.heads import Decoder
from mmjax.imputation import Mask
from mmjax.layers.fields import require_share
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.models.base import Model
from mmjax.types import Masked, Outputs, Tokens


@final
class Multimodal(Model, kw_only=True):
    """outputs = {name: head(fusion(imputation({modality: encoder(input)})))}.

    Attributes:
        fusion: {modality: Tokens} -> Tokens
        heads: one for each output
        imputation: what stands in for a missing modality
        modality_dropout: chance of each modality to be hidden in training; of those that an example
            has, one drawn at random stays (ModDrop, Neverova et al. 2016, arXiv:1501.00102)
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    fusion: nn.Module
    heads: Mapping[str, nn.Module]
    imputation: nn.Module = Mask()
    modality_dropout: float = 0.0

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the heads."""
        return tuple(sorted(self.heads))

    @property
    def heads_by_output(self) -> Mapping[str, nn.Module]:
        """The heads."""
        return self.heads

    @nn.compact
    def __call__(
        self,
        inputs: Mapping[str, Masked],
        train: bool,
        targets: Mapping[str, Masked] | None = None,
    ) -> Outputs:
        """The outputs of every head; decoders read the `targets` that they learn to write.

        Raises:
            UserError: the inputs' modalities are not the encoders', or a field is out of range.
        """
        self.check_fields()
        require_share(self, "modality_dropout")
        self.require_all(inputs)
        self.check_inputs(inputs)
        if train and self.modality_dropout:
            inputs = drop_modalities(inputs, self.modality_dropout, self.make_rng("dropout"))
        return self.computed(Multimodal._outputs, inputs, train, targets or {})

    @nn.compact
    def embed(self, inputs: Mapping[str, Masked], train: bool) -> dict[str, Array]:
        """The mean token `[batch, dim]` of each modality that `inputs` holds; zeros if missing."""
        self.check_fields()
        self.check_inputs(inputs)
        tokens = self.computed(Multimodal.encoded, inputs, train)
        return {name: masked_mean(t.values, t.mask) for name, t in tokens.items()}

    def _outputs(
        self, inputs: Mapping[str, Masked], train: bool, targets: Mapping[str, Masked]
    ) -> Outputs:
        tokens = self.encoded(inputs, train)
        fused = self.fusion(self.imputation(tokens, train=train), train=train)
        return Outputs(
            values={
                name: _output(self.heads[name], fused, train, targets) for name in self.outputs
            },
            unimodal={} if self.unimodal == "none" else self._unimodal(tokens, train, targets),
            present={name: t.present() for name, t in sorted(tokens.items())},
        )

    def _unimodal(
        self, modalities: Mapping[str, Tokens], train: bool, targets: Mapping[str, Masked]
    ) -> dict[str, dict]:
        """The outputs of heads of the same kind that read one modality alone."""
        found = {name: {} for name in self.outputs}
        for modality, tokens in modalities.items():
            if self.unimodal == "probe":
                tokens = jax.lax.stop_gradient(tokens)
            for name in self.outputs:
                alone = self.heads[name].clone(
                    parent=self, name=f"{self.probe_prefix}{name}_{modality}"
                )
                found[name][modality] = _output(alone, tokens, train, targets, write=False)
        return found


def _output(
    head: nn.Module,
    tokens: Tokens,
    train: bool,
    targets: Mapping[str, Masked],
    write: bool = True,
) -> Any:
    if isinstance(head, Decoder):
        return head(tokens, train=train, target=targets.get(head.target), write=write)
    return head(tokens, train=train)


def drop_modalities(
    inputs: Mapping[str, Masked], rate: float, key: PRNGKeyArray
) -> dict[str, Masked]:
    """Hide each modality of each example with probability `rate`, but never all that it has."""
    names = sorted(inputs)
    masks = {name: jnp.asarray(inputs[name].mask) for name in names}
    present = jnp.stack(
        [jnp.any(masks[n].reshape(masks[n].shape[0], -1), axis=1) for n in names], axis=1
    )
    drawn = jnp.where(present, jax.random.uniform(key, present.shape), -jnp.ones(present.shape))
    # The highest draw among those present is as likely to be one modality's as another's.
    keep = (drawn >= rate) | (drawn == jnp.max(drawn, axis=1, keepdims=True))
    return {
        name: Masked(inputs[name].values, clear(masks[name], keep[:, place]))
        for place, name in enumerate(names)
    }
