"""The contracts on whole models: a modality missing in an example, or in all of them."""

import dataclasses
import functools
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import ENCODERS, BagOfWords, Cnn, Lstm
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.imputation import IMPUTATIONS
from mmjax.models.multimodal import Multimodal, drop_modalities
from mmjax.types import Masked
from tests import samples

SEED = int(os.environ["MMJAX_SEED"])
FUSIONS = [pytest.param(module, id=name) for name, module in samples.fusions()]
POLICIES = [pytest.param(cls(), id=name) for name, cls in IMPUTATIONS.items()]
NOTHING = {"image": samples.image(present=(False,) * 4), "text": samples.text(lengths=(0,) * 4)}
INPUTS = {"image": samples.image(), "text": samples.text(lengths=(5, 3, 2, 1))}


def model(fusion, **changes):
    encoders = {"image": Cnn((3,), 8), "text": BagOfWords(20, 8)}
    heads = {"match": Logit(hidden=(8,))}
    return Multimodal(encoders=encoders, fusion=fusion, heads=heads, **changes)


class Probe:
    """A model compiled once: logits, and gradients of the squared logits of some examples."""

    def __init__(self, network):
        start = jax.jit(functools.partial(network.init, train=False))
        # Away from the zeros that biases begin with: a prior that something has taught.
        self.variables = jax.tree.map(lambda x: x + 0.05, start(jax.random.key(0), INPUTS))

        def loss(params, inputs, examples):
            variables = {**self.variables, "params": params}
            logits = network.apply(variables, inputs, train=False).values["match"]
            return jnp.sum(jnp.where(examples, logits**2, 0.0)), logits

        self._measure = jax.jit(jax.grad(loss, has_aux=True))

    def __call__(self, inputs, examples=(True,) * 4):
        return self._measure(self.variables["params"], inputs, jnp.array(examples))


def check_missing_image(probe):
    """Example 2 has no image: it neither sees nor teaches the image encoder."""
    found, logits = probe(INPUTS, (False, False, True, False))
    image = INPUTS["image"]
    other = Masked(samples.garbage(image.values, image.mask), image.mask)
    chex.assert_trees_all_equal(logits, probe({**INPUTS, "image": other})[1])
    assert not any(map(np.any, jax.tree.leaves(found["encoders_image"])))
    assert all(map(np.any, jax.tree.leaves(found["encoders_text"])))


def check_everything_missing(probe):
    found, logits = probe(NOTHING)
    assert np.all(np.isfinite(logits)) and np.all(logits == logits[0]) and logits[0] != 0
    chex.assert_tree_all_finite(found)
    for encoder in ("encoders_image", "encoders_text"):
        assert not any(map(np.any, jax.tree.leaves(found[encoder])))
    assert any(map(np.any, jax.tree.leaves(found["heads_match"])))


@pytest.mark.parametrize("fusion", FUSIONS[SEED % 3 :: 3])
def test_an_image_or_everything_may_be_missing_with_any_fusion(fusion):
    probe = Probe(model(fusion))
    check_missing_image(probe)
    check_everything_missing(probe)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_image_or_everything_may_be_missing_with_any_stand_in(policy):
    probe = Probe(model(Concat(), imputation=policy))
    check_missing_image(probe)
    check_everything_missing(probe)


def test_modalities_that_the_model_does_not_have_or_does_not_get_are_named():
    network = model(Concat())
    for given in ({"image": samples.image()}, {"image": samples.image(), "sound": samples.text()}):
        with pytest.raises(ValueError, match=r"expected the modalities \['image', 'text'\], got"):
            network.init(jax.random.key(0), given, train=False)


def test_modality_dropout_hides_what_it_says_and_leaves_everybody_one():
    size, rate = 6000, 0.6
    there = np.ones((3, size), bool)
    there[1, :1000] = False
    there[:, :10] = False
    inputs = {
        "a": Masked(jnp.zeros((size, 2)), there[0]),
        "b": Masked(jnp.zeros((size, 5)), np.repeat(there[1][:, None], 5, axis=1)),
        "c": Masked(jnp.zeros((size, 2)), there[2]),
    }
    dropped = drop_modalities(inputs, rate, jax.random.key(0))
    left = np.stack([np.asarray(dropped[n].mask).reshape(size, -1)[:, 0] for n in "abc"])
    assert not np.any(left & ~there)
    assert np.all(np.any(left, axis=0)[10:]) and not np.any(left[:, :10])
    # All three are asked to go with 0.6^3; then one of them stays. Standard error 0.007.
    expected = 1 - rate + rate**3 / 3
    np.testing.assert_allclose(np.mean(left[:, 1000:], axis=1), expected, atol=0.03)
    # Of two: 1 - 0.6 + 0.6^2 / 2. Standard error 0.016.
    np.testing.assert_allclose(np.mean(left[0, 10:1000]), 1 - rate + rate**2 / 2, atol=0.06)
    np.testing.assert_array_equal(dropped["b"].mask[:, 0], dropped["b"].mask[:, 4])


def test_modality_dropout_happens_in_training_alone():
    network = model(Concat(), modality_dropout=0.6)
    variables = network.init(jax.random.key(0), INPUTS, train=False)
    plain = dataclasses.replace(network, modality_dropout=0.0)
    evaluated = network.apply(variables, INPUTS, train=False).values["match"]
    np.testing.assert_array_equal(
        evaluated, plain.apply(variables, INPUTS, train=False).values["match"]
    )
    trained = network.apply(variables, INPUTS, train=True, rngs={"dropout": jax.random.key(3)})
    assert np.any(trained.values["match"] != evaluated)
    with pytest.raises(ValueError, match="modality_dropout: expected 0 to below 1"):
        model(Concat(), modality_dropout=1.0).init(jax.random.key(0), INPUTS, train=False)


@pytest.mark.parametrize("unimodal", ["probe", "train"])
def test_a_modality_alone_has_a_head_of_its_own_that_sees_nothing_else(unimodal):
    network = model(Concat(), unimodal=unimodal)
    variables = network.init(jax.random.key(0), INPUTS, train=False)
    assert {"alone_match_image", "alone_match_text", "heads_match"} <= set(variables["params"])

    @jax.jit
    def gradient(params):
        outputs = network.apply({"params": params}, INPUTS, train=False)
        return jnp.sum(outputs.unimodal["match"]["image"] ** 2)

    found = jax.grad(gradient)(variables["params"])
    reached = {part for part, tree in found.items() if any(map(np.any, jax.tree.leaves(tree)))}
    alone = {"alone_match_image"}
    assert reached == (alone if unimodal == "probe" else alone | {"encoders_image"})


def test_one_side_alone_is_embedded():
    network = model(Concat())
    variables = network.init(jax.random.key(0), INPUTS, train=False)
    both = network.apply(variables, INPUTS, train=False, method=network.embed)
    text = {"text": INPUTS["text"]}
    alone = network.apply(variables, text, train=False, method=network.embed)
    assert list(alone) == ["text"] and both["image"].shape == (4, 8)
    np.testing.assert_array_equal(alone["text"], both["text"])
    assert not np.any(both["image"][2])  # which is missing


@pytest.mark.parametrize("modality", INPUTS)
@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_reads_its_kind_of_input_and_no_other(modality, name):
    """As its signature says: by the number of axes, and by whether there are words or numbers."""
    module, given = samples.ENCODER_VARIANTS[name][0], INPUTS[modality]
    network = dataclasses.replace(model(Concat()), encoders={modality: module})
    own = samples.INPUTS[name]().values
    same = own.ndim == given.values.ndim and own.dtype == given.values.dtype
    if same or (name in ("lstm", "gru") and modality == "text"):
        return network.check_inputs({modality: given})
    with pytest.raises(
        ValueError, match=rf"{modality}.*does not read .* choose with.*:NAME from "
    ) as e:
        network.check_inputs({modality: given})
    fitting = {
        "image": "cnn, resnet, vgg, vit, hog, lifted_camera",
        "text": "lstm, gru, bag_of_words, bert, gpt2",
    }
    assert str(e.value).endswith(fitting[modality])


def test_a_model_with_an_encoder_of_another_kind_says_so():
    network = dataclasses.replace(model(Concat()), encoders={"image": Lstm(), "text": Cnn()})
    with pytest.raises(ValueError, match="'image': Lstm does not read float32"):
        network.init(jax.random.key(0), INPUTS, train=False)


def test_one_object_for_two_modalities_is_two_encoders():
    encoder = ENCODERS["features"](4)
    model = Multimodal(encoders={"a": encoder, "b": encoder}, fusion=Concat(), heads={"y": Logit()})
    given = {name: samples.features() for name in ("a", "b")}
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), given, train=False))
    assert {"encoders_a", "encoders_b"} <= set(shapes["params"])
