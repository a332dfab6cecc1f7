"""Planted films of the chest: which of four findings are there? From a film and a first report.

Planted films and reports of known optimum: each finding is there in 30 % of the films. Of those
that are there 70 % can be seen, as a mark of its own; the report speaks of 60 % of all findings,
there or not ("no effusion"), and is right. 1 to 3 films of each patient stay in one split.

    python experiments/findings.py
    python experiments/findings.py --fast                # does it run?
    python experiments/findings.py --dicom               # films as 12-bit DICOM files
    python experiments/findings.py --file reports.csv    # columns image, report, findings, patient

Prints a table of models: the mean AUROC over findings, and other metrics of several labels. The
table with its spread over 3 seeds: experiments/README.md.
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
from mmjax.metrics.multi_label import multi_label_metrics

SIDE = 24  # pixels of a film
NAMES = ("calcification", "cavity", "effusion", "nodule")
THERE, SEEN, SAID = 0.3, 0.7, 0.6  # shares: of films, of those that are there, of all
PRESENT = ("there is a {}", "{} is seen", "a small {} again")
ABSENT = ("no {}", "no evidence of {}", "{} is excluded")
FUSIONS = {
    "concat": fusion.Concat(),
    "gated": fusion.Gated(),
    "cross_attention": fusion.CrossAttention(),
}


def film(shown: set[str], random: np.random.RandomState) -> np.ndarray:
    """Grey levels 0 to 1 `[SIDE, SIDE]`: smooth tissue, noise, and a mark of each finding."""
    tissue = scipy.ndimage.gaussian_filter(random.randn(SIDE, SIDE), 4)
    levels = 0.35 + 0.08 * tissue / tissue.std() + 0.05 * random.randn(SIDE, SIDE)
    rows, places = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(*(x - random.uniform(5, SIDE - 8) for x in (rows, places)))
    marks = {
        "nodule": distance < 2.5,
        "effusion": rows >= SIDE - random.randint(3, 6),
        "calcification": random.random_sample((SIDE, SIDE)) < 0.02,
    }
    around = np.hypot(*(x - random.uniform(5, SIDE - 8) for x in (rows, places)))
    marks["cavity"] = (around > 2.5) & (around < 4)
    for name in sorted(shown):
        levels = np.where(marks[name], levels + (0.5 if name == "calcification" else 0.25), levels)
    return np.clip(levels, 0, 1)


def save(path: Path, levels: np.ndarray, *, dicom: bool) -> None:
    """Write grey levels 0 to 1 as an 8-bit PNG file, or as a 12-bit DICOM file."""
    if not dicom:
        Image.fromarray(np.rint(255 * levels).astype(np.uint8)).save(path)
        return
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import (
            ComputedRadiographyImageStorage,
            ExplicitVRLittleEndian,
            generate_uid,
        )
    except ImportError:
        raise SystemExit("--dicom needs an extra: pip install 'mmjax[medical]'") from None
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.set_pixel_data(np.rint(4095 * levels).astype(np.uint16), "MONOCHROME2", 12)
    data.save_as(path, enforce_file_format=True)


def write_planted(
    folder: Path, patients: int = 3000, seed: int = 0, *, dicom: bool = False
) -> Path:
    """Write a table and its films; returns the table. Nobody was ever examined."""
    random = np.random.RandomState(seed)  # its numbers never change
    (folder / "films").mkdir(parents=True, exist_ok=True)
    rows = []
    for patient in range(patients):
        for number in range(random.randint(1, 4)):
            there = {name for name in NAMES if random.random_sample() < THERE}
            seen = {name for name in sorted(there) if random.random_sample() < SEEN}
            said = [name for name in random.permutation(NAMES) if random.random_sample() < SAID]
            phrases = [
                (PRESENT if name in there else ABSENT)[random.randint(3)].format(name)
                for name in said
            ]
            path = f"films/{patient:04}-{number}.{'dcm' if dicom else 'png'}"
            save(folder / path, film(seen, random), dicom=dicom)
            found = (";".join(sorted(names)) for names in (there, seen, said))
            rows.append([path, ". ".join(phrases) or "unremarkable", patient, *found])
    table = folder / ("dicom.csv" if dicom else "rows.csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("image", "report", "patient", "findings", "seen", "said"), *rows])
    return table


def data(table: Path, *, planted: bool) -> mmjax.data.TableData:
    """The table; rows of one patient are in one split."""
    known: dict[str, Any] = {
        name: columns.MultiLabelColumn(empty="none") for name in ("seen", "said") if planted
    }
    return mmjax.data.TableData(
        file=table.name,
        data_dir=str(table.parent),
        columns={
            "image": columns.ImageColumn(size=(SIDE, SIDE) if planted else (64, 64), grey=True),
            "report": columns.TextColumn(),
            "findings": columns.MultiLabelColumn(empty="none"),
            "patient": columns.GroupColumn(),
            **known,
        },
        group="patient",
        shares=(0.15, 0.2),
    )


def models(table: mmjax.data.TableData, steps: int) -> study.Study:
    """The models of the table."""
    preprocessing: Any = table.preprocessing()
    labels, words = preprocessing.targets["findings"], preprocessing.transforms["report"]
    return study.Study(
        data=table,
        encoders={
            "image": mmjax.encoders.Cnn(features=(16, 32), dim=32),
            "report": mmjax.encoders.Lstm(words.vocabulary_size, dim=32, pooling="mean"),
        },
        head=mmjax.heads.Logit(hidden=(64,), labels=len(labels.names)),
        objective=mmjax.objectives.BinaryCrossEntropy(output="findings", target="findings"),
        metric="macro_auroc",
        more=("mean_average_precision", "macro_f1", "f1", "accuracy"),
        fusions=FUSIONS,
        steps=steps,
    )


def optimum(table: mmjax.data.TableData) -> dict[str, float]:
    """The mean AUROC of who reads the film, the report, or both without an error, on test rows."""
    source = table.source("test")
    targets = source.read(np.arange(len(source)), None).targets
    there, seen, said = (
        np.array([[name in row for name in NAMES] for row in targets[column]])
        for column in ("findings", "seen", "said")
    )
    unseen = scipy.special.logit(THERE * (1 - SEEN) / (1 - THERE * SEEN))
    certain = np.where(there, 10.0, -10.0)
    film_alone = np.where(seen, 10.0, unseen)
    odds = {
        "the film alone": film_alone,
        "the report alone": np.where(said, certain, scipy.special.logit(THERE)),
        "both": np.where(said, certain, film_alone),
    }
    weight, label = np.ones(there.shape), there.astype(float)
    return {
        name: multi_label_metrics(one, label, weight)["macro_auroc"] for name, one in odds.items()
    }


def main(
    fast: bool = False,
    dicom: bool = False,
    file: Path | None = None,
    seeds: int = 3,
    steps: int = 800,
    workdir: Path = Path("runs/findings"),
) -> None:
    """Train every model and print their table.

    Args:
        fast: fewer patients, 2 seeds, 30 steps and one fusion
        dicom: plant DICOM files instead of PNG files; needs mmjax[medical]
        file: a table of yours instead of the planted one
        seeds: trainings of each model
        steps: of each training
        workdir: the folder for the data, the runs and the results
    """
    compilation_cache.enable()
    if fast:
        study.compile_quickly()
        seeds, workdir = 2, workdir.with_name(f"{workdir.name}_fast")
    planted = file is None
    if file is None:
        file = workdir / ("dicom.csv" if dicom else "rows.csv")
        if not file.exists():
            write_planted(workdir, 150 if fast else 3000, dicom=dicom)
    table = data(file, planted=planted)
    table.prepare()
    if planted:
        best = (f"{name} {100 * value:.1f}" for name, value in optimum(table).items())
        print(f"who reads without an error has a mean AUROC of: {', '.join(best)}\n")
    one = models(table, steps)
    scores = study.run(one.shortened() if fast else one, workdir / file.stem, seeds)
    lines = study.markdown(scores)
    (workdir / f"{file.stem}.md").write_text(lines + "\n", encoding="utf-8")
    print(lines)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
