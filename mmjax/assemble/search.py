"""Trains a few models on a table within a time, and keeps the best by validation."""

import contextlib
import dataclasses
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from flax import linen as nn

from mmjax import fusion
from mmjax.assemble import parts
from mmjax.assemble.outcome import Look, Trained
from mmjax.config import Compute, Experiment, Keeping
from mmjax.data.datasets import TableData
from mmjax.data.transforms.text import TextTransform
from mmjax.models import Multimodal
from mmjax.optim import AdamW
from mmjax.runs import log
from mmjax.train.loop.fit import fit

T = TypeVar("T")
FUSIONS: Mapping[str, Callable[[], nn.Module]] = {
    "late": fusion.Late,  # each modality's answers, averaged
    "concat": fusion.Concat,
    "gated": fusion.Gated,
    "cross_attention": fusion.CrossAttention,
}
BATCH = 64
_TRIAL = 20  # steps by which the speed is measured
_EPOCHS = 60  # at most
_LEAST = 40  # steps of a training
_LOOKS = 10  # validations in a training, at most
_LATE = 0.75  # share of a training after which its best step is as good as its end
_LOOKING = 0.25  # share of a training's time that they may take


class Pace(NamedTuple):
    """How long a training takes, in seconds."""

    step: float
    look: float  # a validation
    rest: float  # reading, compiling, one validation and the test

    def plan(self, seconds: float, most: int) -> tuple[int, int]:
        """(steps, validations) of a training of so many seconds and at most so many steps."""
        free = max(seconds - self.rest, 0.0)
        looks = min(max(int(_LOOKING * free / self.look), 2), _LOOKS)
        steps = int((free - (looks - 1) * self.look) / self.step)
        return min(max(steps, _LEAST), most) // looks * looks, looks


class Search:
    """The models for one target of a table."""

    def __init__(self, data: TableData, home: Path, *, seed: int = 0) -> None:
        """`data`: with all its columns; one of them is the target. `home`: folder of the runs."""
        data.prepare()
        self._data, self._home, self._seed = data, home, seed
        self._preprocessing = data.preprocessing()
        ((target, kind),) = self._preprocessing.targets.items()
        self._target, self.answer = target, parts.answer(target, kind)
        rows = data.facts()["rows"]
        self._rows, self._validated = rows["train"], rows["validation"]
        self._batch = min(BATCH, max(8, self._rows // 4) // 8 * 8)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the table."""
        return tuple(self._preprocessing.transforms)

    def models(self) -> dict[str, Multimodal]:
        """Each modality alone, then fusions of all; the last reads words in their order."""
        alone = {f"only {name}": self._model((name,), fusion.Concat()) for name in self.modalities}
        if len(self.modalities) == 1:
            return alone | self._ordered("words in order")
        fused = {name: self._model(self.modalities, make()) for name, make in FUSIONS.items()}
        return alone | fused | self._ordered("concat, words in order")

    def _ordered(self, name: str) -> dict[str, Multimodal]:
        model = self._model(self.modalities, fusion.Concat(), ordered=True)
        texts = any(isinstance(t, TextTransform) for t in self._preprocessing.transforms.values())
        return {name: model} if texts else {}

    def _model(
        self, modalities: tuple[str, ...], fused: nn.Module, *, ordered: bool = False
    ) -> Multimodal:
        transforms, head = self._preprocessing.transforms, self.answer.head
        fields = {field.name for field in dataclasses.fields(head)}
        if isinstance(fused, fusion.Late) and "hidden" in fields:
            head = head.clone(hidden=())  # a deeper one would mix the answers again
        return Multimodal(
            encoders={n: parts.encoder(transforms[n], ordered=ordered) for n in modalities},
            fusion=fused,
            heads={self._target: head},
        )

    def experiment(self, model: Multimodal, steps: int, looks: int = 1) -> Experiment:
        """The experiment of a model, validated `looks` times."""
        return Experiment(
            model=model,
            objectives={self._target: self.answer.objective},
            data=self._data.using(*model.encoders),
            optim=AdamW(peak_lr=2e-3, weight_decay=0.01),
            steps=steps,
            batch_size=self._batch,
            seed=self._seed,
            compute=Compute(parallel="jit"),
            keeping=_keeping(steps, looks),
        )

    def run(self, minutes: float, say: Callable[[str], None]) -> list[Trained]:
        """Train all models, and the best of them once more. The best comes first.

        If that was at its best well before its end, the new training ends there: it had begun to
        learn the training rows by heart. Else it takes the time that is left.
        """
        end = time.monotonic() + 60 * minutes
        models = self.models()
        pace = self._pace()
        most = max(_EPOCHS * self._rows // self._batch, _LEAST)
        share = (end - time.monotonic()) / (len(models) + 2)
        steps, looks = pace.plan(share, most)
        epochs = f"{steps * self._batch / self._rows:.3g} epochs"
        say(f"{len(models)} models, {steps} steps each of {self._batch} rows ({epochs})")
        trained = []
        for name, model in models.items():
            if time.monotonic() > end and trained:
                say(f"{name}: left out, the {minutes:g} minutes are over")
                continue
            trained.append(self._trained(name, self.experiment(model, steps, looks), say))
        best = self._best(trained, lambda one: one.looks[-1])
        again = self._best(best.looks, lambda look: look).step
        if again > _LATE * steps:  # it was still getting better
            longer, looks = pace.plan(end - time.monotonic(), most)
            again = max(longer, steps)
        if time.monotonic() < end and again != steps:
            changed = dataclasses.replace(
                best.experiment, steps=again, keeping=_keeping(again, looks)
            )
            trained.append(self._trained(f"{best.name}, {again} steps", changed, say))
            best = self._best(trained, lambda one: one.looks[-1])
        trained.sort(key=lambda one: self._quality(one.looks[-1]), reverse=True)
        return [best, *(one for one in trained if one is not best)]

    def _best(self, some: Sequence[T], look: Callable[[T], Look]) -> T:
        """The best by the metric, or by the loss where few validation rows cannot tell.

        Accuracies within one standard error of the best (as in Breiman et al., Classification and
        Regression Trees, 1984) are taken as equal: of 50 rows that is 7 points.
        """
        best = max(self._quality(look(one)) for one in some)
        error = 0.0
        if self.answer.metric.endswith("/accuracy") and 0 <= best <= 1:
            error = math.sqrt(best * (1 - best) / self._validated)
        near = [one for one in some if self._quality(look(one)) >= best - error]
        return min(near, key=lambda one: look(one).loss)

    def _quality(self, look: Look) -> float:
        value = look.value if self.answer.higher else -look.value
        return value if value == value else float("-inf")

    def _pace(self) -> Pace:
        """From a short training of the last model, which is among the slowest."""
        *_, model = self.models().values()
        trial = dataclasses.replace(
            self.experiment(model, _TRIAL), keeping=Keeping(eval_every=_TRIAL, log_every=5)
        )
        with tempfile.TemporaryDirectory() as folder, _quiet():
            began = time.monotonic()
            fit(trial, Path(folder) / "trial")
            spent = time.monotonic() - began
            lines = log.read(Path(folder) / "trial" / log.FILE)
        speed = [line["examples_per_second"] for line in lines if line["split"] == "train"][-1]
        # Forward is a third of a step; and a checkpoint is saved.
        look = self._validated / (3 * speed) + 0.1
        step = self._batch / speed
        return Pace(step, look, max(spent - _TRIAL * step, 0.0))

    def _trained(self, name: str, experiment: Experiment, say: Callable[[str], None]) -> Trained:
        run = self._home / name.replace(" ", "-").replace(",", "")
        with _quiet():
            test = fit(experiment, run)
        lines = [line for line in log.read(run / log.FILE) if line["split"] == "validation"]
        looks = tuple(
            Look(line["step"], _number(line.get(self.answer.metric)), _number(line.get("loss")))
            for line in lines
        )
        say(f"{name}: validation {self.answer.metric} {looks[-1].value:.4f}")
        return Trained(name, run, looks, test, experiment)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _keeping(steps: int, looks: int) -> Keeping:
    part = max(steps // looks, 1)
    return Keeping(eval_every=part, log_every=part, keep=1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A context in which trainings print nothing."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield
