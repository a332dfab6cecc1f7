"""HTML of the values of a data set: pictures, sounds that can be played, curves, texts, cells."""

import base64
import html
import io
import wave
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from mmjax.data.transforms.audio import Recording

_LETTERS = 300  # of a text
_POINTS = 400  # of a curve
_SIDE = 160  # pixels of the longer side of a picture
_RATE = 8000  # Hz, and
_SECONDS = 4  # of a sound that can be played: 64 kB
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito: for all kinds of eyes


def shown(value: Any, name: str = "") -> str:
    """HTML of a row of a modality or target; `name`: what pictures are called for the blind."""
    if value is None:
        return '<span class="missing">missing</span>'
    if isinstance(value, Recording):
        samples = value.samples if value.samples.ndim == 1 else value.samples.mean(axis=1)
        player, seconds = _player(samples, value.sample_rate), len(samples) / value.sample_rate
        return f"{player}<br>{curve(samples[:, None], name)}<br>{seconds:.2f} s"
    if isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype in (np.uint8, np.uint16):
        return picture(value, name)
    if isinstance(value, np.ndarray) and value.ndim:
        table = np.atleast_2d(value)
        shape = " x ".join(map(str, table.shape))
        return f"{curve(table if len(table) > 1 else table.T, name)}<br>{shape} numbers"
    if isinstance(value, Mapping):
        return "<br>".join(html.escape(f"{key}: {cell}") for key, cell in value.items())
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return html.escape(text[:_LETTERS] + (" ..." if len(text) > _LETTERS else ""))


def picture(pixels: np.ndarray, name: str = "", side: int = _SIDE) -> str:
    """An image `[height, width, channel]` of one or three channels, of up to `side` pixels."""
    image, content, kind = image_of(pixels), io.BytesIO(), "png"
    if max(image.size) > side:
        image.thumbnail((side, side))
        kind = "webp"
    image.save(content, kind, quality=80)
    return f'<img alt="{html.escape(name)}" src="{_uri(f"image/{kind}", content.getvalue())}">'


def image_of(pixels: np.ndarray) -> Image.Image:
    """The image of 8 bits."""
    if pixels.dtype == np.uint16:
        pixels = (pixels / max(int(pixels.max()), 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _player(samples: np.ndarray, rate: int) -> str:
    """A player of the first seconds at a low rate."""
    from scipy.signal import resample_poly

    samples = np.asarray(samples[: _SECONDS * rate], np.float64)
    if rate > _RATE and len(samples):
        samples, rate = resample_poly(samples, _RATE, rate), _RATE
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    uri = _uri("audio/wav", content.getvalue())
    return f'<audio controls preload="none" src="{uri}"></audio>'


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def curve(series: np.ndarray, name: str = "") -> str:
    """The first four channels `[step, channel]` as lines; `name`: what they are."""
    step = max(1, len(series) // _POINTS)
    series = series[::step, :4].astype(np.float64)
    low, high = float(series.min(initial=0)), float(series.max(initial=0))
    scaled = 58 - 56 * (series - low) / max(high - low, 1e-12)
    x = np.linspace(0, 200, len(series))
    lines = []
    for colour, y in zip(COLOURS, scaled.T, strict=False):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
    label = html.escape(f"{name or 'a curve'}: {low:.4g} to {high:.4g}")
    head = f'xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}"'
    return f'<svg {head} width="200" height="60" viewBox="0 0 200 60">{"".join(lines)}</svg>'
