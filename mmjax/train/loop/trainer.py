"""The compiled training of an experiment: fresh states, and the step on its devices."""

import dataclasses
import functools
import secrets
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.layers.tracing.rematerialisation import rematerialising
from mmjax.models.train_state import TrainState, create_state
from mmjax.train.loop import multi_step
from mmjax.train.step import gradient
from mmjax.train.step.private import clipped, gaussian
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked
from mmjax.weights import start


class Trainer:
    """An experiment's model on a mesh of devices.

    Raises:
        UserError: the model cannot be trained on such batches; names the flag to change.
    """

    def __init__(
        self,
        experiment: Experiment,
        preprocessing: Preprocessing,
        first: Batch,
        mesh: Mesh,
        noise: float | None = None,
    ) -> None:
        """`first`: a batch like all others, to trace; `noise`: of private training."""
        self.mesh = mesh
        kinds = preprocessing.targets
        fitted = {n: o.fitted(kinds.get(o.target or "")) for n, o in experiment.objectives.items()}
        self._experiment = dataclasses.replace(experiment, objectives=fitted)
        self._first = first
        self._step = step_of(self._experiment, noise, mesh.size)
        self._several = experiment.compute.steps_per_call > 1
        self._initial = jax.jit(self._fresh)  # compiled once for all seeds
        try:
            self._shapes = jax.eval_shape(lambda: self._fresh(0))
            _trace(self._experiment, self._step, self._shapes, first)
        except UserError:
            raise
        except ValueError as error:  # of a module
            raise UserError(str(error)) from error

    def begin(self, seed: int, *, weights: bool = True) -> tuple[TrainState, dict[str, str]]:
        """The state before the first step, and {module: the file or run that it starts from}.

        Without `weights` no file is read, as for a run that is resumed.
        """
        state = self._initial(np.uint32(seed))
        if self._experiment.private.on:
            # Who knows the noise can subtract it, and everybody knows the seed.
            secret = np.frombuffer(secrets.token_bytes(8), np.uint32)
            state = dataclasses.replace(state, key=jnp.asarray(secret))
        if not weights:
            return state, {}
        return start.begin(state, self._experiment.model, self._experiment.init)

    def update(self, columns: dict[str, Masked] | None) -> Callable:
        """The compiled (state, batch) -> (state, means); the state's buffers are donated.

        `columns`: all rows of each modality, where batches are `RowIndices`.
        """
        compute = self._experiment.compute
        wrapper = parallel.WRAPPERS[compute.parallel]
        if compute.fsdp > 1:
            wrapper = functools.partial(parallel.jit, like=self._shapes)
        return wrapper(self._call(), self.mesh, donate=True, stacked=self._several, held=columns)

    def updates(self, columns: dict[str, Masked] | None) -> Callable:
        """`update` for several runs at once: states and batches are `[run, ...]`."""
        return parallel.apart(self._call(), self.mesh, donate=True, held=columns)

    def _call(self) -> Callable:
        return multi_step.call(self._step, self._several)

    def _fresh(self, seed: Any) -> TrainState:
        experiment = self._experiment
        return create_state(
            experiment.model,
            experiment.update(),
            self._first,
            seed=seed,
            ema=experiment.ema,
            balance=lambda: experiment.balance.initial(len(experiment.objectives)),
        )


def step_of(experiment: Experiment, noise: float | None = None, devices: int = 1) -> Callable:
    """The training step of an experiment on one device: (state, batch, *, axis).

    `noise`: of private training; `devices`: that share a batch.
    """
    compute, private, size = experiment.compute, experiment.private, experiment.batch_size
    rule = gradient.accumulated(compute.accumulate)
    if noise is not None:
        # Under jit the step sees the batch of all devices.
        seen = devices if compute.parallel == "jit" else 1
        rule = clipped(private.clip, size, private.microbatch * seen)
    step = functools.partial(
        train_step,
        model=experiment.model,
        objectives=experiment.objectives,
        tx=experiment.update(),
        balance=experiment.balance,
        ema=experiment.ema,
        guard=compute.on_nonfinite != "ignore",
        rule=rule,
        noise=None if noise is None else gaussian(noise, private.clip, size),
    )

    def computed(state: TrainState, batch: Batch, *, axis: str | None) -> Any:
        with rematerialising(compute.remat):
            return step(state, batch, axis=axis)

    return computed


def _trace(experiment: Experiment, step: Callable, state: Any, batch: Batch) -> None:
    """Trace a step.

    Raises:
        UserError: it accumulates gradients or is private, and anything in it mixes examples.
    """
    mixing = [f"objectives.{n}" for n, o in experiment.objectives.items() if o.mixes_examples]

    def look(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        if getattr(type(context.module), "mixes_examples", False):
            mixing.append("/".join(context.module.path))
        return call(*args, **kwargs)

    with nn.intercept_methods(look):
        jax.eval_shape(functools.partial(step, axis=None), state, batch)
    if experiment.private.on:
        mixing += [f"the running statistics {name}" for name in state.collections]
        if mixing:
            raise UserError(
                f"--private: {', '.join(dict.fromkeys(mixing))}: mixes the examples of a batch, so "
                "that no example has a gradient of its own; choose what looks at single examples"
            )
    if mixing and experiment.compute.accumulate > 1:
        raise UserError(
            f"--accumulate: {', '.join(dict.fromkeys(mixing))}: depends on all examples of a "
            "batch, of which it would see a part; take --accumulate 1, or what looks at single "
            "examples"
        )
