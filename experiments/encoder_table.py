"""Every encoder in one table: parameters, tokens, operations and time, on input of a usual size.

    python experiments/encoder_table.py
    python experiments/encoder_table.py --only lstm gru bert

Batches of 8; nothing is trained, so there are no seeds and no accuracy: those are in the other
experiments. Times are medians in which all encoders take turns. On 2 CPU cores about 3 minutes.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import linen as nn

import mmjax
from mmjax.encoders import ENCODERS
from mmjax.evaluation.cost import Cost, measure

BATCH = 8


class Case(NamedTuple):
    """An encoder and what it is shown, of which nothing is missing."""

    name: str  # in the registry
    kind: str  # which one of that name
    module: nn.Module
    given: str  # what its input is
    values: np.ndarray
    axes: int  # of the mask: 1 for images, else 2

    @property
    def arguments(self) -> tuple[Any, Any]:
        """Values and mask."""
        mask = jnp.ones(self.values.shape[: self.axes], bool)
        return jnp.asarray(self.values), mask


def cases() -> Iterator[Case]:
    """All that is measured."""
    random = np.random.default_rng(0)

    def numbers(*size: int) -> np.ndarray:
        return random.normal(size=(BATCH, *size)).astype(np.float32)

    digit, photo = numbers(28, 28, 1), numbers(224, 224, 3)
    yield Case("cnn", "", mmjax.encoders.Cnn(), "28 x 28 x 1", digit, 1)
    for name, kind, module in (
        ("resnet", "18", mmjax.encoders.ResNet(18)),
        ("resnet", "50", mmjax.encoders.ResNet(50)),
        ("vgg", "11", mmjax.encoders.Vgg(11)),
        ("vit", "tiny", mmjax.encoders.Vit("tiny")),
        ("vit", "small", mmjax.encoders.Vit("small")),
        ("hog", "", mmjax.encoders.Hog()),
    ):
        yield Case(name, kind, module, "224 x 224 x 3", photo, 1)
    lifted = mmjax.encoders.LiftedCamera()
    yield Case("lifted_camera", "", lifted, "94 x 311 x 3", numbers(94, 311, 3), 1)
    text = random.integers(0, 10_000, (BATCH, 32)).astype(np.int32)
    for name, kind, module in (
        ("lstm", "", mmjax.encoders.Lstm()),
        ("gru", "", mmjax.encoders.Gru()),
        ("bag_of_words", "", mmjax.encoders.BagOfWords()),
        ("bert", "tiny", mmjax.encoders.Bert("tiny")),
        ("bert", "mini", mmjax.encoders.Bert("mini")),
        ("gpt2", "tiny", mmjax.encoders.Gpt2("tiny")),
    ):
        yield Case(name, kind, module, "32 words", text, 2)
    for size, values, modules in (
        ("1 s at 16 kHz", numbers(16_000), ("audio_cnn", "audio_transformer", "wave_cnn")),
        ("100 steps of 6", numbers(100, 6), ("tcn", "patch_transformer", "features")),
        ("12 numbers", numbers(12), ("table_mlp", "ft_transformer")),
        ("256 points of 4", numbers(256, 4), ("point_net", "set_transformer", "birds_eye")),
    ):
        for name in modules:
            yield Case(name, "", ENCODERS[name](), size, values, 2)


def row(case: Case, cost: Cost) -> list[str]:
    """Of the table."""
    start = jax.eval_shape(
        lambda: case.module.init_with_output(jax.random.key(0), *case.arguments, train=False)
    )
    _, token, dim = cast(mmjax.Tokens, start[0]).values.shape
    return [
        f"{case.name} {case.kind}".strip(),
        case.given,
        f"{token} x {dim}",
        f"{cost.parameters:,}",
        f"{cost.flops / 1e6:,.3f}",
        f"{cost.forward:,.2f}",
        f"{cost.milliseconds:,.2f}",
    ]


def main(only: tuple[str, ...] = (), rounds: int = 5) -> None:
    """Print the table as Markdown.

    Args:
        only: names of encoders; none: all
        rounds: times that each is run; the first is not counted
    """
    if unknown := sorted(set(only) - set(ENCODERS)):
        raise SystemExit(f"error: --only {' '.join(unknown)}: choose from {', '.join(ENCODERS)}")
    if rounds < 2:
        raise SystemExit(f"error: --rounds: expected at least 2, got {rounds}")
    begin = time.perf_counter()
    chosen = {f"{c.name} {c.kind}": c for c in cases() if c.name in (only or ENCODERS)}
    costs = measure({k: (c.module, c.arguments) for k, c in chosen.items()}, BATCH, rounds)
    header = ["encoder", "input", "tokens", "parameters", "MFLOPs / example"]
    header += ["forward, ms / batch", "forward and backward, ms"]
    for line in [header, ["---"] * len(header), *(row(c, costs[k]) for k, c in chosen.items())]:
        print("| " + " | ".join(line) + " |")
    minutes = (time.perf_counter() - begin) / 60
    print(f"\nBatches of {BATCH} on {jax.devices()[0].device_kind}; {minutes:.1f} minutes in all.")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
