"""Planted strokes: which of six materials is it? Seen, felt by a finger, and the finger's speed.

Planted data of known optimum: a picture shows one of three patterns, the ridges of a material are
wide or narrow, and the skin feels them at a frequency that grows with the speed of the stroke,
which the sensor of movement knows. Touch has 48 samples, movement 12 in the same time, with time
stamps. 5 % of the materials are misnamed, so the best accuracy is 95.0 %; without vision it is
32.3 %, without touch 48.0 %, and without movement, where the frequency must tell, 65.4 %.

    python experiments/touch.py
    python experiments/touch.py --fast       # does it run?

Prints a table of models, with each sense missing; the last model joins what touch and movement
measured at the same moments, by their time stamps. Then it prints how sure a recurrent model is
while the samples arrive, with the time that each takes, and writes it as a picture. Figures over 3
seeds: experiments/README.md.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, final

import jax
import numpy as np
import study
import tyro
from flax import linen as nn

import mmjax
from mmjax import encoders, fusion
from mmjax.data.synthetic.drawn import Drawn
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.data.targets import Category
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.devices import compilation_cache
from mmjax.evaluation.streaming import Stream
from mmjax.layers.alignment.resampling import resample_at
from mmjax.types import AnyArray, Masked, Tokens

MATERIALS = ("cork", "linen", "slate", "wool", "oak", "felt")  # pattern + 3 * width
SAMPLES = {"touch": 48, "movement": 12}
WRONG = 0.05  # share of the names that are drawn anew among the others
SIDE = 8  # pixels
FUSIONS = {
    "concat": fusion.Concat(),
    "gated": fusion.Gated(),
    "aligned": fusion.Aligned(steps=12),
    "cross_attention": fusion.CrossAttention(),
}


@dataclasses.dataclass(frozen=True)
class Materials(Drawn):
    """Strokes over six materials."""

    noise: float = 0.3  # standard deviation of every sensor

    def draw(self, count: int, draws: Draws) -> mmjax.data.Examples:
        """Pictures, and samples with their times: `[48, 2]` of the skin, `[12, 2]` of movement."""
        pattern = (draws.random(count) * 3).astype(int)
        wide = (draws.random(count) < 0.5).astype(int)
        speed = 3 ** draws.random(count)
        stripes = np.arange(SIDE) % 4 < 2
        looks = np.stack(
            [
                np.broadcast_to(stripes, (SIDE, SIDE)),
                np.broadcast_to(stripes[:, None], (SIDE, SIDE)),
                stripes[None] ^ stripes[:, None],
            ]
        )
        seen = 128 + 60 * (
            2 * looks[pattern] - 1 + self.noise * draws.standard_normal((count, SIDE, SIDE))
        )
        images = np.clip(np.rint(seen), 0, 255).astype(np.uint8)[..., None]
        when = {name: np.arange(n) / n for name, n in SAMPLES.items()}
        phase = draws.random(count)[:, None]
        turns = speed[:, None] * np.where(wide, 4.0, 6.0)[:, None] * when["touch"][None] + phase
        felt = np.sin(2 * np.pi * turns) + self.noise * draws.standard_normal(turns.shape)
        error = self.noise / 2 * draws.standard_normal((count, SAMPLES["movement"]))
        moved = speed[:, None] + error

        def timed(values: np.ndarray, name: str) -> np.ndarray:
            return np.stack([values, np.broadcast_to(when[name], values.shape)], -1).astype(
                np.float32
            )

        material = pattern + 3 * wide
        other = (material + 1 + (draws.random(count) * 5).astype(int)) % 6
        named = np.where(draws.random(count) < WRONG, other, material)
        return mmjax.data.Examples(
            {"vision": images, "touch": timed(felt, "touch"), "movement": timed(moved, "movement")},
            {"material": [MATERIALS[i] for i in named]},
        )

    def preprocessing(self) -> mmjax.data.Preprocessing:
        """Statistics of a fixed draw."""
        rows = self.draw(1024, frozen(self.seed, "train")).inputs
        fitted = {name: FeatureTransform.fit(rows[name]) for name in SAMPLES}
        image = ImageTransform.fit(np.asarray(rows["vision"]))
        target = Category(tuple(sorted(MATERIALS)), (1,) * 6)
        return mmjax.data.Preprocessing({"vision": image, **fitted}, {"material": target})


@final
class Timed(nn.Module):
    """The tokens of an encoder, interpolated at common moments by the samples' time stamps."""

    encoder: nn.Module  # one token for each sample
    time: int  # the channel of the time stamps
    moments: tuple[float, ...]  # in the units of the inputs

    @nn.compact
    def __call__(self, values: AnyArray, mask: AnyArray, train: bool) -> Tokens:
        """Returns one token for each of the moments."""
        tokens = self.encoder(values, mask, train=train)
        stamps = jax.numpy.asarray(values)[..., self.time]
        common = resample_at(tokens.values, tokens.mask, stamps, jax.numpy.array(self.moments))
        present = tokens.mask.any(axis=1, keepdims=True)
        return Tokens(common, present.repeat(len(self.moments), axis=1))


mmjax.register(Materials, family="data")
mmjax.register(Timed, family="encoder")


def materials(streaming: bool, steps: int) -> study.Study:
    """The models; for streaming with encoders that carry a state."""
    if streaming:
        series: dict[str, Any] = {name: encoders.Gru(dim=32) for name in SAMPLES}
    else:
        series = {
            "touch": encoders.Tcn(dim=32, layers=4),
            "movement": encoders.Features(dim=32, hidden=(32,)),
        }
    return study.Study(
        data=Materials(train_size=8192, test_size=2048, validation_size=512),
        encoders={"vision": encoders.Cnn(features=(16,), dim=32), **series},
        head=mmjax.heads.Classes(classes=6, hidden=(64,)),
        objective=mmjax.objectives.SoftmaxCrossEntropy(output="material", target="material"),
        metric="accuracy",
        fusions={"concat": FUSIONS["concat"]} if streaming else FUSIONS,
        steps=steps,
    )


def by_time(one: study.Study) -> study.Study:
    """Touch and movement at the moments of movement's samples, which are standardised as theirs."""
    transforms: Any = one.data.preprocessing().transforms
    series: dict[str, Any] = {
        "touch": encoders.Tcn(dim=32, layers=4, pooling="none"),
        "movement": one.encoders["movement"],
    }
    seconds = np.arange(SAMPLES["movement"]) / SAMPLES["movement"]
    for name, encoder in series.items():
        moments = (seconds - transforms[name].mean[1]) / transforms[name].std[1]
        series[name] = Timed(encoder, time=1, moments=tuple(moments.tolist()))
    fusions = {"aligned": fusion.Aligned(steps=SAMPLES["movement"])}
    return dataclasses.replace(one, encoders={**one.encoders, **series}, fusions=fusions)


def row(one: study.Study, runs: list[Path]) -> dict[str, list[float]]:
    """The accuracies of runs, of all senses and without each; see study.py."""
    found = [study.subsets(one, run, one.data) for run in runs]
    senses = frozenset(one.encoders)
    columns = {"all": senses, **{f"without {name}": senses - {name} for name in one.encoders}}
    return {name: [scores[shown] for scores in found] for name, shown in columns.items()}


def arriving(run: Path, one: study.Study, picture: Path) -> str:
    """Accuracy after every sample of the test strokes, and the time of one step; a table."""
    model, variables, preprocessing = mmjax.restore(run)
    source = one.data.source("test")
    batch = next(iter(mmjax.eval_batches(source, preprocessing, batch_size=len(source))))
    truth = np.asarray(batch.targets["material"].values)

    def part(inputs: Any, touch: int) -> dict[str, Masked]:
        movement = touch // 4  # one sample of the movement for four of the skin
        arrived = touch % 4 == 0
        return {
            "vision": inputs["vision"],
            "touch": _sample(inputs["touch"], touch, True),
            "movement": _sample(inputs["movement"], movement, arrived),
        }

    stream, right = Stream(model, variables), []
    for step in range(SAMPLES["touch"]):
        found: Any = stream(part(batch.inputs, step)).values["material"]
        right.append(float(np.mean(np.argmax(found, axis=1) == truth)))
    whole: Any = model.apply(variables, batch.inputs, train=False)
    apart = float(np.max(np.abs(np.asarray(whole.values["material"]) - np.asarray(found))))
    single = jax.tree.map(lambda x: x[:1], batch.inputs)
    stream.restart()
    times = []
    for step in range(SAMPLES["touch"]):
        given, begin = part(single, step), time.perf_counter()
        jax.block_until_ready(stream(given).values)
        times.append(1000 * (time.perf_counter() - begin))
    _draw(right, picture)
    shown = (1, 6, 12, 24, 48)
    return "\n".join(
        [
            f"| samples of touch | {' | '.join(map(str, shown))} |",
            "| --- " * (1 + len(shown)) + "|",
            f"| accuracy | {' | '.join(f'{100 * right[n - 1]:.1f}' for n in shown)} |",
            "",
            f"one stroke, one sample at a time: median {np.median(times):.2f} ms, longest "
            f"{max(times[2:]):.2f} ms (without the first two, which compile); after the last "
            f"sample the logits differ from those of the whole series by at most {apart:.1e}",
        ]
    )


def _sample(given: Masked, place: int, arrived: bool) -> Masked:
    return Masked(given.values[:, place : place + 1], given.mask[:, place : place + 1] & arrived)


def _draw(right: list[float], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(
        xlabel="samples of touch", ylabel="accuracy, %", title="Materials, while they are stroked"
    )
    axes.plot(range(1, len(right) + 1), 100 * np.array(right))
    axes.axhline(95, linestyle=":", color="grey", label="best possible")
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=120)


def main(
    fast: bool = False, seeds: int = 3, steps: int = 800, workdir: Path = Path("runs/touch")
) -> None:
    """Train every model, and one that is fed sample by sample.

    Args:
        fast: 2 seeds, 30 steps and one fusion
        seeds: trainings of each model
        steps: of each training
        workdir: the folder for the runs, the results and the picture
    """
    compilation_cache.enable()
    if fast:
        study.compile_quickly()
        seeds, workdir = 2, workdir.with_name(f"{workdir.name}_fast")
    one, live = materials(False, steps), materials(True, steps)
    if fast:
        one, live = one.shortened(), live.shortened()
    scores, timed = study.run(one, workdir / "table", seeds), by_time(one)
    runs = study.train(timed, workdir / "by-time", "aligned", seeds)
    print(study.markdown({**scores, "aligned by time stamps": row(timed, runs)}))
    study.train(live, workdir / "streaming", "concat", seeds)
    picture = workdir / "arriving.png"
    print("\n" + arriving(workdir / "streaming" / "concat" / "seed-0", live, picture))
    print(f"picture: {picture}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
