"""Optimisers: frozen dataclasses that become optax chains."""

import abc
import dataclasses
import fnmatch
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, final

import jax
import optax

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
    # Learning-rate multipliers by path of a module or parameter, such as `encoders_text 0.1
    # encoders_text/block_* 0`; the longest matching path counts. 0 freezes parameters, but neither
    # dropout nor running statistics (--model.frozen freezes an encoder completely). The table at
    # the start of a training shows the paths.
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
        """Turns gradients into directions, before weight decay and learning rate."""

    def decay(self) -> optax.GradientTransformation:
        """Adds the decoupled weight decay; by default none."""
        return optax.identity()

    def learning_rate(self, steps: int) -> optax.Schedule:
        """The learning rate as a function of the step, for a training of `steps` steps."""
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
        # From peak / warmup, not from 0: the first step must change something.
        rise = optax.linear_schedule(self.peak_lr / warmup, self.peak_lr, max(warmup - 1, 1))
        return optax.join_schedules([rise, after], [warmup])

    def chain(
        self, steps: int, frozen: Sequence[str] = (), probes: str | None = None
    ) -> optax.GradientTransformation:
        """The whole update for a training of `steps` steps.

        Its `init` raises UserError for a path in `rates` that no parameter has.

        Args:
            steps: number of steps
            frozen: top-level modules that are not trained
            probes: name prefix of top-level modules whose gradients are clipped separately
        """
        clip = optax.identity()
        if self.clip_norm is not None:
            clip = optax.clip_by_global_norm(self.clip_norm)
            if probes is not None:
                clip = optax.chain(
                    optax.masked(clip, _by_path(lambda path: not path.startswith(probes))),
                    optax.masked(clip, _by_path(lambda path: path.startswith(probes))),
                )
        if not self.rates and not frozen:
            return optax.chain(clip, *self._descent(steps))
        groups: dict[Hashable, optax.GradientTransformation] = {
            str(factor): optax.chain(*self._descent(steps), optax.scale(factor))
            for factor in {1.0, *map(float, self.rates.values())}
        }
        groups[str(0.0)] = optax.set_to_zero()  # has no moments

        def labels(params: optax.Params) -> optax.Params:
            self._require_paths(params)
            return _by_path(lambda path: str(self.factor(path, frozen)))(params)

        return optax.chain(
            # Before clipping: gradients of frozen parameters must not count in the norm.
            optax.masked(
                optax.set_to_zero(), _by_path(lambda path: self.factor(path, frozen) == 0)
            ),
            clip,
            optax.multi_transform(groups, labels),
        )

    def factor(self, path: str, frozen: Sequence[str] = ()) -> float:
        """Learning-rate multiplier of the parameter at `path`, such as `fusion/gate/kernel`."""
        if path.split("/")[0] in frozen:
            return 0.0
        matching = [pattern for pattern in self.rates if _matches(path, pattern)]
        longest = max(matching, key=lambda p: (p.count("/"), len(p), p), default=None)
        return 1.0 if longest is None else float(self.rates[longest])

    def _descent(self, steps: int) -> tuple[optax.GradientTransformation, ...]:
        # A flat tuple: checkpoints name the optimiser's state by its position.
        rate = optax.scale_by_learning_rate(self.learning_rate(steps))
        return self.direction(), self.decay(), rate

    def _require_paths(self, params: optax.Params) -> None:
        paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        for pattern in self.rates:
            if not any(_matches(path, pattern) for path in paths):
                modules = sorted({path.split("/")[0] for path in paths})
                raise UserError(
                    f"--optim.rates {pattern}: no parameter has this path; they begin with "
                    f"{', '.join(modules)}"
                )


def _by_path(label: Callable[[str], Any]) -> Callable[[optax.Params], optax.Params]:
    """A function that replaces each parameter by the label of its path."""
    return lambda params: jax.tree_util.tree_map_with_path(
        lambda path, _: label(path_of(path)), params
    )


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern, in which * stands for any text, is the path or a module above it."""
    steps = path.split("/")[: pattern.count("/") + 1]
    return fnmatch.fnmatchcase("/".join(steps), pattern)


@dataclasses.dataclass(frozen=True)
class _Adam(Optim):
    """m / (sqrt(v) + eps), corrected for bias."""

    b1: float = 0.9  # decay of the gradient's mean m
    b2: float = 0.999  # decay of the squared gradient's mean v
    eps: float = 1e-8  # added to sqrt(v)

    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


@final
@dataclasses.dataclass(frozen=True)
class Adam(_Adam):
    """Adam, Kingma & Ba 2015, arXiv:1412.6980."""


@final
@dataclasses.dataclass(frozen=True)
class AdamW(_Adam):
    """Adam with decoupled weight decay, Loshchilov & Hutter 2019, arXiv:1711.05101."""

    weight_decay: float = 1e-2  # times the learning rate; not on biases and norms

    def decay(self) -> optax.GradientTransformation:
        return optax.add_decayed_weights(self.weight_decay, mask=decayed)


@final
@dataclasses.dataclass(frozen=True)
class Sgd(Optim):
    """Stochastic gradient descent with momentum, Sutskever et al. 2013 (ICML)."""

    momentum: float = 0.0  # decay of the sum of gradients
    nesterov: bool = False  # Nesterov momentum
    weight_decay: float = 0.0  # times the learning rate; not on biases and norms

    def direction(self) -> optax.GradientTransformation:
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()

    def decay(self) -> optax.GradientTransformation:
        return optax.add_decayed_weights(self.weight_decay, mask=decayed)


OPTIMISERS = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}
