import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import AudioCnn, Cnn, Lstm, TableMlp
from mmjax.evaluation.attribution import SOUND, attribute, randomised, similarity
from mmjax.evaluation.attribution_sound import short_time
from mmjax.fusion import Concat, Sum
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.types import Batch, Masked


@pytest.fixture(scope="module")
def judged():
    """A model of a picture, a text and a table, with random weights, and three examples."""
    rng = np.random.default_rng(0)
    model = Multimodal(
        encoders={
            "image": Cnn((4,), 6),
            "text": Lstm(20, 5, 6),
            "table": TableMlp(6, (5,), categories=(0, 3, 0)),
        },
        fusion=Concat(),
        heads={"match": Logit(hidden=(5,))},
    )
    image = Masked(rng.normal(size=(3, 8, 8, 1)).astype(np.float32), np.array([True, True, False]))
    words = np.arange(7)[None] < np.array([[3], [7], [4]])
    text = Masked(rng.integers(2, 20, (3, 7)).astype(np.int32), words)
    cells = rng.normal(size=(3, 3)).astype(np.float32)
    cells[:, 1] = [0, 2, 1]
    table = Masked(cells, np.array([[True, True, True], [True, True, False], [False] * 3]))
    inputs = {"image": image, "text": text, "table": table}
    batch = Batch(inputs, {}, np.ones(3, np.float32), np.arange(3))
    return model, jax.jit(lambda: model.init(jax.random.key(0), inputs, train=False))(), batch


def logit(outputs):
    return outputs.values["match"]


@pytest.fixture(scope="module")
def found(judged):
    return attribute(*judged, logit)


def test_integrated_gradients_are_complete(judged, found):
    model, variables, batch = judged
    assert np.abs(found.score - found.baseline).max() > 0.05
    assert np.abs(found.gap()).max() < 2e-3
    assert np.allclose(found.score, logit(model.apply(variables, batch.inputs, train=False)))


def test_each_part_gets_its_number_and_what_is_masked_gets_none(found):
    shapes = {name: one.shape for name, one in found.integrated.items()}
    assert shapes == {"image": (3, 8, 8), "text": (3, 7), "table": (3, 3)}
    for parts in (found.integrated, found.gradient):
        assert not parts["image"][2].any() and parts["image"][0].any()
        assert not parts["text"][0, 3:].any() and parts["text"][0, :3].all()
        assert not parts["table"][2].any() and parts["table"][1, :2].all()
        assert parts["table"][1, 2] == 0
    assert min(one.min() for one in found.gradient.values()) >= 0


def test_random_weights_give_other_attributions(judged, found):
    model, _, batch = judged
    assert similarity(found, found) == pytest.approx({"image": 1, "text": 1, "table": 1})
    other = attribute(model, randomised(model, batch), batch, logit)
    assert abs(similarity(found, other)["image"]) < 0.5


def test_of_a_linear_model_they_are_weight_times_input():
    model = Multimodal(
        encoders={"table": TableMlp(4, ())}, fusion=Sum(), heads={"match": Logit(hidden=())}
    )
    inputs = {"table": Masked(jnp.array([[1.0, 2.0]]), jnp.ones((1, 2), bool))}
    variables = model.init(jax.random.key(0), inputs, train=False)
    batch = Batch(inputs, {}, np.ones(1, np.float32), np.arange(1))
    got = attribute(model, variables, batch, logit, steps=3)
    slope = jax.grad(
        lambda x: logit(
            model.apply(variables, {"table": Masked(x, inputs["table"].mask)}, train=False)
        )[0]
    )(inputs["table"].values)
    assert np.allclose(got.integrated["table"], slope * inputs["table"].values, rtol=1e-4)
    assert np.allclose(got.gradient["table"], np.abs(slope), rtol=1e-4)


def test_of_a_sound_they_are_complete_over_time_and_frequency():
    """A spectrogram's level is taken out: on a path of equal steps nothing would be seen of it."""
    rng, rate, window, hop = np.random.default_rng(0), 2000, 64, 20
    tone = 0.3 * np.sin(2 * np.pi * 450 * np.arange(600) / rate)
    sounds = np.stack([tone, 0.05 * rng.normal(size=600)]).astype(np.float32)
    sound = AudioCnn(sample_rate=rate, window=0.032, hop=0.016, mels=8, features=(4,), dim=4)
    model = Multimodal(encoders={"sound": sound}, fusion=Sum(), heads={"match": Logit(hidden=(4,))})
    mask = np.arange(600)[None] < np.array([[600], [410]])
    inputs = {"sound": Masked(sounds * mask, mask)}
    variables = jax.jit(lambda: model.init(jax.random.key(0), inputs, train=False))()
    batch = Batch(inputs, {}, np.ones(2, np.float32), np.arange(2))
    found = attribute(model, variables, batch, logit, **SOUND)
    whole = found.score - found.baseline
    assert np.abs(whole).min() > 0.02
    assert np.abs(found.gap()).max() < 0.01 * np.abs(whole).min()
    for row in range(2):
        own = (x[row][mask[row]] for x in (inputs["sound"].values, *found.slopes["sound"]))
        folded = short_time(*own, rate=rate, window=window, hop=hop)
        assert np.isclose(folded.products.sum(), found.integrated["sound"][row].sum(), atol=1e-6)
    # The windows keep the power, and a tone is in its own band.
    folded = short_time(tone, tone, tone, rate=rate, window=window, hop=hop)
    assert np.isclose(folded.power.sum(), np.sum(tone**2))
    loudest = folded.products.sum(axis=0).argmax()
    assert folded.edges[loudest] <= 450 <= folded.edges[loudest + 1]
