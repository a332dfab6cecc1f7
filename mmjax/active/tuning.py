"""Fine-tunes a run on answers, and keeps the new model only if it is not worse than before."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmjax.active.corrections import Answer, read, write
from mmjax.config import Experiment
from mmjax.data.datasets import Reviewed
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.reports.contrast import compare
from mmjax.runs import folder, lock
from mmjax.train.loop.fit import fit

FILE = "rounds.json"
ANSWERS = "answers.csv"


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How a run is fine-tuned.

    Attributes:
        steps: of each round
        rate: the learning rate, relative to the highest one of the run's training
        share: of answered rows among the training examples; the others are replayed
        margin: how much lower the metric may be than before, for the new model to be kept
        split: on whose examples both are compared
    """

    steps: int = 200
    rate: float = 0.1
    share: float = 0.3
    margin: float = 0.005
    split: str = "validation"

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.margin >= 0):
            raise UserError(
                "--rate, --margin: expected more than 0, and 0 or more, got "
                f"{self.rate:g}, {self.margin:g}"
            )


class Round(NamedTuple):
    """A fine-tuning, and what became of it."""

    run: str  # its folder, within that of the review
    answers: int  # it was trained on so many
    metric: str
    before: float  # of the best model until then
    after: float
    low: float  # the 95 % interval of after - before: a paired bootstrap
    high: float
    kept: bool


class Review:
    """The folder of a review: answers, fine-tuned runs, and which of them is the current one."""

    def __init__(self, home: Path, run: Path) -> None:
        """`home` is new, or the folder of an earlier review of the same run.

        Raises:
            UserError: it is something else; or the run is not finished.
        """
        self.home, self.run = home, run
        self.experiment: Experiment = folder.require(run)
        self._of = os.path.relpath(run, home)  # both may move together
        if (home / FILE).exists():
            content = json_file.read(home / FILE)
            if content["of"] != self._of:
                raise UserError(
                    f"--out {home}: is a review of {home / content['of']}, not of {run}"
                )
            self.rounds = [Round(**one) for one in content["rounds"]]
        elif home.exists() and any(home.iterdir()):
            raise UserError(f"--out {home}: expected a new folder, or the one of a review")
        else:
            self.rounds: list[Round] = []

    @property
    def current(self) -> Path:
        """The newest model that was kept; at first the run itself."""
        return next((self.home / one.run for one in self.rounds[::-1] if one.kept), self.run)

    @property
    def best(self) -> Path:
        """The model to compare with: of those kept, the best; at first the run itself."""
        kept = [one for one in self.rounds if one.kept]
        first = max((one.before for one in kept[:1]), default=float("-inf"))
        best = max(kept[::-1], key=lambda one: one.after, default=None)
        return self.run if best is None or best.after < first else self.home / best.run

    def answers(self, names: Sequence[str] | None = None) -> list[Answer]:
        """All answers that were ever given; `names`: the classes that they must be of."""
        path = self.home / ANSWERS
        return read(path, names) if path.exists() else []

    def add(self, answer: Answer) -> None:
        """Write an answer behind the others."""
        self.keep([*self.answers(), answer])

    def keep(self, answers: Sequence[Answer]) -> None:
        """Write all answers that were ever given."""
        self._begin()
        write(self.home / ANSWERS, answers)

    def fine_tune(
        self, table: Path, answers: Sequence[Answer], target: str, objective: str, tuning: Tuning
    ) -> Round:
        """Train on settled answers, compare, and make the new run the current one, or refuse it.

        A refused run stays in the folder `refused-N`; the current one is then what it was.

        Args:
            table: the table whose rows were answered
            answers: one for each row
            target: what was asked
            objective: by whose accuracy models are compared
            tuning: how

        Raises:
            UserError: there is no answer, or what `mmjax.train.loop.fit.fit` raises.
        """
        if not answers:
            raise UserError("no answer to learn from: answer some rows first")
        self._begin()
        with lock.Lock(self.home, lambda text: print(text, file=sys.stderr)) as held:
            held.take()
            return self._fine_tune(table, answers, target, objective, tuning)

    def _fine_tune(
        self, table: Path, answers: Sequence[Answer], target: str, objective: str, tuning: Tuning
    ) -> Round:
        number, draft = len(self.rounds) + 1, self.home / "draft"
        said = self.home / f"round-{number}.csv"
        write(said, answers)
        if draft.exists():
            shutil.rmtree(draft)  # of a round that was interrupted
        fit(self._experiment(table, said, target, number, tuning), draft)
        metric = f"{objective}/accuracy"
        found = compare([self.best, draft], metric, tuning.split)
        values = {one.runs[0]: float(one.values[0]) for one in found.methods}
        before, after = values[self.best], values[draft]
        pair = found.pairs[0]  # left - right
        sign = 1 if found.methods[0].runs[0] == draft else -1
        low, high = sorted((sign * pair.low, sign * pair.high))
        kept = after >= before - tuning.margin
        name = f"{'round' if kept else 'refused'}-{number}"
        draft.rename(self.home / name)
        self.rounds.append(Round(name, len(answers), metric, before, after, low, high, kept))
        self._write()
        return self.rounds[-1]

    def _experiment(
        self, table: Path, said: Path, target: str, number: int, tuning: Tuning
    ) -> Experiment:
        """The training: the current model's variables, the run's own model, data and objectives."""
        own = self.experiment
        data = Reviewed(
            run={"run": own.data},
            table=str(table.absolute()),
            answers=str(said.absolute()),
            target=target,
            share=tuning.share,
        )
        return dataclasses.replace(
            own,
            data=data,
            init=str(self.current.absolute()),
            optim=dataclasses.replace(own.optim, peak_lr=tuning.rate * own.optim.peak_lr),
            steps=tuning.steps,
            seed=own.seed + number,
            keeping=dataclasses.replace(own.keeping, eval_every=tuning.steps, keep=1),
        )

    def _begin(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.home / FILE).exists():
            self._write()

    def _write(self) -> None:
        rounds = [one._asdict() for one in self.rounds]
        json_file.write(self.home / FILE, {"of": self._of, "rounds": rounds})
