"""Multimodal model: encoders -> fusion -> heads."""

import inspect
from collections.abc import Mapping
from typing import Literal, final, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import PRNGKeyArray

from mmjax.encoders import ENCODERS
from mmjax.imputation import Mask
from mmjax.layers.fields import is_zero, require_choice, require_share
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.precision import cast_floats
from mmjax.layers.tracing.rematerialisation import rematerialising
from mmjax.layers.tracing.vendor import vendor_kernels
from mmjax.types import Masked, Tokens

PRESENT = "present"  # no head may have this name


@final
class Multimodal(nn.Module):
    """outputs = {name: head(fusion(missing({modality: encoder(input)})))}.

    Attributes:
        encoders: one for each modality
        fusion: {modality: Tokens} -> Tokens
        heads: one for each output
        missing: what stands in for a missing modality
        modality_dropout: chance of each modality to be hidden in training; of those that an example
            has, one drawn at random stays (ModDrop, Neverova et al. 2016, arXiv:1501.00102)
        unimodal: heads for each modality alone: none, or to "probe" the encoders, which do not
            notice, or to "train" them
        frozen: modalities whose encoders stay as they are: run as in evaluation, without gradients
        precision: of the computation; parameters, statistics and losses are float32 in any case
        remat: forget what blocks (of transformers, of residual and convolutional networks) compute
            on their way, and compute it again for the gradient: less memory, a third more time
        kernels: XLA's, or on NVIDIA GPUs the vendor's, cuDNN's LSTM and (with bfloat16) attention,
            where it has one for these shapes. Not yet run on a GPU
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    encoders: Mapping[str, nn.Module]
    fusion: nn.Module
    heads: Mapping[str, nn.Module]
    missing: nn.Module = Mask()
    modality_dropout: float = 0.0
    unimodal: Literal["none", "probe", "train"] = "none"
    frozen: tuple[str, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    kernels: Literal["xla", "vendor"] = "xla"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Masked], *, train: bool) -> dict[str, Array]:
        """The outputs by their heads' names; of one modality alone as `<head>/<modality>`.

        With those comes `present/<modality>`, 1 or 0: a modality can tell nothing where it is not.
        A modality that is missing everywhere is an input whose mask is all False.

        Raises:
            ValueError: the inputs' modalities are not the encoders', or a field is out of range.
        """
        self._check(inputs)
        if train and not is_zero(self.modality_dropout):
            inputs = drop_modalities(inputs, self.modality_dropout, self.make_rng("dropout"))
        vendor = vendor_kernels(self.kernels == "vendor")
        with rematerialising(self.remat and train), vendor:
            if self.precision == "float32" or self.is_initializing():
                return self._outputs(inputs, train)
            # Modules compute in the type of their parameters: it is enough to show them others.
            cast = cast_floats(self.precision)
            compute = nn.map_variables(Multimodal._outputs, "params", trans_in_fn=cast)
            return cast_floats("float32")(compute(self, inputs, train))

    def _check(self, inputs: Mapping[str, Masked]) -> None:
        require_choice(self, "unimodal", "none", "probe", "train")
        require_choice(self, "precision", "float32", "bfloat16")
        require_choice(self, "kernels", "xla", "vendor")
        require_share(self, "modality_dropout")
        if slashed := [name for name in (*self.encoders, *self.heads) if "/" in name]:
            raise ValueError(f"modalities and heads: {slashed} would be read as parts of names")
        if PRESENT in self.heads:
            raise ValueError(f"heads: {PRESENT!r} is the name of an output that is always there")
        if unknown := sorted(set(self.frozen) - set(self.encoders)):
            raise ValueError(
                f"frozen: unknown modalities {unknown}; choose from {sorted(self.encoders)}"
            )
        if set(inputs) != set(self.encoders):
            raise ValueError(
                f"expected the modalities {sorted(self.encoders)}, got {sorted(inputs)}; "
                "give a missing modality with a mask that is all False"
            )
        for name, encoder in self.encoders.items():
            check_kind(name, encoder, inputs[name])

    def _outputs(self, inputs: Mapping[str, Masked], train: bool) -> dict[str, Array]:
        tokens = {}
        for name, encoder in sorted(self.encoders.items()):
            learns = train and name not in self.frozen
            found = encoder(inputs[name].values, inputs[name].mask, train=learns)
            tokens[name] = jax.lax.stop_gradient(found) if name in self.frozen else found
        fused = self.fusion(self.missing(tokens, train=train), train=train)
        outputs = {name: head(fused, train=train) for name, head in sorted(self.heads.items())}
        if self.unimodal == "none":
            return outputs
        return outputs | self._alone(tokens, train)

    def _alone(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Array]:
        """What heads of the same kind say of each modality alone."""
        outputs = {}
        for modality, tokens in modalities.items():
            if self.unimodal == "probe":
                tokens = jax.lax.stop_gradient(tokens)
            for name, head in sorted(self.heads.items()):
                alone = head.clone(parent=self, name=f"alone_{name}_{modality}")
                outputs[f"{name}/{modality}"] = alone(tokens, train=train)
            outputs[f"{PRESENT}/{modality}"] = tokens.present().astype(tokens.values.dtype)
        return outputs


def check_kind(modality: str, encoder: nn.Module, given: Masked) -> None:
    """ValueError where the encoder reads another kind of input, with those that read this one."""
    if _reads(type(encoder), given):
        return
    fitting = [name for name, cls in ENCODERS.items() if _reads(cls, given)]
    raise ValueError(
        f"modality {modality!r}: {type(encoder).__name__} does not read {given.values.dtype} "
        f"{given.values.shape}; choose with model.encoders.{modality}:NAME from "
        f"{', '.join(fitting) or 'none'}"
    )


def _reads(encoder: type[nn.Module], given: Masked) -> bool:
    """Whether the values are of a type that the signature states, or it states none."""
    kind = inspect.get_annotations(encoder.__call__).get("values")
    # One by one: isinstance would ask a Union about classes, not about shapes.
    return kind is None or any(isinstance(given.values, k) for k in get_args(kind) or (kind,))


def drop_modalities(
    inputs: Mapping[str, Masked], rate: float | Array, key: PRNGKeyArray
) -> dict[str, Masked]:
    """Hide each modality of each example with probability `rate`, but never all that it has."""
    names = sorted(inputs)
    masks = {name: jnp.asarray(inputs[name].mask) for name in names}
    there = jnp.stack([jnp.any(masks[n].reshape(len(masks[n]), -1), axis=1) for n in names], axis=1)
    drawn = jnp.where(there, jax.random.uniform(key, there.shape), -jnp.ones(there.shape))
    # The highest draw among what is there is as likely to be one modality's as another's.
    keep = (drawn >= rate) | (drawn == jnp.max(drawn, axis=1, keepdims=True))
    return {
        name: Masked(inputs[name].values, clear(masks[name], keep[:, place]))
        for place, name in enumerate(names)
    }
