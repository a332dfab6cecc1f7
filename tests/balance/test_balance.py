import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.balance import Auxiliary, Blend, OgmGe, blend_weights
from mmjax.types import MetricName, WeightedMean


def confidences(**means):
    return {
        MetricName("match", "confidence", name): WeightedMean(
            jnp.float32(mean * 10), jnp.float32(10)
        )
        for name, mean in means.items()
    }


def test_ogm_damps_the_modality_that_is_ahead_and_leaves_the_other():
    scales = OgmGe(alpha=0.5).scales(confidences(image=0.9, text=0.6))
    np.testing.assert_allclose(scales["image"], 1 - np.tanh(0.5 * 1.5), rtol=1e-6)
    assert scales["text"] == 1


def test_of_three_modalities_each_is_compared_with_the_mean_of_the_others():
    scales = OgmGe(alpha=0.5).scales(confidences(a=0.9, b=0.7, c=0.5))
    np.testing.assert_allclose(scales["a"], 1 - np.tanh(0.5 * 0.9 / 0.6), rtol=1e-6)
    assert scales["b"] == 1 and scales["c"] == 1  # 0.7 is the mean of 0.9 and 0.5: not ahead


def test_a_single_modality_is_not_damped():
    assert OgmGe().scales(confidences(a=0.9)) == {"a": 1}


def test_ogm_scales_the_encoders_gradients_and_ge_adds_noise_of_their_own_size():
    rng = np.random.default_rng(0)
    gradients = {
        name: {"kernel": jnp.asarray(rng.normal(size=(50, 40)).astype(np.float32))}
        for name in ("encoders_image", "encoders_text", "fusion")
    }
    sums = confidences(image=0.9, text=0.6)
    key = jax.random.key(0)
    plain = OgmGe(alpha=0.5, noise=False).modulate(gradients, sums, key)
    scale = 1 - np.tanh(0.75)
    kernel = gradients["encoders_image"]["kernel"]
    np.testing.assert_allclose(plain["encoders_image"]["kernel"], scale * kernel, rtol=1e-5)
    np.testing.assert_array_equal(
        plain["encoders_text"]["kernel"], gradients["encoders_text"]["kernel"]
    )
    noisy = OgmGe(alpha=0.5).modulate(gradients, sums, key)
    noise = noisy["encoders_image"]["kernel"] - plain["encoders_image"]["kernel"]
    # 2,000 draws: their standard deviation is known to 1.6 % (one standard error).
    np.testing.assert_allclose(np.std(noise), np.std(kernel), rtol=0.07)
    assert noisy["fusion"] is gradients["fusion"]
    other = noisy["encoders_text"]["kernel"] - plain["encoders_text"]["kernel"]
    assert np.any(other) and abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.1


def test_without_a_confidence_of_single_modalities_ogm_cannot_be():
    with pytest.raises(ValueError, match="no objective reports a confidence"):
        OgmGe().scales({MetricName("match", "loss"): WeightedMean(jnp.float32(1), jnp.float32(1))})


def test_a_modality_that_blending_does_not_name_has_weight_one():
    blend = Blend(joint=0.2, weights={"image": 0.5})
    assert [blend.weight(name) for name in (None, "image", "text")] == [0.2, 0.5, 1.0]


def test_blending_prefers_what_generalises_to_what_overfits():
    before = {None: (0.7, 0.7), "image": (0.7, 0.7), "text": (0.7, 0.7)}
    after = {None: (0.2, 0.5), "image": (0.4, 0.5), "text": (0.1, 0.7)}
    weights = blend_weights(before, after)
    # dG = 0.2 for both, dO = 0.3 and 0.1; the text did not generalise at all
    np.testing.assert_allclose(weights["image"] / weights[None], (0.2 / 0.01) / (0.2 / 0.09))
    assert weights["text"] == 0
    np.testing.assert_allclose(sum(weights.values()), 1)


def test_blending_refuses_what_cannot_be_weighed():
    with pytest.raises(ValueError, match="same modalities"):
        blend_weights({None: (1.0, 1.0)}, {"image": (1.0, 1.0)})
    with pytest.raises(ValueError, match="finite losses"):
        blend_weights({None: (1.0, 1.0)}, {None: (0.5, float("nan"))})
    with pytest.raises(ValueError, match="no validation loss fell"):
        blend_weights({None: (1.0, 1.0)}, {None: (0.5, 1.5)})


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: OgmGe(alpha=0.0), "--balance.alpha: expected more than 0, got 0.0"),
        (lambda: Auxiliary(-1.0), "--balance.unimodal-weight: expected 0 or more, got -1.0"),
        (lambda: Blend(weights={"image": -1.0}), "0 or more, got image=-1.0"),
    ],
)
def test_a_strength_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
