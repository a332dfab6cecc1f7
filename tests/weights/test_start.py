import functools
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Adam
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked, MetricName
from mmjax.weights import start
from mmjax.weights.start import from_files
from tests.parity.closeness import assert_close
from tests.samples import target
from tests.weights.test_load import ENCODERS, published, saved, stored

pytestmark = pytest.mark.usefixtures("standard_promotion")
TX = Adam().chain(10)


def model(**weights):
    encoders = {"image": ENCODERS["resnet"], "photo": ENCODERS["resnet"], "text": ENCODERS["bert"]}
    encoders = {
        name: encoder.clone(dim=4, weights=weights.get(name)) for name, encoder in encoders.items()
    }
    return Multimodal(encoders=encoders, fusion=Concat(), heads={"match": Logit((4,))})


@functools.cache
def batch():
    image, text = stored("resnet")["image"], stored("bert")
    count = len(image)
    inputs = {
        "image": Masked(image, np.ones(count, bool)),
        "photo": Masked(image, np.ones(count, bool)),
        "text": Masked(text["word"][-count:], text["mask"][-count:]),
    }
    labels = {"match": target((np.arange(count) % 2).astype(np.float32))}
    return Batch(inputs, labels, np.ones(count, np.float32), np.arange(count))


@functools.cache
def fresh():
    return create_state(model(), TX, batch(), seed=0)


def differ(tree, other):
    return any(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), tree, other)))


@pytest.fixture
def files(tmp_path):
    found = {}
    for modality, network in (("image", "resnet"), ("text", "bert")):
        (tmp_path / modality).mkdir()
        found[modality] = str(saved(tmp_path / modality, published(network)))
    return found


def test_encoders_start_from_their_files_and_the_rest_as_it_was(files):
    state, read = from_files(fresh(), model(**files))
    assert read == {f"encoders_{modality}": file for modality, file in files.items()}
    chex.assert_trees_all_equal_structs(state, fresh())
    chex.assert_trees_all_equal_shapes_and_dtypes(state, fresh())
    changed = {
        f"{kind}/{name}"
        for kind, tree in state.variables.items()
        for name in tree
        if differ(tree[name], fresh().variables[kind][name])
    }
    assert changed == {
        "params/encoders_image",
        "params/encoders_text",
        "batch_stats/encoders_image",
    }
    for part in ("step", "opt_state", "key"):
        chex.assert_trees_all_equal(getattr(state, part), getattr(fresh(), part))
    projection = state.params["encoders_image"]["projection"]
    chex.assert_trees_all_equal(projection, fresh().params["encoders_image"]["projection"])


def test_the_model_then_holds_the_network_of_the_file(files):
    state, _ = from_files(fresh(), model(**files))
    for modality, network in (("image", "resnet"), ("text", "bert")):
        variables = {
            kind: tree[f"encoders_{modality}"]
            for kind, tree in state.variables.items()
            if f"encoders_{modality}" in tree
        }
        given = batch().inputs[modality]
        encode = jax.jit(functools.partial(ENCODERS[network].apply, train=False))
        tokens = encode(variables, jnp.asarray(given.values), jnp.asarray(given.mask))
        expected = stored(network)["eval"][-len(given.mask) :]
        assert_close(tokens.values, expected, 1e-4)


def test_a_training_goes_on_from_there(files):
    """With its buffers given away, as the loop does: none may be another's too."""
    own = jax.tree.map(jnp.array, fresh())
    state, _ = from_files(own, model(**files))
    before = jax.tree.map(np.array, state.params)
    step = functools.partial(
        train_step,
        model=model(),
        objectives={"match": BinaryCrossEntropy(output="match", target="match")},
        tx=TX,
        axis=None,
    )
    after, sums = jax.jit(step, donate_argnums=0)(state, batch())
    assert int(after.step) == 1 and np.isfinite(sums[MetricName("match", "loss")].mean())
    moved = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), after.params, before)
    assert 0 < max(jax.tree.leaves(moved)) < 0.01


def test_a_run_counts_more_than_the_files_that_it_began_with(files, monkeypatch):
    learned = jax.tree.map(lambda x: x + 1, fresh().variables)
    monkeypatch.setattr(start, "restore", lambda run: types.SimpleNamespace(variables=learned))
    absent = {name: f"{file}.absent" for name, file in files.items()}
    state, read = start.begin(fresh(), model(**absent), "run")
    chex.assert_trees_all_equal(state.variables, learned)
    state, read = start.begin(fresh(), model(**files), "encoders.image=run")
    chex.assert_trees_all_equal(state.params["encoders_image"], learned["params"]["encoders_image"])
    assert read == {"encoders_image": "run:encoders.image", "encoders_text": files["text"]}
    assert differ(state.params["encoders_text"], fresh().params["encoders_text"])


def test_without_files_nothing_is_read():
    state, read = from_files(fresh(), model())
    assert state is fresh() and read == {}


def test_an_error_names_the_flag_and_the_file(files, tmp_path):
    with pytest.raises(ValueError) as raised:
        from_files(fresh(), model(image=files["text"]))
    assert str(raised.value).startswith(
        f"--model.encoders.image.weights {files['text']}: these are the weights of another arch"
    )
    with pytest.raises(FileNotFoundError, match=r"^--model\.encoders\.text\.weights .*none: no su"):
        from_files(fresh(), model(text=str(tmp_path / "none")))
    (tmp_path / "broken").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"^--model\.encoders\.photo\.weights .*broken: not a saf"):
        from_files(fresh(), model(photo=str(tmp_path / "broken")))
