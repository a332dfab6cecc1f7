"""A model of ours inside Flax's other interface, NNX."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import CrossAttention
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from tests import samples


def test_a_model_is_wrapped_by_nnx_and_learns_there(standard_promotion):
    inputs = {"image": samples.image(), "text": samples.text()}
    model = Multimodal(
        encoders={"image": Cnn((3,), 8), "text": Lstm(20, 6, 8)},
        fusion=CrossAttention(8, 2),
        heads={"match": Logit()},
    )
    wrapped = nnx.bridge.ToNNX(model, rngs=nnx.Rngs(0))
    wrapped.lazy_init(inputs, train=False)
    before = wrapped(inputs, train=False).values["match"]
    optimizer = nnx.Optimizer(wrapped, optax.adam(1e-2), wrt=nnx.Param)
    labels = jnp.array([1.0, 0.0, 1.0, 0.0])

    @nnx.jit
    def step(wrapped, optimizer):
        def loss(wrapped):
            logits = wrapped(inputs, train=False).values["match"]
            return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, labels))

        found, gradients = nnx.value_and_grad(loss)(wrapped)
        optimizer.update(wrapped, gradients)
        return found

    losses = [float(step(wrapped, optimizer)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert np.any(wrapped(inputs, train=False).values["match"] != before)
    assert jax.tree.leaves(nnx.state(wrapped, nnx.Param))
