"""Knowledge that moves: from digits to MNIST, and from speech with pictures to speech alone.

    digits -> MNIST   a network for scikit-learn's digits, then MNIST at the same 8 x 8 pixels
    speech            a network that hears a digit and sees a picture of it, then one that hears
                      only; one of the six people is never heard in training

Each with 1 %, 10 % and 100 % of the labels: from scratch; with the source's encoder frozen,
fine-tuned at a tenth of the learning rate, or with adapters of rank 4 (LoRA); and from scratch with
the source's answers on all examples (distilled: Hinton et al. 2015), with its features or their
distances too (FitNets, Romero et al. 2015; relations, Park et al. 2019).

    python experiments/transfer_table.py --mnist DIR --fsdd DIR   # folders of the original files
    python experiments/transfer_table.py --mnist DIR --fsdd DIR --fast
    python experiments/transfer_table.py --fsdd DIR --held-out george jackson theo

writes results.json to runs/transfer_table; the same command goes on where it was stopped. The table
with its spread over 3 seeds: experiments/README.md.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import study
import tyro
from at_once import at_once

import mmjax
from mmjax import objectives
from mmjax.config.sweep import Point
from mmjax.data.datasets import storage
from mmjax.data.datasets.digits_match import NAMES
from mmjax.data.datasets.spoken_match import Speaker
from mmjax.data.targets import Category
from mmjax.data.transforms.image import ImageTransform
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import fit_many

SHARES = (0.01, 0.1, 1.0)
METHODS = (
    *("scratch", "frozen", "fine-tuned", "adapters"),
    *("distilled", "distilled, features", "distilled, relations"),
)
FEATURES = {
    "distilled, features": objectives.FeatureDistillation,
    "distilled, relations": objectives.RelationDistillation,
}
LOSS = objectives.SoftmaxCrossEntropy(output="digit", target="digit")


class PicturesSource(mmjax.data.Source):
    """Pictures 8 x 8 and the names of their digits."""

    def __init__(self, images: np.ndarray, digits: np.ndarray, known: np.ndarray) -> None:
        self._images, self._digits, self._known = images, digits, known

    def __len__(self) -> int:
        return len(self._images)

    def read(self, indices: np.ndarray, rng: Any, own: slice = slice(None)) -> Any:
        rows = indices[own]
        names = [NAMES[self._digits[i]] if self._known[i] else None for i in rows]
        return mmjax.data.Examples({"image": self._images[rows]}, {"digit": names})


@dataclasses.dataclass(frozen=True)
class Pictures(mmjax.data.Dataset):
    """scikit-learn's digits, or MNIST as means of 3 x 3 pixels, whose labels are partly known."""

    kind: Literal["digits", "mnist"] = "digits"
    manual_dir: mmjax.data.Place = None  # folder with MNIST's four files
    labelled: float = 1.0  # share of the training pictures of each digit whose digit is known

    def prepare(self) -> None:
        storage.prepare(self._builder(), manual_dir=self.manual_dir)

    def source(self, split: str) -> PicturesSource:
        rows = storage.columns(self._builder(), split, manual_dir=self.manual_dir)
        images, digits = rows["image"], rows["label"]
        if images.shape[1] == 28:
            means = images[:, 2:26, 2:26].reshape(-1, 8, 3, 8, 3, 1).mean(axis=(2, 4))
            images = np.rint(means).astype(np.uint8)
        known = np.ones(len(digits), bool)
        if split == "train":
            for digit in range(10):
                of_digit = np.flatnonzero(digits == digit)
                known[of_digit[max(1, round(self.labelled * len(of_digit))) :]] = False
        return PicturesSource(images, digits, known)

    def preprocessing(self) -> mmjax.data.Preprocessing:
        # Digits and MNIST with the same numbers, so that a network of one reads the other.
        levels = ImageTransform((8, 8, 1), mean=(0.3,), std=(0.35,))
        return mmjax.data.Preprocessing({"image": levels}, {"digit": Category(NAMES, (1,) * 10)})

    def _builder(self) -> Any:
        if self.kind == "digits":
            from mmjax.data.datasets.digits import Digits

            return Digits
        from mmjax.data.datasets.mnist import Mnist

        return Mnist


mmjax.register(Pictures, family="data")


@dataclasses.dataclass(frozen=True)
class Case:
    """Where knowledge comes from, and where it is wanted."""

    modality: str  # of the network that learns
    encoders: dict[str, Any]  # of the source
    source: mmjax.data.Dataset
    target: Callable[[float], mmjax.data.Dataset]  # by the share of labels
    steps: int

    def model(self, *modalities: str, **fields: Any) -> mmjax.Multimodal:
        heads = {"digit": mmjax.heads.Classes(classes=10, hidden=(64,))}
        return mmjax.Multimodal(
            encoders={name: self.encoders[name] for name in modalities},
            fusion=mmjax.fusion.Concat(),
            heads={**heads, **fields.pop("heads", {})},
            **fields,
        )

    def experiment(self, model: mmjax.Multimodal, data: Any, **fields: Any) -> mmjax.Experiment:
        keeping = mmjax.Keeping(eval_every=self.steps, log_every=self.steps)
        base: dict[str, Any] = dict(
            objectives={"digit": LOSS},
            optim=mmjax.optim.Adam(peak_lr=3e-3),
            steps=self.steps,
            batch_size=64,
            keeping=keeping,
        )
        return mmjax.Experiment(model=model, data=data, **base | fields)

    def method(self, name: str, run: Path, labelled: float) -> mmjax.Experiment:
        """The training of a row of the table."""
        model = functools.partial(self.model, self.modality)
        path, data = f"encoders.{self.modality}", self.target(labelled)
        init = f"{path}={run}:{path}"
        match name:
            case "scratch":
                return self.experiment(model(), data)
            case "frozen":
                return self.experiment(model(frozen=(self.modality,)), data, init=init)
            case "fine-tuned":
                slow = mmjax.optim.Adam(peak_lr=3e-3, rates={f"encoders_{self.modality}": 0.1})
                return self.experiment(model(), data, init=init, optim=slow)
            case "adapters":
                return self.experiment(model(adapters={self.modality: 4}), data, init=init)
        taught: dict[str, Any] = {
            "digit": LOSS,
            "taught": objectives.Distillation(output="digit", target="teacher_digit"),
        }
        heads = {}
        if name in FEATURES:
            width = sum(encoder.dim for encoder in self.encoders.values())
            heads["features"] = mmjax.heads.Classes(classes=width, hidden=())
            taught["features"] = FEATURES[name](output="features", target="teacher_embedding")
        network = model(heads=heads)
        return self.experiment(network, data, objectives=taught, teacher=str(run))


def cases(
    mnist: Path | None, fsdd: Path, steps: int, held_out: Sequence[Speaker]
) -> dict[str, Case]:
    """Both transfers, that of speech for each person."""
    image = mmjax.encoders.Cnn(features=(32, 64), dim=64)
    heard = mmjax.encoders.AudioCnn(sample_rate=8000, hop=0.02, mels=32, features=(16, 32), dim=32)
    found = {}
    if mnist is not None:
        found["digits -> MNIST"] = Case(
            "image",
            {"image": image},
            Pictures(),
            lambda share: Pictures("mnist", str(mnist), share),
            steps,
        )
    for person in held_out:
        speech = functools.partial(
            mmjax.data.SpokenDigit, manual_dir=str(fsdd), max_samples=6000, held_out=person
        )
        title = f"speech with pictures -> speech of {person}"
        encoders = {"image": image, "speech": heard}
        found[title] = Case(
            "speech", encoders, speech(), lambda share, speech=speech: speech(labelled=share), steps
        )
    return found


class Job(NamedTuple):
    """A training, its folder, and the number of its seeds."""

    experiment: mmjax.Experiment
    home: Path
    seeds: int


def accuracies(job: Job) -> list[float]:
    """Train with every seed, as far as that is not done; returns the test accuracies."""
    compilation_cache.enable()
    if job.seeds == 1:
        return [fit(job.experiment, job.home)["digit/accuracy"]]
    runs = fit_many([Point({}, job.experiment)], job.home, seeds=job.seeds)
    return [run.metrics["digit/accuracy"] for run in runs]


def train(jobs: Sequence[Job], fast: bool) -> None:
    """Train, on CPUs as many at once as cores, and say how far it is."""
    for number, _ in enumerate(at_once(accuracies, jobs, 1 if fast else None), 1):
        print(f"trained {number} of {len(jobs)}", flush=True)


def table(title: str, found: Mapping[tuple[str, float], Sequence[float]]) -> str:
    """Mean and standard deviation of each method (rows) and share of the labels."""
    shares = sorted({share for _, share in found})
    head = f"| {title} | " + " | ".join(f"{share:.0%} of the labels" for share in shares)
    lines = [head + " |", "| --- " * (1 + len(shares)) + "|"]
    for name in METHODS:
        own = [100 * np.array(found[name, share]) for share in shares]
        cells = (f"{one.mean():.1f} ± {one.std(ddof=1):.1f}" for one in own)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    fsdd: Path,
    mnist: Path | None = None,
    held_out: tuple[Speaker, ...] = ("theo",),
    fast: bool = False,
    seeds: int = 3,
    steps: int = 400,
    workdir: Path = Path("runs/transfer_table"),
) -> None:
    """Train everything, and print a table of test accuracies for each transfer.

    Args:
        fsdd: folder with free-spoken-digit-dataset.tar.gz
        mnist: folder with MNIST's four files; none: without its table
        held_out: persons whom no network hears in training; of several also the mean, with the
            standard deviation over persons
        fast: 2 seeds, 20 steps and a tenth of the labels alone
        seeds: trainings of each cell
        steps: of each training
        workdir: the folder for the runs and the results
    """
    compilation_cache.enable()
    shares = SHARES
    if fast:
        study.compile_quickly()
        seeds, steps, shares = 2, 20, SHARES[1:2]
        workdir = workdir.with_name(f"{workdir.name}_fast")
    every = cases(mnist, fsdd, steps, held_out)
    homes = {title: workdir / title.replace(" ", "-").replace(">", "") for title in every}
    sources = {
        title: Job(case.experiment(case.model(*case.encoders), case.source), home / "source", 1)
        for (title, case), home in zip(every.items(), homes.values(), strict=True)
    }
    train(list(sources.values()), fast)
    cells = {
        (title, name, share): Job(
            case.method(name, homes[title] / "source", share),
            homes[title] / f"{name.replace(', ', '-')}-{share:g}",
            seeds,
        )
        for title, case in every.items()
        for name, share in itertools.product(METHODS, shares)
    }
    train(list(cells.values()), fast)
    results: dict[str, dict[str, list[float]]] = {}
    of_persons: dict[tuple[str, float], list[float]] = {}
    for title, case in every.items():
        found: dict[tuple[str, float], list[float]] = {}
        for name, share in itertools.product(METHODS, shares):
            found[name, share] = accuracies(cells[title, name, share])
            if case.modality == "speech":
                of_persons.setdefault((name, share), []).append(float(np.mean(found[name, share])))
        results[title] = {f"{name}, {share:g}": own for (name, share), own in found.items()}
        (teacher,) = accuracies(sources[title])
        print(f"{table(title, found)}\n\nthe source on its own test data: {100 * teacher:.1f}\n")
    json_file.write(workdir / "results.json", {"steps": steps, "accuracies": results})
    if len(held_out) > 1:
        print(table(f"mean of {len(held_out)} persons", of_persons))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
