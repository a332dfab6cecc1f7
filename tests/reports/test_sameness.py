from types import SimpleNamespace

import numpy as np
import pytest

from mmjax.data import Examples
from mmjax.errors import UserError
from mmjax.reports.report import Report
from mmjax.reports.sameness import require_same


def report(run, pixels, labels=(1, 0, 1), texts=("a", "b", "c")):
    """In place of a report: 3 examples."""
    inputs = {"image": list(pixels), "text": list(texts)}
    read = lambda rows, rng: Examples(inputs, {"label": list(labels)})  # noqa: E731

    class Examined:
        source = SimpleNamespace(read=read)

        def __len__(self):
            return 3

    made = object.__new__(Report)
    made.__dict__.update(run=run, split="test", examined=Examined())
    return made


def test_other_pixels_of_the_same_form_are_refused_and_of_another_said():
    pixels = np.random.RandomState(0).randint(0, 256, (3, 4, 4, 1)).astype(np.uint8)
    first = report("a", pixels)
    assert require_same([first, report("b", pixels)]) == ()
    with pytest.raises(UserError, match=r"b: its test examples .*a \(input image differs\)"):
        require_same([first, report("b", 255 - pixels)])
    with pytest.raises(UserError, match="input image differs"):
        require_same([first, report("b", [pixels[0], None, pixels[2]])])
    smaller = pixels[:, ::2, ::2]
    assert require_same([first, report("b", smaller), report("c", pixels)]) == ("image",)
    missing = [report(run, [*one[:2], None]) for run, one in (("a", pixels), ("b", smaller))]
    assert require_same(missing) == ("image",)
    with pytest.raises(UserError, match="target label differs"):
        require_same([first, report("b", smaller, labels=(1, 1, 1))])
    with pytest.raises(UserError, match="input text differs"):
        require_same([first, report("b", smaller, texts=("a", "b", "d"))])
