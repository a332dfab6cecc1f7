import pytest

from mmjax.encoders.vit import Vit
from mmjax.fusion import Late
from mmjax.layers.fields import require_at_least, require_choice, require_share, size_of


def test_what_can_be_passes():
    require_at_least(Late(dim=1), 1, "dim")
    require_choice(Late(), "weights", "mean", "learned")
    require_share(Late(dropout=0.0), "dropout")


@pytest.mark.parametrize(
    "check, message",
    [
        (lambda m: require_at_least(m, 8, "dim"), r"Late\.dim: expected at least 8, got 4"),
        (lambda m: require_choice(m, "weights", "a", "b"), "got 'learned', choose from a, b"),
        (lambda m: require_share(m, "dropout"), r"Late\.dropout: expected 0 to below 1, got 1\.5"),
    ],
)
def test_what_cannot_be_is_refused_by_class_and_field(check, message):
    with pytest.raises(ValueError, match=message):
        check(Late(dim=4, dropout=1.5))


def test_a_field_goes_before_the_preset():
    sizes = {"tiny": (8, 2, 4), "base": (16, 3, 4)}
    assert size_of(Vit("base"), sizes) == (16, 3, 4)
    assert size_of(Vit(width=6, heads=2), sizes) == (6, 2, 2)
    with pytest.raises(ValueError, match=r"Vit\.size: got 'small', choose from tiny, base"):
        size_of(Vit("small"), sizes)
