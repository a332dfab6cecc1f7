"""Where a log is shown beside its file: TensorBoard, and Weights & Biases."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mmjax.config.privacy import hide_host
from mmjax.errors import MissingPackageError, UserError
from mmjax.io import json_file

WANDB = "wandb.json"


class Tracker(Protocol):
    """What a log gives its records to."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Show one record: `step`, `split` and numbers."""
        ...

    def close(self) -> None:
        """Write all that is not written yet."""
        ...


class TensorBoard:
    """Event files in `<run>/tensorboard`; later steps than `start` are shown no more."""

    def __init__(self, run: Path, start: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise MissingPackageError(
                "--tensorboard needs an extra: pip install 'mmjax[tensorboard]'"
            ) from error
        folder = run / "tensorboard"
        count = len([*folder.glob("*")])  # a unique suffix: two files may be of one second
        suffix = f".{start}.{count}"
        self._writer = SummaryWriter(str(folder), purge_step=start + 1, filename_suffix=suffix)
        hide_host(folder)

    def add(self, record: Mapping[str, Any]) -> None:
        """A scalar for each number."""
        for name, value in _numbers(record).items():
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Write all that is not written yet."""
        self._writer.close()


class WeightsAndBiases:
    """A run on https://wandb.ai, which a resumed training goes on with.

    Its own files are in the folder that wandb uses, by default ./wandb, and not in the run: they
    name the machine. With WANDB_MODE=offline nothing leaves it; `wandb sync` sends it later.
    """

    def __init__(self, run: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingPackageError(
                "--wandb needs an extra: pip install 'mmjax[wandb]'"
            ) from error
        if not (run / WANDB).exists():
            json_file.write(run / WANDB, {"id": secrets.token_hex(8)})
        # Neither code nor what else the machine does, nor what is printed.
        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            silent=True,
            x_disable_meta=True,
            x_disable_stats=True,
        )
        try:
            self._run = wandb.init(
                project=project,
                id=str(json_file.read(run / WANDB)["id"]),
                name=run.name,
                resume="allow",
                config=dict(config),
                settings=settings,
            )
        except wandb.Error as error:
            raise UserError(f"--wandb {project}: {error}") from error

    def add(self, record: Mapping[str, Any]) -> None:
        """The numbers of a record, at its step."""
        self._run.log(_numbers(record), step=record["step"])

    def close(self) -> None:
        """Send all that is not sent yet."""
        self._run.finish()


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    split = record["split"]
    return {f"{split}/{name}": x for name, x in record.items() if isinstance(x, float)}
