"""The attention of a fusion: equal to a softmax by hand, by modality, without what is masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Cnn, Lstm
from mmjax.evaluation.attention import fusion_attention
from mmjax.fusion import Concat, CrossAttention, Mult
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.types import Batch, Masked

WORDS = np.arange(7)[None] < np.array([[3], [7], [0]])


def looked(fusion):
    """The model, its variables, three examples (the last has no text), and what is found."""
    rng = np.random.default_rng(0)
    encoders = {"image": Cnn((4,), 6, pooling="none"), "text": Lstm(20, 5, 6, pooling="none")}
    model = Multimodal(encoders=encoders, fusion=fusion, heads={"match": Logit(hidden=())})
    image = Masked(rng.normal(size=(3, 8, 8, 1)).astype(np.float32), np.array([True, True, True]))
    inputs = {"image": image, "text": Masked(rng.integers(2, 20, (3, 7)).astype(np.int32), WORDS)}
    variables = jax.jit(lambda: model.init(jax.random.key(0), inputs, train=False))()
    batch = Batch(inputs, {}, np.ones(3, np.float32), np.arange(3))
    return model, variables, batch, fusion_attention(model, variables, batch)


def test_it_is_the_softmax_of_the_last_layer_by_modality():
    model, variables, batch, found = looked(CrossAttention(dim=8, heads=2))
    kept = model.apply(variables, batch.inputs, train=False, capture_intermediates=True)[1]
    block = kept["intermediates"]["fusion"]["block"]
    query, key = (np.asarray(block[name]["__call__"][0]) for name in ("query", "key"))
    cells = found["image"].shape[1]
    there = np.concatenate([np.ones((3, cells), bool), WORDS], axis=1)
    owner = np.arange(cells + 7) < cells
    visible = (owner[:, None] != owner[None]) & there[:, None]
    visible = np.pad(visible, ((0, 0), (0, 0), (0, 1)), constant_values=True)  # the learned token
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    weights = np.asarray(jax.nn.softmax(jnp.where(visible[:, None], scores, -1e30), axis=-1))
    for row in range(3):
        by_hand = weights[row].mean(axis=0)[there[row]].mean(axis=0)
        np.testing.assert_allclose(found["image"][row], by_hand[:cells], atol=1e-6)
        np.testing.assert_allclose(found["text"][row], by_hand[cells:-1], atol=1e-6)
    assert not found["text"][~WORDS].any() and found["text"][WORDS].all()


def test_layers_of_one_modality_are_known_by_their_tokens_and_sum_to_1():
    *_, found = looked(Mult(dim=8, heads=2))
    assert set(found) == {"image", "text"} and found["text"].shape == (3, 7)
    np.testing.assert_allclose(found["image"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found["text"].sum(axis=1), [1, 1, 0], atol=1e-5)
    assert not found["text"][~WORDS].any()


def test_a_fusion_without_attention_has_none():
    assert looked(Concat())[3] == {}


@pytest.mark.parametrize("jitted", [False, True])
def test_nothing_is_kept_when_nobody_looks(jitted):
    from mmjax.layers.attention.attention import attend, weights_seen

    x = jnp.ones((1, 2, 1, 4))
    call = jax.jit(attend) if jitted else attend
    call(x, x, x, jnp.ones((1, 2, 2), bool))
    with weights_seen() as found:
        attend(x, x, x, jnp.ones((1, 2, 2), bool))
    assert len(found) == 1 and found[0].shape == (1, 1, 2, 2)
