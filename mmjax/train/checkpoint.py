"""Checkpoints: Orbax's CheckpointManager, with the variables as an item of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Sharding
from orbax.checkpoint import checkpoint_managers

from mmjax.train.state import TrainState

FOLDER = "checkpoints"


def begun(run: Path) -> bool:
    """Whether a training has left any checkpoint to go on from."""
    return any(path.name.isdecimal() for path in (run / FOLDER).glob("*"))


class Checkpoints:
    """A run's checkpoints: the newest `keep`, and the best by one validation metric."""

    def __init__(
        self,
        run: Path,
        *,
        keep: int = 2,
        best: str | None = None,
        mode: Literal["max", "min"] = "min",
        read_only: bool = False,
    ) -> None:
        def score(metrics: Mapping[str, float]) -> float:
            """Higher is better. A NaN compares with nothing: Orbax would delete the best for it."""
            value = metrics[best] if best is not None else np.nan
            return -np.inf if np.isnan(value) else value if mode == "max" else -value

        self._folder = (run / FOLDER).absolute()
        policies: list[Any] = [checkpoint_managers.LatestN(keep)]
        if best is not None:
            policies.append(
                checkpoint_managers.BestN(
                    get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False
                )
            )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            best_fn=None if best is None else score,
            cleanup_tmp_directories=not read_only,
            create=not read_only,
            read_only=read_only,
            save_interval_steps=0 if read_only else 1,
        )
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=options,
            item_names=("variables", "training", "progress"),
        )

    def latest(self) -> int | None:
        """The newest finished step."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """The step with the best validation metric."""
        return self._manager.best_step()

    def steps(self) -> list[int]:
        """All finished steps, ascending."""
        return sorted(self._manager.all_steps())

    def save(
        self, state: TrainState, progress: Mapping[str, Any], metrics: Mapping[str, float] | None
    ) -> None:
        """Start saving; goes on in the background until the next call or `close`."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                variables=ocp.args.PyTreeSave(state.variables),
                training=ocp.args.PyTreeSave(_training(state)),
                progress=ocp.args.JsonSave(dict(progress)),
            ),
            metrics=None if metrics is None else dict(metrics),
        )

    def restore(
        self, like: TrainState, step: int, sharding: Sharding
    ) -> tuple[TrainState, dict[str, Any]]:
        """The state of a step, placed as `sharding` says, whatever devices it was saved from."""

        def item(tree):
            target = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
            )
            arguments = ocp.checkpoint_utils.construct_restore_args(target)
            return ocp.args.PyTreeRestore(target, restore_args=arguments)

        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                variables=item(like.variables),
                training=item(_training(like)),
                progress=ocp.args.JsonRestore(),
            ),
        )
        variables = dict(restored["variables"])
        params = variables.pop("params")
        state = TrainState(params=params, collections=variables, **restored["training"])
        return state, restored["progress"]

    def arrays(self, step: int, item: Literal["training", "variables"]) -> dict[str, Any]:
        """One item of a step as NumPy arrays: needs no device and no model.

        `variables` are parameters and collections; `training` is what only a training needs.
        """
        path = self._folder / str(step) / item
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            tree = reader.metadata(path).item_metadata.tree
            arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            return reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=arguments))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is being saved; raises if it could not be."""
        self._manager.wait_until_finished()
        self._manager.close()


def _training(state: TrainState) -> dict[str, Any]:
    """What only a training needs."""
    return {"step": state.step, "opt_state": state.opt_state, "key": state.key}
