"""Blocks that are computed twice: the same gradients, and less kept between the two passes.

What is kept is counted in the traced program. XLA's compiler for CPUs joins the two computations
again, so what it allocates says nothing (measured with a chain of products: 82 MiB without, 100
with `jax.checkpoint`); compilers for GPUs and TPUs do not.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import AudioCnn, Bert, Cnn, FtTransformer, Gpt2, ResNet, Vgg, Vit
from mmjax.fusion import CrossAttention, Early
from mmjax.heads import Logit
from mmjax.layers.tracing.rematerialisation import rematerialising
from mmjax.models.multimodal import Multimodal
from mmjax.types import Masked
from tests.train.step.test_step import close

RNG = np.random.default_rng(0)
IMAGE = Masked(
    RNG.normal(size=(4, 32, 32, 3)).astype(np.float32), np.array([True, True, False, True])
)
TEXT = Masked(np.tile(np.arange(12, dtype=np.int32), (4, 1)), np.ones((4, 12), bool))
SOUND = Masked(np.ones((4, 1600), np.float32), np.ones((4, 1600), bool))
TABLE = Masked(np.ones((4, 5), np.float32), np.ones((4, 5), bool))
WIDE = {"width": 16, "layers": 3, "heads": 2}
ENCODERS = {
    "resnet": (ResNet(width=8), IMAGE),
    "vgg": (Vgg(width=4), IMAGE),
    "cnn": (Cnn((8, 8), 8), IMAGE),
    "vit": (Vit(patch=8, **WIDE), IMAGE),
    "bert": (Bert(vocabulary_size=20, **WIDE), TEXT),
    "gpt2": (Gpt2(vocabulary_size=20, **WIDE), TEXT),
    "audio_cnn": (AudioCnn(mels=16, features=(8, 8)), SOUND),
    "ft_transformer": (FtTransformer(dim=16, layers=3, heads=2), TABLE),
}


def network(encoder, fusion=None):
    return Multimodal(
        encoders={"x": encoder}, fusion=fusion or Early(8, heads=2), heads={"y": Logit()}
    )


def passes(model, given):
    """variables, and (params) -> loss and the new statistics."""
    inputs = {"x": given}
    variables = jax.eval_shape(lambda key: model.init(key, inputs, train=False), jax.random.key(0))

    def loss(params, collections):
        outputs, changed = model.apply(
            {"params": params, **collections}, inputs, train=True,
            rngs={"dropout": jax.random.key(1)}, mutable=list(collections),
        )  # fmt: skip
        return jnp.sum(outputs.values["y"] ** 2), changed

    return variables, loss


def kept(model, given, remat):
    """Bytes that the backward pass is handed by the forward pass, parameters not counted."""
    variables, loss = passes(model, given)
    collections = {name: of for name, of in variables.items() if name != "params"}
    with rematerialising(remat):
        _, pullback, _ = jax.eval_shape(
            lambda params, rest: jax.vjp(lambda p: loss(p, rest), params, has_aux=True),
            variables["params"], collections,
        )  # fmt: skip
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(pullback))


@pytest.mark.parametrize("name", ENCODERS)
def test_less_is_kept(name):
    encoder, given = ENCODERS[name]
    model = network(encoder)
    assert kept(model, given, remat=True) < 0.9 * kept(model, given, remat=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "bert"])
def test_gradients_and_statistics_stay(name):
    """With dropout, whose masks must be drawn alike both times."""
    encoder, given = ENCODERS[name]
    if name == "bert":
        encoder = encoder.clone(dropout=0.3)
    model = network(encoder, CrossAttention(8, heads=2))
    variables = model.init(jax.random.key(2), {"x": given}, train=False)
    params = variables.pop("params")
    found = []
    for remat in (False, True):
        _, loss = passes(model, given)
        with rematerialising(remat):
            found.append(jax.jit(jax.grad(loss, has_aux=True))(params, variables))
    scale = max(float(jnp.max(jnp.abs(x))) for x in jax.tree.leaves(found[0][0]))
    close(
        jax.tree.map(lambda x: x / scale, found[1][0]),
        jax.tree.map(lambda x: x / scale, found[0][0]),
        1e-5,
    )
    close(found[1][1], found[0][1], 1e-6)


def test_half_precision_goes_with_it(standard_promotion):
    encoder, given = ENCODERS["bert"]
    model = network(encoder)
    half = kept(model.clone(precision="bfloat16"), given, remat=True)
    assert half < kept(model, given, remat=True)
