"""Precision and recall of the scrubbing on made-up texts in which people have marked the spans."""

import re
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from mmjax.privacy.scrub import KINDS, Scrubber, Span

_MARK = re.compile(r"\{(\w+)\|([^}]*)\}")


class Found(NamedTuple):
    """Spans of one kind in the labelled texts."""

    labelled: int
    hidden: int  # labelled spans of which no letter or digit is left
    replaced: int  # spans that the scrubber replaced
    right: int  # those that overlap a labelled span, of whatever kind

    def measured(self) -> dict[str, float | int | None]:
        """The counts with recall and precision; None where there is nothing to divide by."""
        recall = self.hidden / self.labelled if self.labelled else None
        precision = self.right / self.replaced if self.replaced else None
        return {"recall": recall, "precision": precision, **self._asdict()}


def texts() -> Iterator[tuple[str, list[Span]]]:
    """Each made-up text, with its labelled spans."""
    file = resources.files("mmjax.privacy") / "labelled.txt"
    for line in file.read_text(encoding="utf-8").splitlines():
        text, last, spans = "", 0, []
        for mark in _MARK.finditer(line):
            text += line[last : mark.start()]
            spans.append(Span(len(text), len(text) + len(mark[2]), mark[1]))
            text += mark[2]
            last = mark.end()
        yield text + line[last:], spans


def measure(scrubber: Scrubber) -> dict[str, Found]:
    """By kind, what the scrubber finds; a title such as Dr need not be hidden."""
    scrubber = scrubber.unread()
    for text, _ in texts():
        scrubber.read(text)
    counts = {kind: [0, 0, 0, 0] for kind in KINDS if kind != "ID"}
    for text, labelled in texts():
        found = scrubber.spans(text)
        covered = {i for span in found for i in range(span.start, span.end)}
        for start, end, kind in labelled:
            title = re.match(r"(?:Dr|Mrs)\.? ", text[start:end])
            start += title.end() if title else 0
            letters = {i for i in range(start, end) if text[i].isalnum()}
            counts[kind][0] += 1
            counts[kind][1] += letters <= covered
        for start, end, kind in found:
            counts[kind][2] += 1
            counts[kind][3] += any(start < span.end and span.start < end for span in labelled)
    return {kind: Found(*numbers) for kind, numbers in counts.items()}
