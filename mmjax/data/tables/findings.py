"""What was read from a table: counted for people to look at before anything is trained."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmjax.data.dataset import SPLITS
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.columns import Column, MultiLabelColumn, TextColumn, TextTargetColumn
from mmjax.data.tables.splits import Splits, content
from mmjax.data.targets import Binary, Category, MultiLabel, Text
from mmjax.data.transforms.table import Categorical, TableTransform
from mmjax.data.transforms.table_fit import MOST_CATEGORIES
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault

_MANY = 0.05  # share of rows above which a flaw is a warning
_RARE = 0.05  # of the most frequent class; a rarer one is a warning
_LISTED = 50  # classes that are listed, the most frequent ones
_NO_LABEL = "no label"
_NEARLY = 0.9  # share of different values above which a category says little


class Findings:
    """Counts the flaws of rows that are added one by one."""

    def __init__(
        self, columns: Mapping[str, Column], preprocessing: Preprocessing, balance: str | None
    ) -> None:
        """`balance`: the target whose classes are drawn equally often."""
        self._columns, self._preprocessing, self._balance = columns, preprocessing, balance
        self._rows: dict[str, int] = dict.fromkeys(SPLITS, 0)
        self._missing = dict.fromkeys(columns, 0)
        self._flaws: dict[str, Counter[str]] = {name: Counter() for name in columns}
        self._values: dict[str, Counter[str]] = {
            name: Counter() for name, kind in preprocessing.targets.items() if _counted(kind)
        }
        self._first: dict[tuple[str, str], bytes] = {}  # by name, and column of a table
        self._varied: set[tuple[str, str]] = set()

    def errors(self, row: Any) -> dict[str, str]:
        """{name: reason} of the values of a row that the fitted transforms cannot read."""
        errors = {}
        for name, value in row.values.items():
            if value is None:
                continue
            try:
                target = self._preprocessing.targets.get(name)
                if target is not None:
                    target([value])
                if target is None or isinstance(target, Text):
                    part = target or self._preprocessing.transforms[name]
                    self._flaws[name].update({remark.kind for remark in part.remarks(value)})
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
                self._missing[name] += 1
                continue
            if isinstance(self._columns[name], MultiLabelColumn) and not value:
                self._flaws[name][_NO_LABEL] += 1
            cells = value.items() if isinstance(value, Mapping) else [("", value)]
            for key, cell in cells:
                if (name, key) not in self._varied:
                    now = content(cell)
                    if self._first.setdefault((name, key), now) != now:
                        self._varied.add((name, key))
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
            columns[name] = {
                "kind": type(column).__name__.removesuffix("Column").lower(),
                "missing": self._missing[name],
                "flaws": dict(sorted(self._flaws[name].items())),
                "about": self._about(name),
            }
            if name in self._values:
                found = self._values[name]
                columns[name]["values"] = dict(found.most_common(_LISTED))
                columns[name] |= {"different": len(found), "counted": found.total()}
        lines = {(fault.line, fault.outcome) for fault in faults}
        outcomes = Counter(outcome for _, outcome in lines)
        return {
            "rows": self._rows,
            "skipped": outcomes["skipped"],
            "masked": outcomes["masked"],
            "duplicates": splits.duplicates,
            "shared": splits.shared,
            "columns": columns,
            "warnings": list(self._warnings(total, columns, splits)),
        }

    def _about(self, name: str) -> str:
        """What was fitted to a column, in a few words."""
        part = self._preprocessing.transforms.get(name, self._preprocessing.targets.get(name))
        if isinstance(part, (TextTransform, Text)):
            return f"{part.vocabulary_size:,} words, {part.max_words} a text"
        if isinstance(part, TableTransform):
            kinds = ["categories" if n else "numbers" for n in part.categories]
            return ", ".join(f"{count} of {kind}" for kind, count in Counter(kinds).items())
        target = self._preprocessing.targets.get(name)
        if isinstance(target, (Category, MultiLabel)):
            return f"{len(target.names)} classes"
        for field in ("shape", "max_tokens", "max_samples", "mean"):
            if hasattr(part or target, field):
                value = getattr(part or target, field)
                return f"{field.replace('_', ' ')} {value if field != 'mean' else f'{value:.4g}'}"
        return ""

    def _warnings(self, total: int, columns: Mapping[str, Any], splits: Splits) -> Any:
        if splits.shared:
            files = any(column.files for column in self._columns.values())
            what = "files" if files else "inputs that are equal in every column"
            yield (
                f"{splits.shared:,} {what} are in several splits: leave --data.split out, or name "
                "with --data.group what must stay together"
            )
        if splits.duplicates > _MANY * total:
            yield (
                f"{splits.duplicates:,} rows are equal to an earlier one in every column: "
                "--data.subset names a file that lists the rows to use"
            )
        for name, key in self._first if total > 1 else ():
            if (name, key) not in self._varied:
                yield f"{_called(name, key)}: the same in every row: leave it out of --data.columns"
        for name, facts in columns.items():
            if facts["missing"] > 0.5 * total:
                yield (
                    f"{name}: missing in {facts['missing']:,} of {total:,} rows: if that is "
                    "wrong, look at --data.columns"
                )
            unlabelled = isinstance(self._columns[name], MultiLabelColumn) and facts["missing"]
            if unlabelled and _NO_LABEL not in facts["flaws"]:
                yield (
                    f"{name}: the labels of {facts['missing']:,} of {total:,} rows are not known: "
                    f"if they have none, --data.columns.{name}.empty none says so"
                )
            for flaw, count in facts["flaws"].items():
                advice = _advice(flaw, name, self._columns[name])
                if advice and count > _MANY * total:
                    yield f"{name}: {flaw} in {count:,} of {total:,} rows: {advice}"
            transform = self._preprocessing.transforms.get(name)
            for part in transform.columns if isinstance(transform, TableTransform) else ():
                train = self._rows["train"]
                many = min(_NEARLY * train, MOST_CATEGORIES)
                if isinstance(part, Categorical) and len(part.categories) >= many > 10:
                    yield (
                        f"{_called(name, part.name)}: nearly every value is a category of its own "
                        f"({len(part.categories):,} of {train:,}): leave it out of --data.columns"
                    )
            values = self._values.get(name, Counter())
            single = not isinstance(self._preprocessing.targets.get(name), MultiLabel)
            if single and len(values) > 1 and name != self._balance:
                (_, most), *_, (rare, least) = values.most_common()
                if least < _RARE * most:
                    yield (
                        f"{name}: {rare!r} is {least / values.total():.1%} of the rows: "
                        f"--data.balance {name} draws all classes equally often"
                    )


def _advice(flaw: str, name: str, column: Column) -> str | None:
    """What mends a flaw; None where a flaw is no reason to warn."""
    flag = f"--data.columns.{name}"
    if flaw == "cut":
        fields = ("max_words", "max_samples", "max_tokens")
        field = next(field for field in fields if hasattr(column, field))
        return f"a larger {flag}.{field.replace('_', '-')}"
    if flaw == "unknown":
        if isinstance(column, (TextColumn, TextTargetColumn)):
            return f"{flag}.tokens bpe, or a larger vocabulary-size"
        return "categories that no training row has are read as missing: leave such columns out"
    return "are they of another kind? --data.columns says it" if flaw == "empty" else None


def _called(name: str, key: str) -> str:
    return f"{key!r} of {name}" if key else name


def _counted(kind: Any) -> bool:
    return isinstance(kind, (Binary, Category, MultiLabel))


def _shown(kind: Any, value: Any) -> str:
    return ("yes" if value else "no") if isinstance(kind, Binary) else str(value)
