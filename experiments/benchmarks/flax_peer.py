"""Plain flax: the networks of `plain.py`, trained by optax as flax's examples do."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jitted
import made_up
import optax
import plain
from jax import Array
from plain_weights import renamed

from mmjax.types import Batch


def tutorial() -> plain.Network:
    """The tutorial's network."""
    encoders = {"image": plain.Cnn(), "text": plain.Recurrent(vocabulary=made_up.VOCABULARY)}
    return plain.Network(encoders, plain.Concat(), 128)


def pair(fusion: str) -> plain.Network:
    """ResNet-18 with BERT-mini."""
    bert = plain.Words(256, 4, 4, positions=made_up.PAIR_WORDS)
    encoders = {"image": plain.ResNet(18), "text": bert}
    joined = {"cross_attention": plain.CrossAttention, "bottleneck": plain.Bottleneck}[fusion]
    return plain.Network(encoders, joined(64, 4), 128)


def trainers(network: Any, ours: Any, batch: Batch) -> dict[str, Callable[[], float]]:
    """Steps of Adam from our variables; each returns its loss."""
    tx = optax.adam(made_up.LR)

    def step(state: Any, batch: Batch) -> Any:
        params, stats, moments = state

        def loss(params: Any) -> Any:
            variables = {"params": params, **stats}
            logits, changed = network.apply(
                variables, batch.inputs, train=True, mutable=list(stats)
            )
            labels = jnp.asarray(batch.targets["match"].values)
            return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, labels)), changed

        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, moments = tx.update(grads, moments, params)
        return (optax.apply_updates(params, updates), stats, moments), value

    variables = variables_of(network, ours, batch.inputs)
    params = variables.pop("params")
    return jitted.trainers("flax", step, (params, variables, tx.init(params)), batch)


def predictors(network: Any, ours: Any, inputs: Any) -> dict[str, Callable[[], Array]]:
    """Logits of a batch."""
    variables = variables_of(network, ours, inputs)
    logits = functools.partial(network.apply, train=False)
    return jitted.callers("flax", logits, variables, inputs)


def gradients(ours: Any, words: Any, mask: Any, ragged: bool) -> tuple[dict[str, Callable], Any]:
    """The gradient of the sum of squares of the LSTM's last states; and our tree as its own."""
    network: Any = plain.Recurrent(vocabulary=made_up.VOCABULARY)

    def loss(params: Any, batch: Any) -> Any:
        return jnp.sum(network.apply({"params": params}, *batch, train=True) ** 2)

    given = (words, mask if ragged else None)

    def mapped(tree: Any) -> Any:
        return variables_of(network, {"params": tree}, *given)["params"]

    return jitted.gradients("flax", loss, mapped(ours), given), mapped


def variables_of(network: Any, ours: Any, *inputs: Any) -> dict[str, Any]:
    """Our variables under plain flax's names."""
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    return {name: renamed(ours[name], like) for name, like in shapes.items()}
