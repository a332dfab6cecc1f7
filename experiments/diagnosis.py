"""Planted patients: is a lesion malignant, how long do they live? From a scan and a record.

Planted data of known optimum: the texture of a scan is coarse or fine, age and smoking add to the
risk, and a fifth of the cells are missing. 1 to 3 scans of each patient, whose scans stay in one
split. The log odds are 1.2 texture + 1.0 age + 0.8 smoking (standardised, -1 or 1); the hazard of
death is exp(0.9 times them).

    python experiments/diagnosis.py
    python experiments/diagnosis.py --fast       # does it run?
    python experiments/diagnosis.py --fold 2/5   # test on the second of five folds, by patient

Prints a table of models for each target (AUROC; concordance), and what one model decides: its
calibration, the threshold of 90 % sensitivity, intervals by bootstrap over patients, and sets of
classes that hold the true one in 90 % of the cases. Figures over 3 seeds: experiments/README.md.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.special
import study
import tyro
from PIL import Image

import mmjax
from mmjax import fusion
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.metrics.binary import auroc
from mmjax.metrics.survival import concordance
from mmjax.statistics.bootstrap import Bootstrap
from mmjax.statistics.conformal import classes, coverage, fit_classes
from mmjax.statistics.scaling import Temperature, two_classes
from mmjax.statistics.thresholds import choose, operating_point

SIDE = 24  # pixels of a scan
FUSIONS = {
    "concat": fusion.Concat(),
    "gated": fusion.Gated(),
    "cross_attention": fusion.CrossAttention(),
}
ENCODERS = {
    "image": mmjax.encoders.Cnn(features=(16, 32), dim=32),
    "table": mmjax.encoders.FtTransformer(dim=32, layers=1, heads=4),
}
SENSITIVITY, ALPHA = 0.9, 0.1
FIELDS = ("image", "age", "smoker", "patient", "malignant", "months", "died", "odds", "coarse")


def write_planted(folder: Path, patients: int = 1600, seed: int = 0) -> None:
    """Write rows.csv and the scans as PNG files; nobody was ever examined."""
    random = np.random.RandomState(seed)  # its numbers never change
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    rows = []
    for patient in range(patients):
        age, smoker = random.uniform(30, 90), random.random_sample() < 0.5
        for scan in range(random.randint(1, 4)):
            coarse = random.random_sample() < 0.5
            odds = 1.2 * (2 * coarse - 1) + (age - 60) / 17.3 + 0.8 * (2 * smoker - 1)
            noise = scipy.ndimage.gaussian_filter(random.randn(SIDE, SIDE), 1.5 if coarse else 0.7)
            noise = noise / noise.std() + 0.5 * random.randn(SIDE, SIDE)
            path = f"scans/{patient:04}-{scan}.png"
            grey = np.clip(128 + 40 * noise, 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / path)
            until, lost = random.exponential(24 / np.exp(0.9 * odds)), random.uniform(0, 60)
            cells = [f"{age:.0f}", "yes" if smoker else "no"]
            cells = [cell if random.random_sample() > 0.2 else "" for cell in cells]
            malignant = random.random_sample() < scipy.special.expit(odds)
            time, died = f"{min(until, lost):.2f}", int(until <= lost)
            rows.append(
                [path, *cells, patient, int(malignant), time, died, f"{odds:.4f}", int(coarse)]
            )
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([FIELDS, *rows])


def data(folder: Path, fold: str) -> mmjax.data.TableData:
    """The table; rows of one patient are in one split."""
    return mmjax.data.TableData(
        file="rows.csv",
        data_dir=str(folder),
        columns={
            "image": columns.ImageColumn(size=(SIDE, SIDE)),
            "table": columns.TableColumn(column=("age", "smoker")),
            "malignant": columns.BinaryColumn(),
            "survival": columns.SurvivalColumn(column=("months", "died")),
            "odds": columns.NumberColumn(),
            "coarse": columns.BinaryColumn(),
            "patient": columns.GroupColumn(),
        },
        group="patient",
        fold=fold,
        shares=(0.15, 0.2),
    )


def studies(table: mmjax.data.TableData, steps: int) -> dict[str, study.Study]:
    """The models of both targets."""
    cells: Any = table.preprocessing().transforms["table"]
    encoder = ENCODERS["table"].clone(categories=cells.categories)
    answers = {
        "malignant": (
            mmjax.heads.Logit(hidden=(32,)),
            mmjax.objectives.BinaryCrossEntropy(output="malignant", target="malignant"),
            "auroc",
        ),
        "survival": (
            mmjax.heads.Number(hidden=(32,)),
            mmjax.objectives.Cox(output="survival", target="survival"),
            "concordance",
        ),
    }
    return {
        name: study.Study(
            data=table,
            encoders={"image": ENCODERS["image"], "table": encoder},
            head=head,
            objective=objective,
            metric=metric,
            fusions=FUSIONS,
            steps=steps,
        )
        for name, (head, objective, metric) in answers.items()
    }


def read(table: mmjax.data.TableData, split: str) -> dict[str, np.ndarray]:
    """Targets of a split: label, odds, texture, patient, time and event; and the visible cells.

    Texture and "smoker" are -1 or 1; "age" is in years; a missing cell is NaN.
    """
    source = table.source(split)
    rows = source.read(np.arange(len(source)), None)
    names = ("malignant", "odds", "patient", "survival")
    found = {name: np.array(rows.targets[name]) for name in names}
    cells = [row or {} for row in rows.inputs["table"]]
    numbers = {"no": -1.0, "yes": 1.0}
    return found | {
        "texture": 2 * np.array(rows.targets["coarse"]) - 1,
        "age": np.array([float(row.get("age") or "nan") for row in cells]),
        "smoker": np.array([numbers.get(row.get("smoker") or "", np.nan) for row in cells]),
    }


def halves(patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All rows of every other patient, and one row of each of the others."""
    _, first, place = np.unique(patients, return_index=True, return_inverse=True)
    return np.flatnonzero(place % 2 == 0), first[1::2]


def decisions(one: study.Study, run: Path) -> list[str]:
    """What a run's probabilities are worth, in words; chosen on validation, judged on test.

    Temperature and threshold are of half of the validation patients. The limits of the sets are of
    the others, who have not chosen the temperature: one scan each, since the scans of a patient are
    not exchangeable with those of a new one.
    """
    table: Any = one.data
    known = {split: read(table, split) for split in ("validation", "test")}
    logits = {split: study.outputs(one, run, split) for split in known}
    label = {split: known[split]["malignant"].astype(int) for split in known}
    test, truth = logits["test"], label["test"]
    patients = Bootstrap(groups=known["test"]["patient"], resamples=1000)
    area = patients.interval(
        lambda rows: auroc(test[rows], truth[rows], np.ones(len(rows))), len(test)
    )
    fitted, limiting = halves(known["validation"]["patient"])
    both, held = two_classes(logits["validation"]), label["validation"]
    scaled = Temperature.fit(both[fitted], held[fitted])
    p = {split: scaled(two_classes(logits[split])) for split in known}
    threshold = choose(p["validation"][fitted, 1], held[fitted], "sensitivity", SENSITIVITY)
    point = operating_point(p["test"][:, 1], truth, threshold)
    limits = fit_classes(p["validation"][limiting], held[limiting], ALPHA)
    sets = classes(p["test"], limits)
    covered, size = coverage(sets, truth)
    certain = sets.sum(axis=1) == 1
    right = np.mean(sets[certain, truth[certain]])
    return [
        f"AUROC {area.value:.3f}, 95 % interval over patients {area.low:.3f} to {area.high:.3f}",
        f"temperature {scaled.temperature:.2f}",
        f"threshold {threshold:.3f} for a sensitivity of {SENSITIVITY:.0%} in validation: "
        f"sensitivity {point.sensitivity:.3f}, specificity {point.specificity:.3f} in test",
        f"sets that should hold the class in {1 - ALPHA:.0%}: in {covered:.1%}, {size:.2f} classes "
        f"in the mean; {np.mean(certain):.1%} decided, of which {right:.1%} are right; the others "
        "are for a physician",
    ]


def visible(
    texture: np.ndarray, age: np.ndarray, smoker: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The chance of malignancy and the mean log odds, given texture and the cells that are there.

    A missing age is uniform between 30 and 90, and half of the others smoke. No order by the row
    alone has a higher AUROC in the mean than that by the chance, nor a higher concordance than that
    by the mean log odds, about which what is missing is distributed symmetrically.
    """
    old, half = (age - 60) / 17.3, 30 / 17.3
    chance = np.zeros(len(age))
    for sign in (-1, 1):
        rest = 1.2 * texture + 0.8 * sign
        mean = (np.logaddexp(0, rest + half) - np.logaddexp(0, rest - half)) / (2 * half)
        share = np.where(np.isnan(smoker), 0.5, smoker == sign)
        chance += share * np.where(np.isnan(age), mean, scipy.special.expit(rest + old))
    return chance, 1.2 * texture + np.nan_to_num(old) + 0.8 * np.nan_to_num(smoker)


def optimum(table: mmjax.data.TableData) -> dict[str, dict[str, float]]:
    """AUROC and concordance on the test split, of who knows every cell and of who sees the row."""
    known = read(table, "test")
    odds, times = known["odds"].astype(float), known["survival"].astype(float)
    label = known["malignant"].astype(int)
    chance, mean = visible(known["texture"], known["age"], known["smoker"])
    return {
        name: {
            "malignant": auroc(by_chance, label, np.ones(len(odds))),
            "survival": concordance(by_odds, times[:, 0], times[:, 1] > 0),
        }
        for name, by_chance, by_odds in (
            ("who knows every cell", odds, odds),
            ("who knows the texture and sees the cells that are there", chance, mean),
        )
    }


def main(
    fast: bool = False,
    fold: str = "",
    seeds: int = 3,
    steps: int = 300,
    workdir: Path = Path("runs/diagnosis"),
) -> None:
    """Train every model of both targets, and print tables and decisions.

    Args:
        fast: fewer patients, 2 seeds, 30 steps and one fusion
        fold: such as 2/5: the test split is this fold of the patients
        seeds: trainings of each model
        steps: of each training
        workdir: the folder for the data, the runs and the results
    """
    compilation_cache.enable()
    if fast:
        study.compile_quickly()
        seeds, workdir = 2, workdir.with_name(f"{workdir.name}_fast")
    if not (workdir / "rows.csv").exists():
        write_planted(workdir, 200 if fast else 1600)
    table = data(workdir, fold)
    table.prepare()
    best = optimum(table)
    for name, one in studies(table, steps).items():
        one = one.shortened() if fast else one
        home = workdir / f"{name}{fold.replace('/', '-of-')}"
        scores = study.run(one, home, seeds)
        stated = (f"{who} has {100 * values[name]:.1f}" for who, values in best.items())
        print(f"\n{name}: {one.metric}; {'; '.join(stated)}\n")
        print(study.markdown(scores))
        if name == "malignant":
            print("\n" + "\n".join(decisions(one, home / "cross_attention" / "seed-0")))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
