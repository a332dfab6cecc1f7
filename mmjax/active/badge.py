"""BADGE: examples whose gradients are large and different, Ash et al. 2020, arXiv:1906.03671."""

import numpy as np
from jaxtyping import Float, Int


def badge(
    p: Float[np.ndarray, "row class"],
    vectors: Float[np.ndarray, "row dim"],
    count: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "chosen"]:
    """k-means++ (Arthur and Vassilvitskii 2007) on gradients of the last layer.

    g = (p - onehot(argmax p)) (x) z, for the loss of the class that the model would say; z is what
    the last layer reads. The first row has the longest gradient; each further row is drawn with a
    chance in proportion to its squared distance from the nearest chosen gradient.

    Gradients are never formed: <a (x) z, b (x) y> = <a, b> <z, y>.
    """
    a, z = p.astype(np.float64).copy(), vectors.astype(np.float64)
    a[np.arange(len(a)), a.argmax(axis=1)] -= 1
    lengths = np.square(a).sum(axis=1) * np.square(z).sum(axis=1)
    chosen = [int(lengths.argmax())] if count and len(a) else []
    nearest = np.full(len(a), np.inf)
    while chosen:
        row = chosen[-1]
        products = (a @ a[row]) * (z @ z[row])
        nearest = np.minimum(nearest, np.maximum(lengths + lengths[row] - 2 * products, 0))
        nearest[row] = 0
        total = nearest.sum()
        if len(chosen) == count or not total > 0:
            break
        chosen.append(int(rng.choice(len(a), p=nearest / total)))
    return np.array(chosen, int)
