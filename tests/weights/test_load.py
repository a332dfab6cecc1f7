import functools
import json
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from mmjax.encoders import Cnn, Features
from mmjax.encoders.bert import Bert
from mmjax.encoders.gpt2 import Gpt2
from mmjax.encoders.resnet import ResNet
from mmjax.encoders.vgg import Vgg
from mmjax.encoders.vit import Vit
from mmjax.fusion import Sum
from mmjax.heads import TransformerDecoder
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import TextCrossEntropy
from mmjax.optim import Adam
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked
from mmjax.weights import PUBLISHED
from mmjax.weights.load import load
from mmjax.weights.start import from_files
from tests.parity.closeness import assert_close
from tests.parity.encoded import folder, inputs

_PARITY = Path(__file__).parents[1] / "parity"
_SMALL = {"width": 24, "layers": 2, "heads": 3}
# The encoders of the stored networks.
ENCODERS = {
    "resnet": ResNet(18, width=2),
    "vgg": Vgg(11, width=2),
    "vit": Vit(patch=4, epsilon=1e-12, **_SMALL),
    "bert": Bert(vocabulary_size=31, positions=9, **_SMALL),
    "gpt2": Gpt2(vocabulary_size=31, positions=9, **_SMALL),
}
ALL = pytest.mark.parametrize("name", ENCODERS)


@functools.cache
def stored(name):
    with np.load(_PARITY / f"{name}.npz") as found:
        return dict(found)


def published(name):
    """Tensors as a file holds them."""
    return folder(stored(name), "weight/")


def fresh(encoder, values, mask):
    """Variables of the encoder's shapes, each of its own values."""
    init = functools.partial(encoder.init, train=False)
    shapes = dict(jax.eval_shape(init, jax.random.key(0), jnp.asarray(values), jnp.asarray(mask)))
    random = np.random.default_rng(5)
    return jax.tree.map(lambda x: random.normal(size=x.shape).astype(np.float32), shapes)


def saved(path, arrays):
    path = path / "model.safetensors"
    save_file({n: np.ascontiguousarray(x) for n, x in arrays.items()}, path)
    return path


def loaded(tmp_path, name, arrays=None, encoder=None):
    """The variables of a file with these arrays, or the stored network's."""
    encoder = encoder or ENCODERS[name]
    like = fresh(encoder, *inputs(stored(name)))
    file = saved(tmp_path, published(name) if arrays is None else arrays)
    return load(encoder, file, like)


def encoded(encoder, name, variables):
    given = jax.tree.map(jnp.asarray, variables)
    return jax.jit(functools.partial(encoder.apply, train=False))(given, *inputs(stored(name)))


def test_every_published_network_is_tested():
    decoder = TransformerDecoder  # in tests/parity/test_gpt2.py, and below
    assert {type(encoder) for encoder in ENCODERS.values()} | {decoder} == set(PUBLISHED)


@ALL
def test_a_file_gives_the_tokens_of_its_network(tmp_path, name):
    variables = loaded(tmp_path, name)
    assert_close(encoded(ENCODERS[name], name, variables).values, stored(name)["eval"], 1e-4)


@ALL
def test_a_loaded_encoder_can_be_told_from_a_fresh_one_everywhere(tmp_path, name):
    like = fresh(ENCODERS[name], *inputs(stored(name)))
    variables = load(ENCODERS[name], saved(tmp_path, published(name)), like)
    assert jax.tree.structure(variables) == jax.tree.structure(like)
    changed = jax.tree.map(
        lambda new, old: new.dtype == np.float32 and np.any(new != old), variables, like
    )
    assert all(jax.tree.leaves(changed)), changed


@ALL
def test_the_projection_stays_as_it_was_initialised(tmp_path, name):
    encoder = ENCODERS[name].clone(dim=5)
    like = fresh(encoder, *inputs(stored(name)))
    variables = load(encoder, saved(tmp_path, published(name)), like)
    chex.assert_trees_all_equal(variables["params"]["projection"], like["params"].pop("projection"))
    del variables["params"]["projection"]
    chex.assert_trees_all_equal(variables, loaded(tmp_path, name))


HEADS = {
    "resnet": ["fc.weight", "fc.bias", "layer1.0.bn1.num_batches_tracked", "head.fc.weight"],
    "vgg": ["classifier.0.weight", "classifier.6.bias", "features.1.num_batches_tracked"]
    + ["pre_logits.fc1.weight", "pre_logits.fc2.bias", "head.fc.weight", "head.fc.bias"],
    "vit": ["classifier.weight", "vit.pooler.dense.bias", "vit.embeddings.mask_token"]
    + ["decoder.0.weight", "vit.encoder.layer.1.attention.attention.key.bias"],
    "bert": ["cls.predictions.bias", "cls.predictions.transform.LayerNorm.gamma"]
    + ["cls.seq_relationship.weight", "bert.pooler.dense.weight", "bert.embeddings.position_ids"]
    + ["classifier.bias", "qa_outputs.weight", "bert.encoder.layer.0.attention.self.key.bias"],
    "gpt2": ["lm_head.weight", "score.weight", "transformer.h.0.attn.bias"]
    + ["transformer.h.1.attn.masked_bias", "qa_outputs.bias", "classifier.weight"]
    + ["multiple_choice_head.summary.weight"],
}
PREFIXES = {"resnet": "model.", "vgg": "model.", "vit": "vit.", "bert": "bert."}


@ALL
def test_a_network_with_a_head_is_read_too(tmp_path, name):
    """Under its prefix, with what heads add, whatever numbers that is."""
    prefix = PREFIXES.get(name, "transformer.")
    arrays = {f"{prefix}{n}": x for n, x in published(name).items()}
    heads = {n: np.ones((2, 2), int) for n in HEADS[name] if n not in arrays}
    if name in ("resnet", "vgg"):  # whose heads stand inside
        heads = {f"{prefix}{n}": x for n, x in heads.items()}
    chex.assert_trees_all_equal(loaded(tmp_path, name, arrays | heads), loaded(tmp_path, name))


def test_the_first_files_of_bert_are_read(tmp_path):
    """As bert-base-uncased has them."""
    old = {
        f"bert.{n}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): x
        for n, x in published("bert").items()
    }
    assert sum(n.endswith(("gamma", "beta")) for n in old) == 10
    chex.assert_trees_all_equal(loaded(tmp_path, "bert", old), loaded(tmp_path, "bert"))


@ALL
def test_a_file_in_half_precision_gives_nearly_the_same(tmp_path, name):
    for dtype, tolerance in ((np.float16, 2**-11), (jnp.bfloat16, 2**-8)):
        half = {
            n: x.astype(dtype) if x.dtype == np.float32 else x for n, x in published(name).items()
        }
        rounded = {n: np.asarray(x, np.float32) for n, x in half.items()}
        found = loaded(tmp_path, name, half)
        chex.assert_trees_all_equal(found, loaded(tmp_path, name, rounded))
        assert_close(found, loaded(tmp_path, name), 2 * tolerance)


@ALL
def test_several_files_give_the_same_as_one(tmp_path, name):
    arrays = published(name)
    places = {n: f"model-{place % 3}.safetensors" for place, n in enumerate(sorted(arrays))}
    for shard in set(places.values()):
        held = {n: np.ascontiguousarray(x) for n, x in arrays.items() if places[n] == shard}
        save_file(held, tmp_path / shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    like = fresh(ENCODERS[name], *inputs(stored(name)))
    found = load(ENCODERS[name], index, like)
    chex.assert_trees_all_equal(found, load(ENCODERS[name], tmp_path, like))
    chex.assert_trees_all_equal(found, loaded(tmp_path, name))


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("resnet", {"depth": 34}, "missing: layer1.2.conv1.weight"),
        ("resnet", {"width": 4}, "conv1.weight (2, 3, 7, 7) becomes (7, 7, 3, 2), expected"),
        ("resnet", {"norm": "group"}, "surplus: bn1.running_mean"),
        ("resnet", {"small_images": True}, "expected (3, 3, 3, 2) at params/conv1/kernel"),
        ("vgg", {"depth": 16}, "missing: features."),
        ("vgg", {"batch_norm": False}, "surplus: features."),
        ("vit", {"layers": 3}, "missing: encoder.layer.2.layernorm_before.weight"),
        ("vit", {"patch": 2}, "positions of 15 patches can be resized to 60 only from a square"),
        ("bert", {"vocabulary_size": 30}, "(31, 24), expected (30, 24) at params/word/embedding"),
        ("bert", {"positions": 10}, "(9, 24), expected (10, 24) at params/position/table"),
        ("bert", {"layers": 1}, "surplus: encoder.layer.1."),
        ("gpt2", {"positions": 10}, "wpe.weight (9, 24), expected (10, 24)"),
        ("gpt2", {"width": 12}, "wte.weight (31, 24), expected (31, 12)"),
    ],
)  # fmt: skip
def test_an_encoder_of_another_architecture_is_refused(tmp_path, name, changes, message):
    with pytest.raises(ValueError) as raised:
        loaded(tmp_path, name, encoder=ENCODERS[name].clone(**changes))
    said = str(raised.value)
    assert said.startswith(f"{tmp_path / 'model.safetensors'}: these are the weights of another ")
    assert message in said and len(said.splitlines()) <= 19


@ALL
def test_any_tensor_of_another_shape_is_refused(tmp_path, name):
    """Broadcasting must not make a wrong one fit."""
    encoder = ENCODERS[name]
    like = fresh(encoder, *inputs(stored(name)))
    places = PUBLISHED[type(encoder)].places(encoder)
    for tensor in [n for n in published(name) if n in places][:40]:
        x = published(name)[tensor]
        for wrong in (x[:0], x[:1].reshape(-1)[:1], x[None], x.reshape(-1)[0]):
            if wrong.shape == x.shape:
                continue
            arrays = {**published(name), tensor: np.array(wrong)}
            with pytest.raises(ValueError, match=f"misshapen: {tensor} "):
                load(encoder, saved(tmp_path, arrays), like)


def test_an_encoder_that_nobody_publishes_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="published weights of Cnn; available for ResNet, Vgg, Vit, "
    ):
        load(Cnn(), tmp_path / "none", {})


def test_a_longer_table_of_positions_is_cut(tmp_path):
    for name in ("bert", "gpt2"):
        encoder = ENCODERS[name].clone(positions=6)
        tokens = encoded(encoder, name, loaded(tmp_path, name, encoder=encoder))
        assert_close(tokens.values, stored(name)["eval"], 1e-4)


@pytest.mark.parametrize("trial", range(4))
def test_a_damaged_file_is_loaded_or_refused(tmp_path, trial):
    """Nothing else may come of it, whatever its header says."""
    like = fresh(ENCODERS["gpt2"], *inputs(stored("gpt2")))
    file = saved(tmp_path, published("gpt2"))
    whole, random = file.read_bytes(), np.random.default_rng(trial)
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        # Digits and letters for the most part, so that it stays a header.
        for place in random.integers(8, header, 1 + trial):
            old = damaged[place]
            new = random.integers(*((48, 58) if 48 <= old < 58 else (97, 123)))
            damaged[place] = new if chr(old).isalnum() or trial == 3 else old
        file.write_bytes(damaged)
        try:
            load(ENCODERS["gpt2"], file, like)
        except ValueError as error:
            assert str(file) in str(error)
            refused += 1
    assert refused


def gpt2_decoder(file, **fields):
    words, width = published("gpt2")["wte.weight"].shape
    return TransformerDecoder(
        vocabulary_size=words,
        width=width,
        layers=ENCODERS["gpt2"].layers,
        heads=ENCODERS["gpt2"].heads,
        positions=6,
        length=6,
        context="prefix",
        weights=str(file),
        **fields,
    )


def test_a_decoder_in_a_model_starts_from_the_file_of_gpt2(tmp_path):
    file = saved(tmp_path, published("gpt2"))
    # A modality may be called as the head is.
    heads = {"text": gpt2_decoder(file)}
    model = Multimodal(encoders={"text": Features(8)}, fusion=Sum(), heads=heads)
    inputs = {"text": Masked(np.ones((2, 3, 4), np.float32), np.ones((2, 3), bool))}
    batch = Batch(inputs, {}, np.ones(2, np.float32), np.arange(2))
    fresh = create_state(model, Adam().chain(10), batch, seed=0)
    state, files = from_files(fresh, model)
    assert files == {"heads_text": str(file)}
    table = state.params["heads_text"]["word"]["embedding"]
    np.testing.assert_array_equal(table, published("gpt2")["wte.weight"])
    jax.tree.map(
        np.testing.assert_array_equal, state.params["encoders_text"], fresh.params["encoders_text"]
    )


@pytest.mark.usefixtures("standard_promotion")
def test_the_decoder_of_gpt2_learns_to_describe_for_a_frozen_encoder_of_pictures(tmp_path):
    head = gpt2_decoder(saved(tmp_path, published("gpt2")), target="caption")
    model = Multimodal(
        encoders={"image": Cnn(features=(4,), dim=8)},
        fusion=Sum(),
        heads={"caption": head},
        frozen=("image",),
    )
    random = np.random.default_rng(0)
    pictures = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    captions = random.integers(3, 31, (2, 6)).astype(np.int32)
    batch = Batch(
        {"image": Masked(pictures, np.ones(2, bool))},
        {"caption": Masked(captions, np.ones(2, bool))},
        np.ones(2, np.float32),
        np.arange(2),
    )
    tx = Adam(peak_lr=1e-2, warmup=0.0).chain(10, model.frozen_paths)
    before, _ = from_files(create_state(model, tx, batch, seed=0), model)
    loss = {"caption": TextCrossEntropy(output="caption", target="caption")}
    step = functools.partial(train_step, model=model, objectives=loss, tx=tx, axis=None)
    after, _ = jax.jit(step)(before, batch)
    same = jax.tree.map(np.array_equal, before.params, after.params)
    assert all(jax.tree.leaves(same["encoders_image"]))
    assert not any(jax.tree.leaves(same["heads_caption"]))
