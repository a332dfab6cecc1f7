"""A decoder in a model: teacher forcing in training, texts in evaluation, one update everywhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.encoders import Features
from mmjax.errors import UserError
from mmjax.fusion import Early
from mmjax.heads import LstmDecoder, TokenWords, TransformerDecoder
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import Ctc, TextCrossEntropy
from mmjax.optim import Adam
from mmjax.train.step.gradient import accumulated
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked

pytestmark = pytest.mark.usefixtures("standard_promotion")
SMALL = {"vocabulary_size": 6, "width": 8, "length": 4}
HEADS = {
    "lstm": LstmDecoder(target="text", **SMALL),
    "transformer": TransformerDecoder(**SMALL, layers=1, heads=2),
    "ctc": TokenWords(vocabulary_size=6),
}
TX = Adam(peak_lr=1e-2).chain(10)


def model(name, **more):
    return Multimodal(
        encoders={"a": Features(8), "b": Features(8)},
        fusion=Early(layers=1, dim=8, heads=2),
        heads={"said": HEADS[name]},
        **more,
    )


def batch(size=8):
    rng = np.random.default_rng(0)
    inputs = {
        name: Masked(rng.normal(size=(size, 4, 3)).astype(np.float32), rng.random((size, 4)) < 0.8)
        for name in ("a", "b")
    }
    words = rng.integers(2, 6, (size, 4)).astype(np.int32)
    mask = np.arange(4)[None] < rng.integers(0, 4, size)[:, None]
    weight = np.ones(size, np.float32)
    weight[3] = 0
    return Batch(inputs, {"text": Masked(words, mask)}, weight, np.arange(size))


def objective(name):
    return (Ctc if name == "ctc" else TextCrossEntropy)(output="said", target="text")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformer", "ctc"])
def test_the_update_is_the_same_on_any_devices_and_in_parts(name):
    """Words are counted over all devices and parts: texts have different lengths."""
    step = functools.partial(
        train_step, model=model(name), objectives={"said": objective(name)}, tx=TX
    )
    given = batch(16)
    found = []
    for wrapper, devices, rule in (
        ("jit", 1, None), ("pmap", 8, None), ("jit", 1, accumulated(2)),
    ):  # fmt: skip
        mesh = parallel.mesh_of(devices)
        state = create_state(model(name), TX, given, seed=0)
        one = functools.partial(step, **({"rule": rule} if rule else {}))
        state = parallel.replicate(state, mesh)
        new, means = parallel.WRAPPERS[wrapper](one, mesh)(state, given)
        found.append((jax.device_get(new.params), jax.device_get(means)))
    for params, means in found[1:]:
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-6), params, found[0][0]
        )
        for key, mean in means.items():
            np.testing.assert_allclose(mean.mean(), found[0][1][key].mean(), rtol=1e-5)


def test_a_modality_that_is_read_alone_writes_no_text():
    whole = model("lstm", unimodal="probe")
    given = batch()
    variables = whole.init(jax.random.key(0), given.inputs, train=False)
    outputs = whole.apply(variables, given.inputs, train=False, targets=given.targets)
    assert set(outputs.values["said"]) == {"logits", "words", "log_probability"}
    for alone in outputs.unimodal["said"].values():
        assert set(alone) == {"logits"}


def test_in_bfloat16_it_writes_in_cached_steps_too():
    half, given = model("transformer", precision="bfloat16"), batch()
    variables = half.init(jax.random.key(0), given.inputs, train=False)
    outputs = jax.jit(functools.partial(half.apply, train=False))(variables, given.inputs)
    assert outputs.values["said"]["log_probability"].dtype == jnp.float32
    assert outputs.values["said"]["words"].shape == (8, 1, 4)


def test_a_target_that_the_data_lacks_is_named():
    given = batch()
    variables = model("lstm").init(jax.random.key(0), given.inputs, train=False)
    with pytest.raises(UserError, match="no target 'text'"):
        model("lstm").apply(variables, given.inputs, train=True)
