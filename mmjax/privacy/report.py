"""What was done to a table and what was not, without a value of it."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmjax.privacy.files import Files
from mmjax.privacy.looks import Look
from mmjax.privacy.measure import measure
from mmjax.privacy.risk import diversity, risk
from mmjax.privacy.scrub import Scrubber
from mmjax.privacy.settings import Settings


class Report(NamedTuple):
    """The content of report.json."""

    content: dict[str, Any]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(what, before, after) for a table that people read."""
        linkage = self.content["linkage"]
        for name, before in linkage.get("before", {}).items():
            yield f"linkage: {name}", f"{before:.4g}", f"{linkage['after'][name]:.4g}"
        for column, fewest in self.content["diversity"].items():
            yield f"fewest {column} in a group (l)", str(fewest["before"]), str(fewest["after"])
        for what, count in self.content["replaced"].items():
            yield f"texts: {what}", "", f"{count:,} replaced"
        for kind, found in self.content["scrubbing_measured"].items():
            shares = (f"{name} {found[name]:.2f}" for name in ("recall", "precision"))
            yield f"made-up texts: {kind}", f"{found['labelled']} labelled", ", ".join(shares)
        for what, count in self.content["files"].items():
            yield what, "", f"{count:,}"


def made(
    table: Path,
    look: Look,
    settings: Settings,
    scrubber: Scrubber | None,
    replaced: Counter[str],
    files: Files,
    before: list,
    after: list,
) -> Report:
    """The report of a table that was anonymised."""
    linkage, diverse = {}, {}
    if before:
        linkage = {
            when: risk(rows, look.people)._asdict()
            for when, rows in (("before", before), ("after", after))
        }
        for column in look.named("sensitive"):
            cells = [str(cell) for cell in look.cells[column]]
            both = {"before": before, "after": after}
            diverse[column] = {when: diversity(rows, cells) for when, rows in both.items()}
    measured = measure(scrubber) if scrubber is not None else {}
    return Report(
        {
            "format": 1,
            "table": table.name,
            "rows": look.rows,
            "roles": dataclasses.asdict(settings.roles),
            "k": settings.k,
            "l": settings.l,
            "linkage": linkage,
            "diversity": diverse,
            "replaced": dict(replaced),
            "scrubbing_measured": {kind: found.measured() for kind, found in measured.items()},
            "files": dict(files.counts),
            "not_done": list(_not_done(look, settings, files)),
        }
    )


def _not_done(look: Look, settings: Settings, files: Files) -> Iterator[str]:
    """What a reader must not take for granted."""
    roles = settings.roles
    if roles.pseudonym:
        yield "pseudonyms: rows of one person are still linked to each other; that is their purpose"
    if not roles.quasi:
        yield "k-anonymity: no quasi-identifiers were named, so linkage was not measured"
    if kept := look.named("keep", "keep_unique", "sensitive"):
        yield f"kept as they are, and not counted as known to an attacker: {', '.join(kept)}"
    if look.named("quasi") and (roles.text or roles.file):
        yield "k-anonymity: texts and files are not part of it"
    if roles.text:
        yield "texts: addresses, places, employers, ages and rare events are not looked for"
        yield "texts: names outside of the lists, in other scripts or in small letters are missed"
    if roles.text and not settings.regions:
        yield "texts: phone numbers without + are not looked for (--regions)"
    if files.counts["pictures"]:
        if files.detector is None:
            yield "pictures: faces were not looked for"
        else:
            yield "pictures: faces in profile, turned, covered or small are missed"
        yield "pictures: text, number plates, tattoos and places in the pixels stay"
        yield "pictures: JPEG files were compressed again, at quality 95"
    if files.counts["dicom"]:
        yield "DICOM: the pixels are unchanged: text burned in and faces in head scans stay"
    yield "differential privacy of a model trained on this: --private of an experiment"
