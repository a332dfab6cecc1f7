"""Series in parts: the same answers as for the whole series up to there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmjax
from mmjax.evaluation.streaming import Stream
from mmjax.types import Masked

RNG = np.random.default_rng(0)
VALUES = {
    "touch": RNG.normal(size=(3, 12, 4)).astype(np.float32),
    "imu": RNG.normal(size=(3, 12, 2)).astype(np.float32),
}
MASKS = {name: RNG.random((3, 12)) < 0.7 for name in VALUES}
MASKS["imu"][1] = False  # never comes
MASKS["touch"][2, :5] = False  # comes late


def model(**encoders):
    encoders = {"touch": mmjax.encoders.Gru(dim=5, layers=2), **encoders}
    return mmjax.Multimodal(
        encoders={"imu": mmjax.encoders.Lstm(dim=5), **encoders},
        fusion=mmjax.fusion.Concat(),
        heads={"y": mmjax.heads.Number(hidden=())},
    )


def part(start, end):
    return {n: Masked(VALUES[n][:, start:end], MASKS[n][:, start:end]) for n in VALUES}


@pytest.mark.slow
@pytest.mark.parametrize("ends", [range(1, 13), (4, 8, 12)], ids=["samples", "blocks"])
def test_after_every_part_the_answer_is_that_for_the_series_up_to_there(ends):
    network = model()
    variables = network.init(jax.random.key(0), part(0, 12), train=False)
    variables = jax.tree.map(lambda x: x + 0.1 * jnp.ones_like(x), variables)
    assert set(variables) == {"params"}
    stream, begin = Stream(network, variables), 0
    for end in ends:
        found = stream(part(begin, end))
        expected = network.apply(variables, part(0, end), train=False)
        np.testing.assert_allclose(found.values["y"], expected.values["y"], atol=1e-6)
        for name in VALUES:
            np.testing.assert_array_equal(found.present[name], expected.present[name])
        begin = end
    first = stream(part(0, ends[0]))
    stream.restart()
    again = stream(part(0, ends[0])).values["y"]
    whole = network.apply(variables, part(0, ends[0]), train=False).values["y"]
    np.testing.assert_allclose(again, whole, atol=1e-6)
    assert np.any(np.abs(first.values["y"] - again) > 1e-4)


@pytest.mark.parametrize(
    "encoder, message",
    [
        (mmjax.encoders.Gru(dim=5, bidirectional=True), "bidirectional"),
        (mmjax.encoders.Gru(dim=5, pooling="mean"), 'take "last"'),
        (mmjax.encoders.Gru(dim=5, time=0), "intervals of time stamps"),
    ],
)
def test_what_needs_the_whole_series_is_refused(encoder, message):
    network = model(touch=encoder)
    variables = network.init(jax.random.key(0), part(0, 12), train=False)
    with pytest.raises(ValueError, match=message):
        Stream(network, variables)(part(0, 1))


def test_a_model_without_a_state_is_refused():
    plain = mmjax.encoders.Features(dim=4)
    with pytest.raises(ValueError, match="expected an encoder Lstm or Gru, got"):
        Stream(model(touch=plain, imu=plain), {})
