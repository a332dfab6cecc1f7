import numpy as np
import pytest

from mmjax.data.synthetic.latents import symbolic
from mmjax.statistics.information import counted, decompose, information


def gate(function):
    """The joint distribution of two fair bits and a function of them."""
    joint = np.zeros((2, 2, 4))
    for a in (0, 1):
        for b in (0, 1):
            joint[a, b, function(a, b)] = 0.25
    return joint


@pytest.mark.parametrize(
    ("name", "joint", "expected"),
    [
        # Bertschinger et al. 2014, table 1.
        ("and", gate(lambda a, b: a & b), (0.311278, 0, 0, 0.5)),
        ("xor", gate(lambda a, b: a ^ b), (0, 0, 0, 1)),
        ("copy", gate(lambda a, b: a + 2 * b), (0, 1, 1, 0)),
        ("unique", gate(lambda a, b: a), (0, 1, 0, 0)),
        ("redundant", np.eye(2)[:, :, None] * np.eye(2)[None] / 2, (1, 0, 0, 0)),
    ],
)
def test_known_distributions_are_decomposed(name, joint, expected):
    assert decompose(joint) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_four_sum_to_the_whole_and_are_no_less_than_zero(seed):
    joint = np.random.default_rng(seed).dirichlet(np.full(24, 0.3)).reshape(3, 4, 2)
    got = decompose(joint)
    assert sum(got) == pytest.approx(information(joint.reshape(12, 2)))
    assert got.redundant + got.first == pytest.approx(information(joint.sum(axis=1)))
    assert min(got) > -1e-9
    swapped = decompose(np.swapaxes(joint, 0, 1))
    assert swapped[:3] == pytest.approx((got.redundant, got.second, got.first), abs=1e-4)


def planted(task, flip=0.05):
    """The joint distribution of the symbols of two modalities and the label."""
    latents = symbolic(task, 2, flip=flip, missing=0.3)
    joint = np.zeros((5, 5, 2))
    np.add.at(joint, (*latents.shown.T, latents.label), latents.probability)
    return joint


def test_planted_tasks_have_the_information_that_was_planted():
    h = 1 + 0.05 * np.log2(0.05) + 0.95 * np.log2(0.95)  # bits that flipped labels leave
    assert decompose(planted("redundant")) == pytest.approx((h, 0, 0, 0), abs=2e-3)
    assert decompose(planted("unique")) == pytest.approx((0, 0, h, 0), abs=2e-3)
    assert decompose(planted("synergy")) == pytest.approx((0, 0, 0, h), abs=2e-3)
    # Of the second, a xor b tells the label: it is one symbol here.
    assert decompose(planted("dominated")) == pytest.approx((1, 0, 0, 0), abs=2e-3)


def test_shares_are_counted():
    joint = counted(np.array([0, 0, 2]), np.array([1, 1, 0]), np.array([0, 0, 1]))
    assert joint.shape == (3, 2, 2) and joint[0, 1, 0] == pytest.approx(2 / 3)
    assert joint[2, 0, 1] == pytest.approx(1 / 3)
