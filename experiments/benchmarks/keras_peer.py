"""Keras 3 on JAX: the tutorial's network, and its LSTM. No contenders where it is missing."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jitted
import made_up
import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
try:
    import keras  # pyright: ignore[reportMissingImports]
except ImportError:
    keras = None

# Ours, by the last two parts of a variable's path; all others have the same ones.
_NAMES = {
    "embedding/embeddings": "embedding/embedding",
    "lstm_cell/kernel": "layer_0_forward/input_kernel",
    "lstm_cell/recurrent_kernel": "layer_0_forward/recurrent_kernel",
    "lstm_cell/bias": "layer_0_forward/bias",
}
# Keras adds it before the bias correction: in the first step, the 1e-8 of optax and PyTorch.
_EPSILON = 1e-8 * (1 - 0.999) ** 0.5


def mapped(model: Any, ours: Any) -> list[Any]:
    """Our parameters as those of the model, whose layers have our names."""
    leaves = {
        "/".join(part.key for part in path[-2:]): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(ours)
    }
    paths = ["/".join(variable.path.split("/")[-2:]) for variable in model.trainable_variables]
    return [jnp.asarray(leaves[_NAMES.get(path, path)]) for path in paths]


def tutorial() -> Any:
    """The tutorial's network."""
    assert keras is not None
    layers = keras.layers
    image = keras.Input((made_up.SIDE, made_up.SIDE, made_up.CHANNELS))
    words = keras.Input((made_up.WORDS,), dtype="int32")
    x = image
    for place, features in enumerate((32, 64)):
        name = f"Conv_{place}"
        x = layers.Conv2D(features, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Dense(64, name="projection")(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    x = layers.Concatenate()([x, _lstm(words)])
    x = layers.Dense(128, activation="relu", name="Dense_0")(x)
    return keras.Model([image, words], layers.Dense(1, name="Dense_1")(x))


def _lstm(words: Any, mask: Any = None) -> Any:
    assert keras is not None
    x = keras.layers.Embedding(made_up.VOCABULARY, 32, name="embedding")(words)
    return keras.layers.LSTM(64, name="lstm")(x, mask=mask)


def trainers(ours: Any, given: made_up.Pairs) -> dict[str, Callable[[], float]]:
    """Steps of Adam from our parameters: `train_on_batch`, and the stateless functions jitted."""
    if keras is None:
        return {}
    model, loss_of = tutorial(), keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(made_up.LR, epsilon=_EPSILON)
    optimizer.build(model.trainable_variables)
    x, y = [given.image, given.words], given.labels[:, None].astype(np.float32)

    def step(state: Any, batch: Any) -> Any:
        params, rest, moments = state

        def loss(params: Any) -> Any:
            logits, changed = model.stateless_call(params, rest, batch[0], training=True)
            return loss_of(batch[1], logits), changed

        (value, rest), grads = jax.value_and_grad(loss, has_aux=True)(params)
        params, moments = optimizer.stateless_apply(moments, grads, params)
        return (params, rest, moments), value

    rest = [variable.value for variable in model.non_trainable_variables]
    moments = [variable.value for variable in optimizer.variables]
    found = jitted.trainers("Keras", step, (mapped(model, ours), rest, moments), (x, y))

    built = tutorial()
    for variable, value in zip(built.trainable_variables, mapped(built, ours), strict=True):
        variable.assign(value)
    built.compile(keras.optimizers.Adam(made_up.LR, epsilon=_EPSILON), loss_of)

    def train_on_batch() -> float:
        built.reset_metrics()  # the loss that it returns is a mean over calls
        return float(built.train_on_batch(x, y))

    return {"Keras train_on_batch": train_on_batch, **found}


def gradients(ours: Any, words: Any, mask: Any, ragged: bool) -> tuple[dict[str, Callable], Any]:
    """The gradient of the sum of squares of the LSTM's last states; and our tree as its own."""
    if keras is None:
        return {}, None
    inputs = [keras.Input(words.shape[1:], dtype="int32")]
    inputs += [keras.Input(mask.shape[1:], dtype="bool")] if ragged else []
    model = keras.Model(inputs, _lstm(*inputs))
    rest = [variable.value for variable in model.non_trainable_variables]

    def loss(params: Any, batch: Any) -> Any:
        return jnp.sum(model.stateless_call(params, rest, batch, training=True)[0] ** 2)

    given = [words, mask] if ragged else [words]

    def as_its_own(tree: Any) -> Any:
        return mapped(model, tree)

    return jitted.gradients("Keras", loss, as_its_own(ours), given), as_its_own
