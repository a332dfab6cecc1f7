import pytest

from mmjax.weights.names import renamed

KNOWN = ["a.weight", "b.LayerNorm.weight", "b.LayerNorm.bias"]


@pytest.mark.parametrize("prefix", ["", "bert.", "vit.", "transformer.", "model."])
def test_the_prefix_of_the_network_is_left_out_and_its_head_stays(prefix):
    published = [f"{prefix}{name}" for name in KNOWN]
    assert renamed([*published, "cls.weight"], KNOWN) == {
        **dict(zip(KNOWN, published, strict=True)),
        "cls.weight": "cls.weight",
    }


def test_the_first_spelling_of_a_norm_is_read():
    published = ["bert.b.LayerNorm.gamma", "bert.b.LayerNorm.beta", "layer.gamma"]
    assert renamed(published, KNOWN) == {
        "b.LayerNorm.weight": "bert.b.LayerNorm.gamma",
        "b.LayerNorm.bias": "bert.b.LayerNorm.beta",
        "layer.gamma": "layer.gamma",
    }


def test_a_tensor_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match=r"^bert\.a\.weight and a\.weight are both a\.weight$"):
        renamed(["bert.a.weight", "a.weight", "bert.b.LayerNorm.bias"], KNOWN)
    with pytest.raises(ValueError, match=r"LayerNorm\.beta are both b\.LayerNorm\.bias"):
        renamed(["b.LayerNorm.bias", "b.LayerNorm.beta"], KNOWN)
