"""How unsure a model is of each example: the classical scores of active learning.

Settles 2009, Active Learning Literature Survey (University of Wisconsin, TR 1648).
"""

import numpy as np
import scipy.special
from jaxtyping import Float

Probabilities = Float[np.ndarray, "row class"]
Scores = Float[np.ndarray, "row"]


def least_confidence(p: Probabilities) -> Scores:
    """1 - max_c p_c (Lewis and Gale 1994, arXiv:cmp-lg/9407020)."""
    return 1 - p.max(axis=1)


def margin(p: Probabilities) -> Scores:
    """p_second - p_first, at most 0 (Scheffer et al. 2001, doi:10.1007/3-540-44816-0_31)."""
    first_two = np.sort(p, axis=1)[:, -2:]
    return first_two[:, 0] - first_two[:, 1]


def entropy(p: Float[np.ndarray, "*axis class"]) -> Float[np.ndarray, "*axis"]:
    """-sum_c p_c log p_c, in nats (Shannon 1948)."""
    return scipy.special.entr(p).sum(axis=-1)


def bald(passes: Float[np.ndarray, "pass row class"]) -> Scores:
    """What the answer tells of the parameters: H(mean_k p_k) - mean_k H(p_k), in nats.

    BALD, Houlsby et al. 2011, arXiv:1112.5745; each pass k has other units dropped, which stands
    for a draw of the parameters (Gal et al. 2017, arXiv:1703.02910).
    """
    return entropy(passes.mean(axis=0)) - entropy(passes).mean(axis=0)
