"""The report of a run: what its sections read, computed once, and the page that they make."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

from mmjax.config import Experiment
from mmjax.data.datasets import TableData
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.audio import AudioTransform
from mmjax.errors import UserError
from mmjax.evaluation.calibration import Calibration
from mmjax.evaluation.examined import Examined, Records
from mmjax.evaluation.opened import open_run
from mmjax.reports import page, shown
from mmjax.reports.drawing import Drawing
from mmjax.reports.task import Task
from mmjax.runs import folder
from mmjax.runs.restore import restore, step_of

OWN = "the model's own, not calibrated"  # probabilities
_SAVED = 320  # pixels of the longer side of a map's file, if it has fewer
Write = Callable[["Report"], Iterator[str]]


class Report:
    """A run, one of its splits, and what is computed from both when a section asks for it."""

    def __init__(
        self,
        run: Path,
        split: str = "test",
        *,
        checkpoint: str = "last",
        data_dir: str | None = None,
        sample: int = 1000,
        by: Sequence[str] = (),
        group: str | None = None,
        resamples: int = 1000,
        figures: Path | None = None,
        calibrated: bool = True,
    ) -> None:
        """Open the run. Without its data, `absent` says what is missing.

        Args:
            run: the folder of a finished run
            split: train, validation or test
            checkpoint: as in `restore`
            data_dir: where the data are, by default as in the training
            sample: examples of analyses that need many passes, drawn at random
            by: further columns of the table, to compare groups of its rows
            group: column of the table whose equal values are drawn together; by default the one
                that kept them in one split
            resamples: of the bootstrap
            figures: folder for the drawings; None: only the page has them
            calibrated: probabilities are those of mmjax calibrate, if it has fitted this checkpoint

        Raises:
            UserError: not a finished run, no such split, or no such column.
        """
        self.run, self.split, self.figures = run, split, figures
        self.by, self.resamples, self._drawn = by, resamples, 0
        self.experiment: Experiment = folder.require(run)
        self.restored = restore(run, checkpoint)
        self.step = step_of(run, self.experiment, checkpoint)
        self.calibration, self._unused = None, ""
        if calibrated:
            self.calibration, self._unused = Calibration.of_step(run, self.step)
        self.absent = ""
        try:
            self.opened = open_run(run, checkpoint, data_dir=data_dir)
            self.examined = Examined(self.opened, split, sample=sample)
        except FileNotFoundError as error:
            self.absent = str(error)
        else:
            self.experiment = self.opened.experiment
            group = group or getattr(self.experiment.data, "group", None)
            self._groups = self.cells([group])[group] if group is not None else None
            self.cells(by)

    @property
    def preprocessing(self) -> Preprocessing:
        """The transforms and targets of the run."""
        return self.restored.preprocessing

    @cached_property
    def _whole(self) -> tuple[Records, dict[str, np.ndarray]]:
        return self.examined.whole()

    @property
    def present(self) -> Mapping[str, Bool[np.ndarray, "example"]]:
        """Which examples of the split have which modality."""
        return self._whole[1]

    @cached_property
    def tasks(self) -> list[Task]:
        """One for each objective."""
        return [self.task(name, records) for name, records in self._whole[0].items()]

    def sampled(self, name: str, records: Mapping[str, np.ndarray]) -> Task:
        """An objective with records of the sample."""
        groups = self._groups and [self._groups[row] for row in self.examined.rows]
        return dataclasses.replace(self.task(name, records), groups=groups)

    def task(self, name: str, records: Mapping[str, np.ndarray]) -> Task:
        """An objective with records of the split."""
        objective = self.experiment.objectives[name]
        if self.calibration is not None and name in self.calibration.classes:
            output = self.calibration.logits(name, records["output"])
            records = {**records, "output": output.astype(np.float32)}
        kind = self.preprocessing.targets.get(objective.target or "")
        return Task(name, objective, kind, records, self.resamples, self._groups)

    @property
    def probabilities(self) -> str:
        """Which probabilities of classes are shown: raw or calibrated, and how."""
        if self.calibration is not None and self.calibration.classes:
            return self.calibration.words()
        return OWN + (f" ({self._unused})" if self._unused else "")

    @property
    def count(self) -> int:
        """Examples of the sample, on which analyses that need many passes are made."""
        return len(self.examined.rows)

    @property
    def sample(self) -> str:
        """How many examples the sample has, of how many, and how they were chosen."""
        count, whole = self.count, len(self.examined)
        few = f"{count:,} of {whole:,} examples, drawn at random with a fixed seed"
        return few if count < whole else f"all {whole:,} examples"

    def inputs(self, rows: Int[np.ndarray, "row"]) -> list[dict[str, Any]]:
        """The raw modalities of some examples of the split; sounds with their rate."""
        found = dict(self.examined.source.read(rows, None).inputs)
        for name, transform in self.preprocessing.transforms.items():
            if isinstance(transform, AudioTransform):
                found[name] = [v if v is None else transform.recording(v) for v in found[name]]
        return [{name: values[i] for name, values in found.items()} for i in range(len(rows))]

    def cells(self, columns: Sequence[str]) -> dict[str, list[str]]:
        """Columns of the table that the run reads, for each example of the split."""
        data = self.experiment.data
        if columns and not isinstance(data, TableData):
            raise UserError(f"--by {columns[0]}: the run reads no table, so it has no columns")
        return data.cells(self.split, columns) if isinstance(data, TableData) and columns else {}

    def figure(
        self,
        name: str,
        drawing: Drawing,
        alt: str,
        how: str,
        header: page.Row,
        rows: Sequence[page.Row],
    ) -> str:
        """HTML of a drawing with its numbers; it is saved too where the user wants it.

        Args:
            name: of the file, and of the ids on the page
            drawing: what is drawn
            alt: what it shows, in a sentence
            how: how to read it
            header: of the table of its numbers
            rows: of this table
        """
        self._drawn += 1
        if self.figures is not None:
            drawing.save(self.figures, name)
        numbers = page.table(header, rows)
        return page.figure(f"f{self._drawn}", drawing.svgs(), alt, how, numbers)

    def picture(self, name: str, pixels: np.ndarray, alt: str) -> str:
        """HTML of a map, as pixels; it is saved too, enlarged, where the user wants it."""
        if self.figures is not None:
            self.figures.mkdir(parents=True, exist_ok=True)
            image = shown.image_of(pixels)
            times = max(1, _SAVED // max(image.size))
            size = image.width * times, image.height * times
            image.resize(size, Image.Resampling.NEAREST).save(self.figures / f"{name}.png")
        return shown.picture(pixels, alt)

    def curve(self, name: str, series: np.ndarray, alt: str) -> str:
        """HTML of lines; they are saved too where the user wants it."""
        svg = shown.curve(series, alt)
        if self.figures is not None:
            self.figures.mkdir(parents=True, exist_ok=True)
            (self.figures / f"{name}.svg").write_text(svg, encoding="utf-8")
        return svg

    def write(self, path: Path, sections: Mapping[str, Write]) -> int:
        """Write the page; returns its bytes. A section that is empty is left out."""
        if self.absent:
            text = f"The data are not at hand, so nothing could be measured: {self.absent}"
            intro = page.paragraph(text, "warning")
        else:
            intro = page.paragraph(
                f"{len(self.examined):,} examples of the {self.split} split. Intervals are 95 % "
                f"bootstrap intervals of up to {self.resamples:,} resamples.",
                "quiet",
            )
            if any(task.family == "classes" for task in self.tasks):
                intro += page.paragraph(f"Probabilities are {self.probabilities}.", "quiet")
        bodies = [(title, "".join(section(self))) for title, section in sections.items()]
        return page.write(path, f"Report: {self.run.name}", intro, [b for b in bodies if b[1]])
