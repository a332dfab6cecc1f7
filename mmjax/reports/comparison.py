"""A comparison of methods on tasks over seeds, with tests of significance."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmjax.errors import UserError
from mmjax.evaluation.cost import Cost
from mmjax.statistics.hypotheses import SIGNIFICANCE, differ, ranks
from mmjax.statistics.means import spread

SOLVED = 0.98  # share of the best possible score from which on a task counts as solved


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Scores (higher is better), the best possible scores, and the costs of methods."""

    scores: Mapping[str, Mapping[str, Sequence[float]]]  # task -> method -> one per seed
    optimum: Mapping[str, float | None]  # task -> best possible score, None: unknown
    best: Mapping[str, float | None]  # task -> the same on these test examples
    baselines: Sequence[str] = ()  # methods to compare with
    costs: Mapping[str, Cost] = dataclasses.field(default_factory=dict)
    chance: float = 0.5  # score of guessing, below every `best`

    def __post_init__(self) -> None:
        for task, by_method in self.scores.items():
            for method, scores in by_method.items():
                if len(scores) < 2:
                    raise UserError(
                        f"{method} on {task}: expected at least 2 scores, or there is no spread "
                        f"to judge by; got {list(scores)}"
                    )

    @property
    def methods(self) -> list[str]:
        """All methods, in the order of the scores."""
        return list(dict.fromkeys(name for task in self.scores.values() for name in task))

    def winner(self, task: str) -> str:
        """The method with the highest mean, without baselines."""
        scores = self.scores[task]
        return max((n for n in scores if n not in self.baselines), key=lambda n: np.mean(scores[n]))

    def tied(self, task: str) -> set[str]:
        """Methods that do not differ significantly from the best: Welch's t-test, p >= 0.05.

        Not corrected for the number of methods.
        """
        best = self.scores[task][self.winner(task)]
        return {name for name, scores in self.scores[task].items() if not differ(best, scores)}

    def solved(self, task: str, method: str) -> bool:
        """Whether its mean reaches 0.98 of the best score on these examples; False if unknown."""
        best = self.best[task]
        return best is not None and bool(np.mean(self.scores[task][method]) >= SOLVED * best)

    def markdown(self) -> str:
        """A table of mean ± standard deviation in percent, and of costs."""
        tasks = list(self.scores)
        costs = ["parameters", "kFLOPs / example", "ms / batch"] if self.costs else []
        known = [_percent(self.optimum[task]) for task in tasks]
        reached = [_percent(self.best[task]) for task in tasks]
        rows = [
            ["fusion", *tasks, *costs],
            ["---"] * (1 + len(tasks) + len(costs)),
            ["*best possible*", *known, *[""] * len(costs)],
            ["*... on these examples*", *reached, *[""] * len(costs)],
        ]
        tied = {task: self.tied(task) for task in tasks}
        for method in self.methods:
            cells = [self._cell(task, method, method in tied[task]) for task in tasks]
            title = f"*{method}*" if method in self.baselines else method
            rows.append([title, *cells, *self._costs(method, len(costs))])
        legend = (
            f"Test accuracy in percent, mean ± standard deviation over seeds. **Bold**: at least "
            f"{SOLVED:g} of what the best possible decisions score on these examples. ≈: the seeds "
            f"cannot tell it from the column's best fusion (Welch's t-test, p ≥ {SIGNIFICANCE:g}, "
            "not corrected for the number of rows)."
        )
        table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        return "\n\n".join(filter(None, (table, self.ranking(), legend))) + "\n"

    def ranking(self) -> str:
        """Mean ranks over tasks, and which differ by more than chance; "" for a single task."""
        names, tasks = self.methods, self.scores.values()
        if len(tasks) < 2 or len(names) < 2 or any(set(names) - set(task) for task in tasks):
            return ""
        found = ranks(np.array([[np.mean(task[name]) for name in names] for task in tasks]))
        order = np.argsort(found.mean, kind="stable")
        listed = ", ".join(f"{names[place]} {found.mean[place]:.1f}" for place in order)
        return (
            f"Mean rank over {len(tasks)} tasks: {listed}. Ranks that differ by less than "
            f"{found.critical:.2f} are not distinguishable (Nemenyi's test, p < {SIGNIFICANCE:g}; "
            f"all alike: p = {found.p:.2g}, Friedman's test)."
        )

    def _cell(self, task: str, method: str, tied: bool) -> str:
        of = spread(self.scores[task][method])
        text = f"{100 * of['mean']:.1f} ± {100 * of['std']:.1f}"
        text = f"**{text}**" if self.solved(task, method) else text
        return f"{text} ≈" if tied else text

    def _costs(self, method: str, count: int) -> list[str]:
        cost = self.costs.get(method)
        if cost is None:
            return [""] * count
        return [f"{cost.parameters:,}", f"{cost.flops / 1e3:,.0f}", f"{cost.milliseconds:.2f}"]

    def draw(self, path: Path) -> None:
        """Draw scores as a share of the best possible ones, and costs."""
        from matplotlib.figure import Figure

        methods, tasks = self.methods, list(self.scores)
        means = np.array([[np.mean(self.scores[t][m]) for t in tasks] for m in methods])
        limits = np.array([self.best[t] or 1.0 for t in tasks])
        height = 1.8 + 0.27 * len(methods)
        figure = Figure(figsize=(4.5 + 0.75 * len(tasks), height), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[len(tasks), 2.5], sharey=True)
        shares = (means - self.chance) / (limits[None] - self.chance)
        left.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        left.set_xticks(range(len(tasks)), tasks, rotation=35, ha="left", fontsize=8)
        left.xaxis.tick_top()
        left.set_yticks(range(len(methods)), methods, fontsize=8)
        for row, column in np.ndindex(*means.shape):
            text = f"{100 * means[row, column]:.1f}"
            colour = "white" if shares[row, column] < 0.5 else "black"
            left.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        left.set_xlabel(
            "test accuracy, %; colour: from chance (blue) to the best possible (yellow)", fontsize=8
        )
        places = [place for place, m in enumerate(methods) if m in self.costs]
        times = [self.costs[methods[place]].milliseconds for place in places]
        right.barh(places, times, color="tab:blue", height=0.7)
        right.set_xscale("log")
        right.set_xlabel("ms, forward and\nbackward, one batch", fontsize=8)
        for place, ms in zip(places, times, strict=True):
            cost = self.costs[methods[place]]
            right.text(ms, place, f" {_short(cost.parameters)}", va="center", fontsize=7)
        right.set_title("time, and parameters", fontsize=8)
        right.margins(x=0.3)
        figure.savefig(path, dpi=130)


def _percent(score: float | None) -> str:
    return "unknown" if score is None else f"{100 * score:.1f}"


def _short(count: int) -> str:
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)
