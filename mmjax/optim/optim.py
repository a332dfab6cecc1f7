"""Optimisers: frozen dataclasses that become optax chains."""

import abc
import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, final

import jax
import optax
from jax import Array

from mmjax.errors import UserError
from mmjax.layers.tracing.paths import path_of
from mmjax.optim.decay import decayed


@dataclasses.dataclass(frozen=True)
class Optim(abc.ABC):
    """clip -> direction (Adam, momentum ...) -> decoupled weight decay -> -learning rate."""

    peak_lr: float = 1e-3  # highest learning rate
    schedule: Literal["constant", "cosine", "linear"] = "cosine"  # after the warmup, down to 0
    warmup: float = 0.05  # share of all steps in which the rate rises from 0, in 0..1
    clip_norm: float | None = None  # largest global norm of the gradient; None: not clipped
    # Factors of the rate by parameter path, such as `encoders_text 0.1 encoders_text/block_* 0`; a
    # path is that of a module or an array, and the longest one counts. 0 keeps parameters as they
    # are (dropout and running statistics go on: --model.frozen freezes an encoder whole). The table
    # that a training begins with shows the paths.
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.peak_lr > 0:
            raise UserError(f"optim.peak_lr: expected more than 0, got {self.peak_lr}")
        if not 0 <= self.warmup <= 1:
            raise UserError(f"optim.warmup: expected a share in 0..1, got {self.warmup}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UserError(f"optim.clip_norm: expected more than 0, got {self.clip_norm}")
        for path, factor in self.rates.items():
            if not 0 <= factor < float("inf"):
                raise UserError(f"optim.rates: {path}: expected 0 or more, got {factor}")

    @abc.abstractmethod
    def direction(self) -> optax.GradientTransformation:
        """Turns gradients into directions of unit scale, before the learning rate."""

    @property
    def decay(self) -> float | Array | None:
        """Decoupled weight decay per unit of learning rate, on what `decay.decayed` says.

        None where there is none; 0 has the same state as any other number.
        """
        return None

    def learning_rate(self, steps: int) -> optax.Schedule:
        """The rate of each of `steps` steps."""
        warmup = round(self.warmup * steps)
        rest = max(steps - warmup, 1)
        match self.schedule:
            case "constant":
                after = optax.constant_schedule(self.peak_lr)
            case "cosine":
                after = optax.cosine_decay_schedule(self.peak_lr, rest)
            case "linear":
                after = optax.linear_schedule(self.peak_lr, 0.0, rest)
        if warmup == 0:
            return after
        # From peak/warmup, not from 0: the first step must move something.
        rise = optax.linear_schedule(self.peak_lr / warmup, self.peak_lr, max(warmup - 1, 1))
        return optax.join_schedules([rise, after], [warmup])

    def chain(
        self, steps: int, frozen: Sequence[str] = (), probes: str | None = None
    ) -> optax.GradientTransformation:
        """The whole update for a training of `steps` steps.

        Its `init` raises UserError for a path in `rates` that no parameter has.

        Args:
            steps: how many there are
            frozen: modules directly below the model that stay as they are
            probes: modules whose name begins so only look at the others: the norms of both are
                clipped apart
        """
        clip = optax.identity()
        if self.clip_norm is not None:
            clip = optax.clip_by_global_norm(self.clip_norm)
        if self.clip_norm is not None and probes is not None:
            clip = optax.chain(
                *(
                    optax.masked(clip, functools.partial(_probing, probes, which))
                    for which in (False, True)
                )
            )
        if not self.rates and not frozen:
            return optax.chain(clip, *self._descent(steps))
        groups: dict[Hashable, optax.GradientTransformation] = {
            str(factor): optax.chain(*self._descent(steps), optax.scale(factor))
            for factor in {1.0, *map(float, self.rates.values())}
        }
        groups[str(0.0)] = optax.set_to_zero()  # keeps no moments

        def labelled(label: Callable[[float], Any]) -> Callable[[optax.Params], optax.Params]:
            return lambda params: self._labelled(params, frozen, label)

        return optax.chain(
            # Before the norm is taken: what does not move must not shorten the steps of the rest.
            optax.masked(optax.set_to_zero(), labelled(lambda factor: factor == 0)),
            clip,
            optax.multi_transform(groups, labelled(str)),
        )

    def factor(self, path: str, frozen: Sequence[str] = ()) -> float:
        """What the rate of the parameter at `path`, such as `fusion/gate/kernel`, is times."""
        if path.split("/")[0] in frozen:
            return 0.0
        found = [pattern for pattern in self.rates if _matches(path, pattern)]
        longest = max(found, key=lambda p: (p.count("/"), len(p), p), default=None)
        return 1.0 if longest is None else float(self.rates[longest])

    def _descent(self, steps: int) -> tuple[optax.GradientTransformation, ...]:
        return (
            self.direction(),
            optax.identity()
            if self.decay is None
            else optax.add_decayed_weights(self.decay, mask=decayed),
            optax.scale_by_learning_rate(self.learning_rate(steps)),
        )

    def _labelled(
        self, params: optax.Params, frozen: Sequence[str], label: Callable[[float], Any]
    ) -> optax.Params:
        paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        for pattern in self.rates:
            if not any(_matches(path, pattern) for path in paths):
                modules = sorted({path.split("/")[0] for path in paths})
                raise UserError(
                    f"--optim.rates {pattern}: no parameter has this path; they begin with "
                    f"{', '.join(modules)}"
                )
        return jax.tree_util.tree_map_with_path(
            lambda path, _: label(self.factor(path_of(path), frozen)), params
        )


def _probing(prefix: str, which: bool, params: optax.Params) -> optax.Params:
    """Whether the top-level module of each parameter begins with the prefix, or does not."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path_of(path).startswith(prefix) == which, params
    )


def _matches(path: str, pattern: str) -> bool:
    """Whether the pattern, in which * stands for anything, is the path or a module above it."""
    steps = path.split("/")[: pattern.count("/") + 1]
    return fnmatch.fnmatchcase("/".join(steps), pattern)


@final
@dataclasses.dataclass(frozen=True)
class Adam(Optim):
    """Adam, Kingma & Ba 2015, arXiv:1412.6980."""

    b1: float = 0.9  # decay of the gradient's mean
    b2: float = 0.999  # decay of its square's mean
    eps: float = 1e-8  # added to the root of the latter

    def direction(self) -> optax.GradientTransformation:
        """m / (sqrt(v) + eps), both corrected for their bias towards zero."""
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


@final
@dataclasses.dataclass(frozen=True)
class AdamW(Optim):
    """Adam with decoupled weight decay, Loshchilov & Hutter 2019, arXiv:1711.05101."""

    b1: float = 0.9  # decay of the gradient's mean
    b2: float = 0.999  # decay of its square's mean
    eps: float = 1e-8  # added to the root of the latter
    weight_decay: float = 1e-2  # times the learning rate; not on biases and norms

    def direction(self) -> optax.GradientTransformation:
        """m / (sqrt(v) + eps), both corrected for their bias towards zero."""
        return optax.scale_by_adam(self.b1, self.b2, self.eps)

    @property
    def decay(self) -> float | Array:
        """The weight decay."""
        return self.weight_decay


@final
@dataclasses.dataclass(frozen=True)
class Sgd(Optim):
    """Stochastic gradient descent with momentum, Sutskever et al. 2013 (ICML)."""

    momentum: float = 0.0  # share of the last direction that goes on
    nesterov: bool = False  # look ahead along the momentum
    weight_decay: float = 0.0  # times the learning rate; not on biases and norms

    def direction(self) -> optax.GradientTransformation:
        """The gradient, or its running sum with momentum."""
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()

    @property
    def decay(self) -> float | Array:
        """The weight decay."""
        return self.weight_decay


OPTIMISERS = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}
