import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import AudioCnn, AudioTransformer, WaveCnn
from tests.encoders.shapes import tokens_of

DEFAULTS = [AudioCnn(), AudioTransformer(), WaveCnn()]


@pytest.mark.parametrize(
    "module, samples, count",
    [
        (AudioCnn(), 16_000, 1),
        (AudioCnn(pooling="none"), 16_000, 13),  # 100 frames, halved three times, rounded up
        (AudioTransformer(), 16_000, 25),
        (AudioTransformer(), 1, 1),
        (WaveCnn(), 16_000, 1),
        (WaveCnn(pooling="none"), 16_000, 63),  # 256 samples a token
    ],
    ids=repr,
)
def test_a_second_of_sound_is_so_many_tokens(module, samples, count):
    found = tokens_of(module, samples)
    assert found.values.shape == (2, count, 64) and found.mask.shape == (2, count)


@pytest.mark.parametrize("module", DEFAULTS, ids=repr)
def test_no_sound_at_all_is_a_sound_that_is_not_there(module):
    """Of no samples, or of samples that are all padding."""
    start = jax.jit(lambda: module.init(jax.random.key(0), *_noise(1600), train=False))
    variables = start()
    for samples, length in ((0, 0), (1600, 0)):
        values, mask = _noise(samples, length)
        tokens = module.apply(variables, values, mask, train=False)
        assert not np.any(tokens.mask) and not np.any(tokens.values)


@pytest.mark.parametrize("module", [AudioCnn(pooling="none"), WaveCnn(pooling="none")], ids=repr)
def test_how_loud_it_was_recorded_does_not_show(module):
    values, mask = _noise(1600)
    variables = jax.jit(lambda: module.init(jax.random.key(0), values, mask, train=False))()
    loud, soft = (
        module.apply(variables, factor * values, mask, train=False).values for factor in (8.0, 1.0)
    )
    np.testing.assert_allclose(loud, soft, atol=1e-3)


def test_fields_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"AudioCnn\.mels: expected at least 8, got 4"):
        tokens_of(AudioCnn(mels=4), 1600)
    with pytest.raises(ValueError, match=r"WaveCnn\.size: expected at least 4, got 3"):
        tokens_of(WaveCnn(size=3), 1600)
    with pytest.raises(ValueError, match="expected a hop of a sample or more"):
        tokens_of(AudioTransformer(hop=0.0), 1600)


def _noise(samples, length=None):
    values = np.random.default_rng(0).normal(size=(2, samples)).astype(np.float32)
    there = np.arange(samples)[None] < (samples if length is None else length)
    return jnp.asarray(values), jnp.asarray(np.broadcast_to(there, values.shape))
