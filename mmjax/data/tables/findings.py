"""What was read from a table: counted for people to look at before anything is trained."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmjax.data.dataset import SPLITS
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.columns import Column
from mmjax.data.tables.splits import Splits, content
from mmjax.data.targets import Binary, Category, MultiLabel
from mmjax.data.transforms.table import Categorical, TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault

_MANY = 0.05  # share of rows above which a flaw is a warning
_NEARLY = 0.9  # share of different values above which a category says little


class Findings:
    """Counts the flaws of rows that are added one by one."""

    def __init__(self, columns: Mapping[str, Column], preprocessing: Preprocessing) -> None:
        self._columns, self._preprocessing = columns, preprocessing
        self._rows = dict.fromkeys(SPLITS, 0)
        self._missing = {name: dict.fromkeys(SPLITS, 0) for name in columns}
        self._flaws: dict[str, Counter[str]] = {name: Counter() for name in columns}
        self._values: dict[str, Counter[str]] = {
            name: Counter() for name, kind in preprocessing.targets.items() if _counted(kind)
        }
        self._first: dict[str, bytes] = {}
        self._varied: set[str] = set()

    def errors(self, row: Any) -> dict[str, str]:
        """{name: reason} of the values of a row that the fitted transforms cannot read."""
        errors = {}
        for name, value in row.values.items():
            if value is None:
                continue
            try:
                if name in self._preprocessing.targets:
                    self._preprocessing.targets[name]([value])
                else:
                    self._flaws[name].update(
                        {
                            remark.kind
                            for remark in self._preprocessing.transforms[name].remarks(value)
                        }
                    )
            except UserError as error:
                advice = ""
                if isinstance(self._preprocessing.targets.get(name), Category):
                    advice = f"; --data.columns.{name}.unknown missing counts it as missing"
                errors[name] = str(error).removeprefix("row 0: ") + advice
        return errors

    def add(self, split: str, row: Any) -> None:
        """Count a row that is used."""
        self._rows[split] += 1
        for name, value in row.values.items():
            if value is None:
                self._missing[name][split] += 1
                continue
            if name not in self._varied:
                now = content(value)
                if self._first.setdefault(name, now) != now:
                    self._varied.add(name)
            if name in self._values:
                names = value if isinstance(value, list) else [value]
                self._values[name].update(
                    _shown(self._preprocessing.targets[name], n) for n in names
                )

    def facts(self, splits: Splits, faults: Sequence[Fault]) -> dict[str, Any]:
        """All counts as JSON, and what looks wrong, in words with the flag that mends it."""
        total = sum(self._rows.values())
        columns = {}
        for name, column in self._columns.items():
            missing = sum(self._missing[name].values())
            columns[name] = {
                "kind": type(column).__name__.removesuffix("Column").lower(),
                "missing": missing,
                "flaws": dict(sorted(self._flaws[name].items())),
                "about": self._about(name),
            }
            if name in self._values:
                columns[name]["values"] = dict(self._values[name].most_common(50))
        lines = {(fault.line, fault.outcome) for fault in faults}
        outcomes = Counter(outcome for _, outcome in lines)
        return {
            "rows": self._rows,
            "skipped": outcomes["skipped"],
            "masked": outcomes["masked"],
            "duplicates": splits.duplicates,
            "shared": sum(splits.shared),
            "columns": columns,
            "warnings": list(self._warnings(total, columns, splits)),
        }

    def _about(self, name: str) -> str:
        """What was fitted to a column, in a few words."""
        part = self._preprocessing.transforms.get(name)
        if isinstance(part, TextTransform):
            return f"{part.vocabulary_size:,} words, {part.max_words} a text"
        if isinstance(part, TableTransform):
            kinds = ["categories" if n else "numbers" for n in part.categories]
            return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items())
        target = self._preprocessing.targets.get(name)
        if isinstance(target, (Category, MultiLabel)):
            return f"{len(target.names)} classes"
        for field in ("shape", "max_tokens", "max_samples", "mean"):
            if hasattr(part or target, field):
                value = getattr(part or target, field)
                return f"{field.replace('_', ' ')} {value if field != 'mean' else f'{value:.4g}'}"
        return ""

    def _warnings(self, total: int, columns: Mapping[str, Any], splits: Splits) -> Any:
        if shared := sum(splits.shared):
            yield (
                f"{shared:,} files are in several splits: leave --data.split out, or name with "
                "--data.group what must stay together"
            )
        if splits.duplicates > _MANY * total:
            yield f"{splits.duplicates:,} rows are equal to an earlier one in every column"
        for name, facts in columns.items():
            if facts["missing"] > 0.5 * total:
                yield f"{name}: missing in {facts['missing']:,} of {total:,} rows"
            if name not in self._varied and total > 1:
                yield f"{name}: the same in every row"
            for flaw, count in facts["flaws"].items():
                if flaw in _ADVICE and count > _MANY * total:
                    advice = _advice(flaw, name, self._columns[name])
                    yield f"{name}: {flaw} in {count:,} of {total:,} rows: {advice}"
            transform = self._preprocessing.transforms.get(name)
            for part in transform.columns if isinstance(transform, TableTransform) else ():
                train = self._rows["train"]
                if isinstance(part, Categorical) and len(part.categories) > _NEARLY * train > 10:
                    yield (
                        f"{name}: nearly every value of {part.name!r} is a category of its own "
                        f"({len(part.categories):,} of {train:,}): leave it out"
                    )
            values = facts.get("values")
            if values and len(values) > 1 and min(values.values()) < 0.05 * max(values.values()):
                rare = min(values, key=values.__getitem__)
                yield (
                    f"{name}: {rare!r} is {values[rare] / sum(values.values()):.1%} of the rows: "
                    f"--data.balance {name} draws all classes equally often"
                )


_ADVICE = {
    "cut": "a larger --data.columns.{name}.{field}",
    "unknown": "--data.columns.{name}.tokens bpe, or a larger vocabulary-size",
    "empty": "nothing to read",
}


def _advice(flaw: str, name: str, column: Column) -> str:
    fields = ("max_words", "max_samples", "max_tokens")
    field = next((field for field in fields if hasattr(column, field)), "")
    return _ADVICE[flaw].format(name=name, field=field.replace("_", "-"))


def _counted(kind: Any) -> bool:
    return isinstance(kind, (Binary, Category, MultiLabel))


def _shown(kind: Any, value: Any) -> str:
    return ("yes" if value else "no") if isinstance(kind, Binary) else str(value)
