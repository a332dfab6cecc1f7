"""`mmjax review`: asks people about the rows that would teach a run most, and learns from them."""

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mmjax.cli import options, tables
from mmjax.cli.data import Table
from mmjax.errors import UserError

if TYPE_CHECKING:
    from mmjax.active.offers import Offer
    from mmjax.active.reader import Reader
    from mmjax.active.tuning import Review, Tuning

STRATEGIES = Literal["least_confidence", "margin", "entropy", "bald", "core_set", "badge", "random"]


def review(
    run: options.Run,
    table: Table,
    /,
    strategy: STRATEGIES = "margin",
    count: int = 20,
    balanced: bool = False,
    twins: float = 0.05,
    passes: int = 20,
    seed: int = 0,
    objective: str | None = None,
    html: Path | None = None,
    answers: tuple[Path, ...] = (),
    prefer: str | None = None,
    person: str | None = None,
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None,
    rounds: int = 1,
    steps: int = 200,
    rate: float = 0.1,
    share: float = 0.3,
    margin: float = 0.005,
    split: Literal["validation", "test"] = "validation",
    own: options.Own = (),
    json: bool = False,
) -> None:
    """Ask about the rows of a table that would teach a run most, and fine-tune it on the answers.

    Questions are asked on the terminal, or on a page (--html) that saves a CSV file to give back
    with --answers. The run stays as it is: a new one, in the folder of the review, becomes the
    current one unless it is worse by more than --margin. Calling it again goes on from there.

    Args:
        strategy: margin, least_confidence and entropy ask where the model is unsure; bald where
            passes with dropout disagree; core_set what is unlike all that is known; badge both
        count: rows to ask about
        balanced: ask as often about each class that the model predicts
        twins: of rows nearer than this share of the median distance only one is asked about
        passes: with dropout on, for bald
        seed: of strategies that draw
        objective: what to ask, if the run has several objectives that choose a class
        html: write this page instead of asking on the terminal
        answers: CSV files that the page has saved, of one person or several
        prefer: whose answer counts where people differ; by default such rows are left out
        person: your name, for answers on the terminal; by default that of the account
        out: folder of the review; by default RUN-review
        rounds: how often to ask and fine-tune; 0: only keep the answers
        steps: of a fine-tuning
        rate: learning rate, relative to the highest one of the run's training
        share: of answered rows among the training examples; the others are replayed
        margin: how much accuracy the new model may lose on the split that compares them
        split: on which both models are compared
        json: print the rows as JSON instead of asking
    """
    from mmjax.active import corrections, offers, page, terminal
    from mmjax.active.offers import Choice, open_reader
    from mmjax.active.tuning import Review, Tuning
    from mmjax.evaluation.opened import open_run
    from mmjax.io.tables import base_folder

    if sum((html is not None, bool(answers), json)) > 1:
        raise UserError("--html, --answers, --json: choose one of them")
    if rounds < 0 or (rounds > 1 and (html is not None or answers or json)):
        raise UserError(f"--rounds {rounds}: several rounds are asked on the terminal alone")
    options.require_folder("--html", html)
    options.prepare_process(own)
    choice = Choice(strategy, count, balanced, twins, passes, seed)
    tuning = Tuning(steps, rate, share, margin, split)
    found = Review(out or run.with_name(f"{run.name}-review"), run)
    places, again = Path(table), max(rounds, 1)
    experiment = None if answers else open_run(run).experiment
    for number in range(again):
        reader = open_reader(found.current, objective)
        given, whole = found.answers(reader.names), True
        if experiment is None:
            given += [one for file in answers for one in corrections.read(file, reader.names)]
            found.keep(given)
        else:
            answered = {one.row for one in given}
            offered = offers.offers(experiment, reader, places, choice, answered)
            if json:
                return _print(offered)
            if html is not None:
                title = f"{places.name}: which {reader.target}?"
                page.write(html, offered, reader.names, title, base_folder(places))
                return print(f"page: {html}, {len(offered)} rows of {places}")
            whole = terminal.ask(
                offered,
                reader.names,
                person or getpass.getuser(),
                found.add,
            )
        if rounds:
            _learn(found, places, reader, tuning, prefer)
        if not whole and number + 1 < again:
            return print("stopped before the last round", file=sys.stderr)


def _print(offered: "Sequence[Offer]") -> None:
    for one in offered:
        row = {"row": str(one.row.line), "mark": one.mark, "guess": one.guess}
        tables.print_json(row | {"probabilities": dict(one.p)})


def _learn(
    found: "Review", table: Path, reader: "Reader", tuning: "Tuning", prefer: str | None
) -> None:
    """Fine-tune on all answers so far; a UserError where the new model is refused."""
    from mmjax.active import corrections

    settled = corrections.settle(found.answers(reader.names), prefer)
    print(
        f"{len(settled.answers)} answered rows; {settled.shared} by several people, who differ on "
        f"{len(settled.differing) + settled.overruled}"
        + (f"; {settled.overruled} as {prefer} says" if settled.overruled else "")
    )
    for row, said in settled.differing.items():
        print(f"  row {row}, left out: " + ", ".join(f"{who} {what}" for who, what in said.items()))
    done = found.fine_tune(table, settled.answers, reader.target, reader.name, tuning)
    print(
        f"{done.metric} on the {tuning.split} split: {done.before:.4f} before, {done.after:.4f} "
        f"now; difference {done.after - done.before:+.4f}, 95 % interval {done.low:+.4f} to "
        f"{done.high:+.4f}"
    )
    if not done.kept:
        raise UserError(
            f"the new model is worse by more than --margin {tuning.margin:g} and is not used; the "
            f"current one is still {found.current}, the other is {found.home / done.run}"
        )
    print(f"current: {found.current}")
