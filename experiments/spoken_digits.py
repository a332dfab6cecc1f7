"""Which digit is it, seen and heard? Six folds, each tested on a person who was never heard.

scikit-learn's digits with noise of 0.4 of the grey range, and recordings of the Free Spoken Digit
Dataset with white noise 5 dB below the voice. The models are also tested with clean data, with more
noise on either side, and with either side missing.

    python experiments/spoken_digits.py --manual-dir DIR         # free-spoken-digit-dataset.tar.gz
    python experiments/spoken_digits.py --manual-dir DIR --fast  # one fold, 2 seeds, 20 steps
    python experiments/spoken_digits.py --manual-dir DIR --every # every fusion of the package
    python experiments/spoken_digits.py --manual-dir DIR --task match   # do both say the same?
    python experiments/spoken_digits.py --manual-dir DIR --task match --every --seeds 1

writes results.json and table.md to runs/spoken_digits; the same command goes on where it was
stopped. The table with its spread over 3 seeds and the folds: experiments/README.md.
"""

from pathlib import Path
from typing import Any, Literal

import study
import tyro

import mmjax
from mmjax import fusion
from mmjax.data.datasets.spoken_match import SPEAKERS, Speaker
from mmjax.devices import compilation_cache
from mmjax.io import json_file

ENCODERS = {
    "image": mmjax.encoders.Cnn(features=(16, 32), dim=32),
    "speech": mmjax.encoders.AudioCnn(
        sample_rate=8000, hop=0.02, mels=32, features=(16, 32), dim=32
    ),
}
FUSIONS = {
    "concat": fusion.Concat(),
    "gated": fusion.Gated(),
    "cross_attention": fusion.CrossAttention(),
}
STEPS = {"digit": 250, "match": 1000}
NOISE = {"image_noise": 0.4, "speech_noise": 5.0}
CONDITIONS = {
    "clean": {"image_noise": 0.0, "speech_noise": None},
    "image noise 0.8": {"image_noise": 0.8},
    "speech noise -5 dB": {"speech_noise": -5.0},
}


def fold(
    speaker: Speaker, manual_dir: Path, task: str, steps: int | None, *, every: bool
) -> study.Study:
    """The models that have never heard `speaker`; `every`: with all fusions of the package."""
    others = {name: cls() for name, cls in fusion.FUSIONS.items() if name not in FUSIONS}

    def data(**noise: float | None) -> mmjax.data.SpokenMatch:
        kind = mmjax.data.SpokenDigit if task == "digit" else mmjax.data.SpokenMatch
        levels: Any = {**NOISE, **noise}
        return kind(manual_dir=str(manual_dir), max_samples=6000, held_out=speaker, **levels)

    head, objective = {
        "digit": (mmjax.heads.Classes(10, hidden=(64,)), mmjax.objectives.SoftmaxCrossEntropy),
        "match": (mmjax.heads.Logit(hidden=(64,)), mmjax.objectives.BinaryCrossEntropy),
    }[task]
    return study.Study(
        data=data(),
        encoders=ENCODERS,
        head=head,
        objective=objective(output=task, target=task),
        metric="accuracy",
        fusions=(others if every else {}) | FUSIONS,
        steps=steps or STEPS[task],
        conditions={name: data(**changed) for name, changed in CONDITIONS.items()},
    )


def main(
    manual_dir: Path,
    fast: bool = False,
    task: Literal["digit", "match"] = "digit",
    every: bool = False,
    seeds: int = 3,
    steps: int | None = None,
    workdir: Path = Path("runs/spoken_digits"),
) -> None:
    """Train every model for every fold, and print the mean over folds.

    ± is the standard deviation over seeds; of one seed, over folds.

    Args:
        manual_dir: folder with the archive
        fast: one fold, 2 seeds and 20 steps
        task: which digit picture and voice are of, or whether they are of the same one
        every: every fusion of the package, not three
        seeds: trainings of each model and fold
        steps: of each training; by default 250 of the digit, 1,000 of the match
        workdir: the folder for the runs and the results
    """
    compilation_cache.enable()
    if fast:
        study.compile_quickly()
        seeds, steps, workdir = 2, 20, workdir.with_name(f"{workdir.name}_fast")
    home = workdir if task == "digit" else workdir / task
    studies = {
        home / speaker: fold(speaker, manual_dir, task, steps, every=every)
        for speaker in (SPEAKERS[:1] if fast else SPEAKERS)
    }
    folds = study.run_all(studies, seeds)
    means, spread = study.over_folds(folds)
    json_file.write(home / "results.json", {"scores": means, "std over folds": spread})
    table = study.markdown(means if seeds > 1 else study.by_fold(folds))
    (home / "table.md").write_text(table + "\n", encoding="utf-8")
    print(table)
    print("standard deviation over folds:", {n: f"{100 * s:.1f}" for n, s in spread.items()})


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
