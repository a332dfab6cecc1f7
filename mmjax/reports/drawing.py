"""Drawings of a report, as SVG and PNG: colours that differ for all kinds of eyes."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.reports.page import INK
from mmjax.reports.shown import COLOURS

_LINES = ("-", "--", "-.", ":")  # so that colours are not needed to tell them apart
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mmjax",  # the same bytes for the same numbers
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
    **{f"axes.{part}": INK for part in ("edgecolor", "labelcolor", "titlecolor")},
}


class Drawing:
    """Panels to draw on, each a picture of its own, so that a narrow page shows one per line."""

    def __init__(self, count: int = 1, *, width: float = 4.2, height: float = 3.2) -> None:
        """`width` and `height` of each in inches."""
        from matplotlib.figure import Figure  # not pyplot: no window, no global state

        with _style():
            size = (width, height)
            self._panels = [Figure(figsize=size, layout="constrained") for _ in range(count)]
            self.axes = [panel.subplots() for panel in self._panels]

    def legend(self, *, aside: bool = False) -> None:
        """A legend in every panel that has named lines, or one beside the last panel."""
        options = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if aside else {}
        with _style():
            for axes in self.axes[-1:] if aside else self.axes:
                if axes.get_legend_handles_labels()[0]:
                    axes.legend(fontsize=8, **options)

    def svgs(self) -> list[str]:
        """The panels as SVG texts, to be put into a page."""
        options = {"metadata": {"Date": None, "Creator": None}}
        return [_saved(panel, "svg", **options).decode() for panel in self._panels]

    def save(self, folder: Path, name: str) -> None:
        """Write NAME.svg and NAME.png on white; NAME_1 and so on where there are several."""
        folder.mkdir(parents=True, exist_ok=True)
        for place, panel in enumerate(self._panels, 1):
            path = folder / (name if len(self._panels) == 1 else f"{name}_{place}")
            options = {"metadata": {"Date": None}, "facecolor": "white"}
            path.with_name(f"{path.name}.svg").write_bytes(_saved(panel, "svg", **options))
            content = _saved(panel, "png", dpi=150, facecolor="white")
            path.with_name(f"{path.name}.png").write_bytes(content)


def _saved(panel: Any, kind: str, **options: Any) -> bytes:
    from matplotlib.text import Text

    for text in panel.findobj(Text):
        text.set_parse_math(False)  # a class may be called $
    content = io.BytesIO()
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # browsers have more fonts
        panel.savefig(content, format=kind, **options)
    return content.getvalue()


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def line(place: int) -> dict[str, Any]:
    """How the line of a series is drawn."""
    turn, colour = divmod(place, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": _LINES[(colour + turn) % len(_LINES)]}


def heat(axes: Any, values: np.ndarray, rows: list[str], columns: list[str], text: str) -> None:
    """A table as colours, dark blue is high; `text` formats the numbers, "" shows none."""
    top = max(float(np.nanmax(values, initial=0)), 1e-12)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    tilted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(columns) > 4 else {}
    axes.set_xticks(range(len(columns)), columns, **tilted)
    axes.set_yticks(range(len(rows)), rows)
    for row, column in np.ndindex(*values.shape) if text else ():
        colour = "#ffffff" if values[row, column] > 0.6 * top else "#000000"
        cell = format(values[row, column], text)
        axes.text(column, row, cell, ha="center", va="center", fontsize=8, color=colour)


def diverging(values: np.ndarray) -> np.ndarray:
    """RGB, uint8, of numbers: orange below 0, white at 0, blue above; the largest is full."""
    share = np.clip(values / max(float(np.abs(values).max(initial=0)), 1e-12), -1, 1)[..., None]
    blue, orange = np.array([0, 114, 178]), np.array([213, 94, 0])
    colour = np.where(share > 0, blue, orange)
    return np.round(255 + np.abs(share) * (colour - 255.0)).astype(np.uint8)
