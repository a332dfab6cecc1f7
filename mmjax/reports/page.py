"""Pages that need no server, no script and no network: text, tables and drawings in one file."""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmjax.io import json_file

STYLE = Path(__file__).with_name("page.css")
# Of drawings: what has this colour takes the colour of the text, light or dark.
INK = "#010203"
_SHORT = 24  # letters of a cell that stays on one line
Row = Sequence[Any]


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; `kind` is a class of the style, such as quiet or warning."""
    return f"<p{_class(kind)}>{html.escape(text)}</p>"


def table(header: Row, rows: Iterable[Row], caption: str = "") -> str:
    """A table of texts and numbers; wide ones scroll. Numbers have four digits."""
    title = paragraph(caption, "quiet") if caption else ""
    heads = "".join(f'<th scope="col">{html.escape(str(one))}</th>' for one in header)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    body = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    label = html.escape(caption or ", ".join(map(str, header)))
    opening = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    return f"{title}{opening}{body}</div>"


def figure(name: str, svgs: Sequence[str], alt: str, how: str, numbers: str) -> str:
    """A drawing, what it shows in a sentence, how to read it, and its numbers as a table."""
    panels = "".join(_inlined(svg, f"{name}{place}") for place, svg in enumerate(svgs))
    drawing = f'<div class="panels" role="img" aria-label="{html.escape(alt)}">{panels}</div>'
    return framed(drawing, how, numbers)


def framed(body: str, how: str, numbers: str, *, caption_first: bool = False) -> str:
    """Pictures that say what they show, how to read them, and their numbers as a table."""
    caption = f"<figcaption>{html.escape(how)}</figcaption>"
    return (
        f"<figure>{caption + body if caption_first else body + caption}"
        f"<details><summary>Numbers</summary>{numbers}</details></figure>"
    )


def cards(bodies: Iterable[str]) -> str:
    """Boxes side by side, of HTML."""
    return f'<div class="cards">{"".join(f"<div class=card>{one}</div>" for one in bodies)}</div>'


def number(value: Any) -> str:
    """Four digits of a number; a dash where it is not defined."""
    if isinstance(value, int):
        return f"{value:,}"
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def interval(low: float, high: float) -> str:
    """low to high; a dash where there is none."""
    return "-" if low != low else f"{number(low)} to {number(high)}"


def write(path: Path, title: str, intro: str, sections: Sequence[tuple[str, str]]) -> int:
    """Write a page of (title, HTML) sections with a list of contents; returns its bytes."""
    links = [(f"s{place}", name) for place, (name, _) in enumerate(sections)]
    contents = "".join(f'<li><a href="#{to}">{html.escape(name)}</a></li>' for to, name in links)
    body = "".join(
        f'<section id="{to}"><h2>{html.escape(name)}</h2>{text}</section>'
        for (to, name), (_, text) in zip(links, sections, strict=True)
    )
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{intro}"
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav><main>{body}</main></body></html>\n'
    )
    text = text.encode(errors="replace").decode()  # names of files need not be UTF-8
    json_file.write_text(path, text)
    return len(text.encode())


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'<td class="number">{number(value)}</td>'
    kind = "short" if len(str(value)) <= _SHORT else ""
    return f"<td{_class(kind)}>{html.escape(str(value))}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _inlined(svg: str, name: str) -> str:
    """The drawing for a page: in the colour of the text, with ids of its own."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
