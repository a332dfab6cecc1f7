"""Made-up splits of binary examples: ties, extreme logits, uneven weights."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def splits(draw, min_size=1):
    """(logits, labels, weight) of 1 to 40 examples, at least one of each class if min_size > 1."""
    logit = st.sampled_from([-1e4, -2.5, -0.3, 0.0, 1e-3, 0.3, 0.7, 2.5, 40.0, 1e4])
    row = st.tuples(logit, st.integers(0, 1), st.sampled_from([0.25, 1.0, 1.7, 3.0]))
    logits, labels, weight = zip(*draw(st.lists(row, min_size=min_size, max_size=40)), strict=True)
    labels = np.array(labels)
    if min_size > 1:
        labels[:2] = [0, 1]
    return np.array(logits), labels, np.array(weight)
