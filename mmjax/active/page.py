"""A page that asks about rows: one file, without a server or a network, that saves a CSV file."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.active.corrections import FIELDS
from mmjax.active.offers import Offer
from mmjax.active.terminal import KEYS, keyed
from mmjax.data.media.image import open_image
from mmjax.data.media.source import cell_source
from mmjax.io import json_file
from mmjax.io.tables import Cell
from mmjax.reports import page
from mmjax.reports.shown import picture, shown

SIDE = 400  # pixels of the longer side of a picture
TEMPLATE = Path(__file__).with_name("page.html")


def write(
    path: Path, offers: Sequence[Offer], names: Sequence[str], title: str, folder: Path
) -> int:
    """Write the page; returns its size in bytes.

    Args:
        path: the file
        offers: the rows that it asks about
        names: the classes
        title: what the page is called; its answers are kept in the browser until they are saved
        folder: what the paths of pictures are relative to
    """
    items = [
        {
            "row": str(offer.row.line),
            "mark": offer.mark,
            "parts": [
                [name, _shown(value, name, offer.cells.get(name), folder)]
                for name, value in sorted(offer.row.inputs.items())
            ],
            "guess": offer.guess,
            "p": round(offer.p[offer.guess], 4),
            "keys": list(keyed(offer, names).items()),
        }
        for offer in offers
    ]
    content = {"fields": FIELDS, "items": items, "names": [], "title": title}
    if len(names) > len(KEYS):
        content["names"] = list(names)
    # No text of the data can end the script that holds it.
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    parts = {
        "{{title}}": html.escape(title),
        "{{style}}": page.STYLE.read_text(encoding="utf-8"),
        "{{data}}": data,
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    text = re.sub("|".join(map(re.escape, parts)), lambda found: parts[found[0]], template)
    text = text.encode(errors="replace").decode()  # names of files need not be UTF-8
    json_file.write_text(path, text)
    return len(text.encode())


def _shown(value: Any, name: str, cell: Cell, folder: Path) -> str:
    """HTML of a value; of a picture as it is in its file, not at the size that the model reads."""
    if isinstance(value, np.ndarray) and value.ndim == 3 and isinstance(cell, str | bytes | dict):
        try:
            source, label = cell_source(cell, folder)
            image = open_image(source, name=label, size=(SIDE, SIDE))
        except (ValueError, OSError):  # such as DICOM
            return shown(value, name)
        if not image.mode.startswith("I"):  # 16-bit grey: the levels that the model reads
            return picture(np.asarray(image.convert("RGB")), name, SIDE)
    return shown(value, name)
