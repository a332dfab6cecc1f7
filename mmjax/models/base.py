"""The base class of models."""

import abc
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, get_args

import jax
from flax import linen as nn
from jax import Array

from mmjax.encoders import ENCODERS
from mmjax.errors import UserError
from mmjax.layers import low_rank
from mmjax.layers.fields import require_choice
from mmjax.layers.tracing.precision import cast_floats
from mmjax.types import Masked, Outputs, Tokens

_ADAPTERS = "adapters_"  # and the modality: the adapters in the model's variables


class Model(nn.Module, kw_only=True):
    """Encoders of any number of modalities, and what becomes of their tokens.

    Attributes:
        encoders: one for each modality; one object for two modalities is two encoders of the same
            configuration, which share no parameters
        frozen: modalities whose encoders stay as they are: run as in evaluation, without gradients
        unimodal: heads for each modality alone: none, or to "probe" the encoders, which get no
            gradient from them, or to "train" them
        precision: of the computation; parameters, statistics and losses are float32 in any case
        adapters: modalities whose encoders are frozen but for low-rank adapters, and their rank
            (LoRA, Hu et al. 2022, arXiv:2106.09685); `merge_adapters` adds them to the encoder
        shared: modalities that the encoder of another one reads, with the same parameters (siamese
            networks, Bromley et al. 1993), and that other one; their values are read as its are
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    encoders: Mapping[str, nn.Module]
    frozen: tuple[str, ...] = ()
    unimodal: Literal["none", "probe", "train"] = "none"
    precision: Literal["float32", "bfloat16"] = "float32"
    adapters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    shared: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # linen shares the parameters of an object that is there twice, which no file can say.
        for field in dataclasses.fields(self):
            parts = getattr(self, field.name, None)
            if isinstance(parts, Mapping) and len({*map(id, parts.values())}) < len(parts):
                own = {n: p.clone() if isinstance(p, nn.Module) else p for n, p in parts.items()}
                object.__setattr__(self, field.name, own)
        super().__post_init__()

    @abc.abstractmethod
    def __call__(
        self,
        inputs: Mapping[str, Masked],
        train: bool,
        targets: Mapping[str, Masked] | None = None,
    ) -> Outputs:
        """The outputs of every head. `targets` are for teacher forcing alone.

        A modality that no example has is an input whose mask is all False.

        Raises:
            UserError: the inputs' modalities are not the encoders', or a field is out of range.
        """

    @abc.abstractmethod
    def embed(self, inputs: Mapping[str, Masked], train: bool) -> dict[str, Array]:
        """Vectors `[batch, dim]` of those modalities that `inputs` holds, by modality."""

    @property
    @abc.abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that objectives may read."""

    @property
    def heads_by_output(self) -> Mapping[str, nn.Module]:
        """The module that makes each output, where one does."""
        return {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of all inputs: those that have an encoder, and those that share one."""
        return (*self.encoders, *self.shared)

    def encoder_of(self, modality: str) -> str:
        """The modality whose encoder reads this one."""
        return self.shared.get(modality, modality)

    probe_prefix: ClassVar[str] = "alone_"
    """How the names of heads that read one modality alone begin, in the model's variables."""

    @staticmethod
    def path_of(modality: str) -> str:
        """What the parameters of a modality's encoder are called in the model's variables."""
        return f"encoders_{modality}"

    @staticmethod
    def path_of_head(output: str) -> str:
        """What the parameters of the head of an output are called in the model's variables."""
        return f"heads_{output}"

    @property
    def frozen_paths(self) -> tuple[str, ...]:
        """What the parameters that do not learn are called in the model's variables."""
        return tuple(map(self.path_of, (*self.frozen, *self.adapters)))

    def check_fields(self) -> None:
        """UserError where a field of this class is out of range."""
        require_choice(self, "unimodal", "none", "probe", "train")
        require_choice(self, "precision", "float32", "bfloat16")
        if unknown := sorted(set(self.frozen) - set(self.encoders)):
            raise UserError(
                f"frozen: unknown modalities {unknown}; choose from {sorted(self.encoders)}"
            )
        for name, other in self.shared.items():
            if name in self.encoders or other not in self.encoders:
                raise UserError(
                    f"shared: {name} {other}: expected a modality without an encoder and one of "
                    f"{sorted(self.encoders)}"
                )
        for name, rank in self.adapters.items():
            if name not in self.encoders or name in self.frozen or rank < 1:
                raise UserError(
                    f"adapters: {name} {rank}: expected a rank of 1 or more for one of "
                    f"{sorted(set(self.encoders) - set(self.frozen))}, which are not frozen"
                )

    def require_all(self, inputs: Mapping[str, Masked]) -> None:
        """UserError unless the inputs' modalities are the model's."""
        if set(inputs) != set(self.modalities):
            raise UserError(
                f"expected the modalities {sorted(self.modalities)}, got {sorted(inputs)}; "
                "give a missing modality with a mask that is all False"
            )

    def encoded(self, inputs: Mapping[str, Masked], train: bool) -> dict[str, Tokens]:
        """The tokens of each modality; those of frozen encoders get no gradient."""
        tokens = {}
        for name, given in sorted(inputs.items()):
            own = self.encoder_of(name)
            learns = train and own not in (*self.frozen, *self.adapters)
            one = self.encoders[own](given.values, given.mask, train=learns)
            tokens[name] = jax.lax.stop_gradient(one) if train and own in self.frozen else one
        return tokens

    def computed(self, method: Callable, *given: Any) -> Any:
        """The result of a method of this class in the model's precision, as float32."""
        if self.is_initializing():
            result = method(self, *given)
            for name, rank in sorted(self.adapters.items()):
                encoder = self.variables["params"].get(self.path_of(name), {})
                self.param(f"{_ADAPTERS}{name}", low_rank.adapters, encoder, rank)
            return result
        # Modules compute with, and in the type of, their parameters: it is enough to show others.
        shown = [self._adapted] if self.adapters else []
        shown += [cast_floats(self.precision)] if self.precision != "float32" else []
        if not shown:
            return method(self, *given)

        def show(variables: Any) -> Any:
            return functools.reduce(lambda seen, change: change(seen), shown, variables)

        compute = nn.map_variables(method, "params", trans_in_fn=show)
        return cast_floats("float32")(compute(self, *given))

    def _adapted(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables with the adapters added to the encoders' kernels."""
        params = dict(variables["params"])
        for name in self.adapters:
            path = self.path_of(name)
            frozen = jax.lax.stop_gradient(params[path])
            params[path] = low_rank.merged(frozen, params.pop(f"{_ADAPTERS}{name}"))
        return {**variables, "params": params}

    def check_inputs(self, inputs: Mapping[str, Masked]) -> None:
        """UserError where an encoder reads another kind of input, with those that read this one."""
        for modality, given in inputs.items():
            encoder = self.encoders[self.encoder_of(modality)]
            if _reads(type(encoder), given):
                continue
            fitting = [name for name, cls in ENCODERS.items() if _reads(cls, given)]
            raise UserError(
                f"modality {modality!r}: {type(encoder).__name__} does not read "
                f"{given.values.dtype} {given.values.shape}; choose with "
                f"model.encoders.{modality}:NAME from {', '.join(fitting) or 'none'}"
            )


def merge_adapters(model: Model, variables: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    """The model without adapters, and its variables with these added to the encoders' kernels.

    The outputs stay the same; what is computed no longer depends on the rank.
    """
    return model.clone(adapters={}), model._adapted(variables)


def _reads(encoder: type[nn.Module], given: Masked) -> bool:
    """Whether the values are of a type that the signature states, or it states none."""
    kind: Any = inspect.get_annotations(encoder.__call__).get("values")
    # One by one: isinstance would ask a Union about classes, not about shapes.
    return kind is None or any(isinstance(given.values, k) for k in get_args(kind) or (kind,))
