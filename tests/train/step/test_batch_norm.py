"""BatchNorm sees the global batch: one device, pmap over 8, jit sharded over 8."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.devices import parallel
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.layers.convolution.batch_norm import BatchNorm
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Sgd
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked
from tests import samples
from tests.samples import target

pytestmark = pytest.mark.usefixtures("standard_promotion")
SIZE = 16
# Uneven over 8 devices: the first has no image, the second one, the third two.
SEEN = np.array([False, False, False, True, True, True, *[True, False, True, True, True] * 2])


class Small(nn.Module):
    """Two convolutions, each followed by BatchNorm and ReLU."""

    @nn.compact
    def __call__(self, values, mask, *, train):
        x, mask = clear(values, mask), jnp.asarray(mask)
        for _ in range(2):
            x = nn.Conv(3, (3, 3), use_bias=False)(x)
            x = nn.relu(BatchNorm()(x, mask, train=train))
        return image_tokens(x, mask, None)


MODEL = Multimodal(encoders={"image": Small()}, fusion=Concat(), heads={"match": Logit((4,))})


def batch(step, seen):
    random = np.random.default_rng(step)
    # Every device has images of its own brightness: their statistics are not those of the batch.
    values = random.normal(size=(SIZE, 4, 4, 2)) + np.arange(SIZE)[:, None, None, None] / 4
    return Batch(
        inputs={"image": Masked(values.astype(np.float32), seen)},
        targets={"match": target(random.integers(0, 2, SIZE).astype(np.float32))},
        weight=np.ones(SIZE, np.float32),
        ids=np.arange(SIZE),
    )


@functools.cache
def update(wrapper, devices):
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0, momentum=0.9).chain(2)
    objectives = {"match": BinaryCrossEntropy(output="match", target="match")}
    step = functools.partial(train_step, model=MODEL, objectives=objectives, tx=tx)
    mesh = parallel.mesh_of(devices)
    start = parallel.replicate(create_state(MODEL, tx, batch(0, SEEN), seed=0), mesh)
    return parallel.WRAPPERS[wrapper](step, mesh), start


def trained(wrapper, devices, read, seen=SEEN):
    """Parameters and running statistics after two steps."""
    step, state = update(wrapper, devices)
    for number in range(2):
        given = batch(number, seen)
        image = Masked(read(given.inputs["image"]), seen)
        state, _ = step(state, given.replace(inputs={"image": image}))
    return jax.device_get((state.params, state.collections))


def values_of(image):
    return image.values


def garbage_in(image):
    return np.asarray(samples.garbage(image.values, image.mask))


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
@pytest.mark.parametrize("seen", [np.ones(SIZE, bool), SEEN], ids=["all", "some"])
def test_eight_devices_learn_the_parameters_and_statistics_of_one(wrapper, seen):
    expected = trained("jit", 1, values_of, seen)
    chex.assert_trees_all_close(trained(wrapper, 8, values_of, seen), expected, atol=1e-6)


@pytest.mark.parametrize("wrapper, devices", [("jit", 1), ("pmap", 8)])
def test_missing_images_change_nothing(wrapper, devices):
    expected = trained(wrapper, devices, values_of)
    chex.assert_trees_all_equal(trained(wrapper, devices, garbage_in), expected)


@pytest.mark.parametrize("wrapper, devices", [("jit", 1), ("pmap", 8)])
def test_a_batch_without_images_leaves_the_statistics_and_the_encoder_alone(wrapper, devices):
    start = jax.device_get(update(wrapper, devices)[1])
    params, collections = trained(wrapper, devices, values_of, np.zeros(SIZE, bool))
    chex.assert_trees_all_equal(collections, start.collections)
    chex.assert_trees_all_equal(params["encoders_image"], start.params["encoders_image"])
    heads = params["heads_match"], start.params["heads_match"]
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), *heads)))
