"""Row 2: the LSTM text encoder alone, forward and backward, short and long, full and ragged."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import agreement
import flax_peer
import jax
import jax.numpy as jnp
import keras_peer
import made_up
import numpy as np
import parameters
import peer
import result
import roofline
import timing
from jax import Array
from peer import torch

import mmjax
from mmjax.devices import parallel

LENGTHS = (10, 100, 400)
ENCODER = mmjax.encoders.Lstm(made_up.VOCABULARY)


def run(options: result.Options) -> Iterator[result.Result]:
    """The gradient of the sum of squares of the last states: by jit, and by pmap over the cores.

    A fast run leaves out ragged texts but those of the middle length.
    """
    for ragged in (False, True):
        for length in LENGTHS:
            if not (options.fast and ragged and length != LENGTHS[1]):
                yield _row(length, ragged, options)


def _row(length: int, ragged: bool, options: result.Options) -> result.Result:
    words, lengths = texts(length, ragged)
    mask = np.arange(length)[None] < lengths[:, None]
    params = jax.jit(lambda: ENCODER.init(jax.random.key(0), words, mask, train=False))()["params"]
    notes, contenders = [], {}
    if torch is not None:
        compiled = not (options.fast and length == LENGTHS[-1])
        net, contenders, failed = _peer(words, lengths, ragged, compiled)
        notes += failed
        params = mapped(net)
    ours, computed, differences = {}, {}, []
    for name, call in gradients(params, words, mask).items():
        ours[f"mmjax {name}"] = functools.partial(lambda call: jax.block_until_ready(call()), call)
        computed[name] = jax.device_get(call())
        if torch is not None:
            differences += _same(computed[name], contenders, net, name)
    on_jax = {}
    for side in (flax_peer, keras_peer):
        calls, mapping = side.gradients(params, words, mask, ragged)
        for name, call in calls.items():
            expected = jax.device_get(call())
            differences += [
                _equal(x, expected, mapping, f"gradient, {way}, {name}")
                for way, x in computed.items()
            ]
        on_jax |= calls
    notes.append(f"losses and gradients differ by at most {max(differences):.0e}")
    work = roofline.work(gradient, params, words, mask)
    return result.compare(
        f"2. LSTM, {'1 to ' if ragged else ''}{length} words", ours | contenders | on_jax, options,
        rounds=max(60 // (1 + length // 25), 12), calls=max(1, 40 // length),
        work=work, at_least=1.0, notes=notes, peers=timing.PEERS,
    )  # fmt: skip


def texts(length: int, ragged: bool, size: int = made_up.BATCH) -> tuple[np.ndarray, np.ndarray]:
    """Words and lengths; where they are ragged the longest has all."""
    random = np.random.default_rng(length)
    words = random.integers(0, made_up.VOCABULARY, (size, length)).astype(np.int32)
    lengths = random.integers(1, length + 1, size) if ragged else np.full(size, length)
    lengths[0] = length
    return words, lengths


def loss(params: Any, words: Array, mask: Array) -> Array:
    """A number that every word and every state counts in."""
    tokens = ENCODER.apply({"params": params}, words, mask, train=True)
    assert isinstance(tokens, mmjax.Tokens)
    return jnp.sum(tokens.values**2)


def gradient(params: Any, words: Array, mask: Array) -> tuple[Array, Any]:
    """The loss, and the gradient of every parameter."""
    return jax.value_and_grad(loss)(params, words, mask)


def gradients(params: Any, words: np.ndarray, mask: np.ndarray) -> dict[str, Callable]:
    """The whole batch on one device, and a share on each."""
    mesh = parallel.choose(len(words))
    params = parallel.replicate(params, mesh)

    def step(params, batch, axis):
        found = gradient(params, *batch)
        return found if axis is None else jax.lax.psum(found, axis)

    split = parallel.pmap(step, mesh)
    on_one = jax.device_put((params, words, mask), jax.local_devices()[0])
    whole = jax.jit(gradient, compiler_options=parallel.compiler_options(mesh))
    return {
        "jit": lambda: whole(*on_one),
        "pmap": lambda: split(params, (words, mask)),
    }


def mapped(net: Any) -> dict[str, Any]:
    """PyTorch's weights as our parameters."""
    arrays = peer.arrays(net)
    return {
        "embedding": {"embedding": arrays["embedding.weight"]},
        "lstm": {"layer_0_forward": parameters.lstm(arrays, "lstm")},
    }


def _peer(
    words: np.ndarray, lengths: np.ndarray, ragged: bool, compiled: bool = True
) -> tuple[Any, dict, list[str]]:
    """The network, its ways to compute the gradient, and what failed.

    Ragged texts are read whole and their last states picked, or packed: the same states.
    """
    import tutorial_peer

    assert torch is not None
    ids, sizes = torch.from_numpy(words).long(), torch.from_numpy(lengths)
    rows = torch.arange(len(ids))

    def padded(net):
        states, (final, _) = net["lstm"](net["embedding"](ids))
        return states[rows, sizes - 1] if ragged else final[0]

    def packed(net):
        read = torch.nn.utils.rnn.pack_padded_sequence(
            net["embedding"](ids), sizes, batch_first=True, enforce_sorted=False
        )
        return net["lstm"](read)[1][0][0]

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(32, 64, batch_first=True)
    tutorial_peer.one_bias(lstm)
    embedding = torch.nn.Embedding(made_up.VOCABULARY, 32)
    net = torch.nn.ModuleDict({"embedding": embedding, "lstm": lstm})

    def backward(read: Callable) -> float:
        net.zero_grad(set_to_none=True)
        found = (read(net) ** 2).sum()
        found.backward()
        return float(found.detach())

    contenders = {"PyTorch padded": functools.partial(backward, padded)}
    if ragged:
        contenders["PyTorch packed"] = functools.partial(backward, packed)
    if not compiled:
        return net, contenders, ["torch.compile left out: this run is a fast one"]
    faster, note = peer.compiled(padded, lambda read: read(net))
    if faster is not None:
        contenders["PyTorch compiled"] = functools.partial(backward, faster)
    return net, contenders, [note] if note else []


def _same(found: tuple[Array, Any], contenders: dict, net: Any, name: str) -> list[float]:
    """Differences of the loss and norms of all gradients, of every way of PyTorch's."""
    value, grads = found
    norms = {k: float(jnp.linalg.norm(v)) for k, v in grads["lstm"]["layer_0_forward"].items()}
    worst = []
    for way, call in contenders.items():
        expected = [call()]
        weights = {"input_kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}
        weights["bias"] = "bias_ih_l0"
        expected += [float(getattr(net["lstm"], weights[k]).grad.norm()) for k in norms]
        scale = max(1.0, *map(abs, expected))
        got = [float(value), *norms.values()]
        worst.append(
            agreement.require_same(
                [x / scale for x in got], [x / scale for x in expected], f"gradient, {name}, {way}"
            )
        )
    return worst


def _equal(ours: Any, theirs: Any, mapping: Callable, what: str) -> float:
    """Loss, and the distance of every gradient as a share of the largest one's norm."""
    (value, grads), (expected, others) = ours, theirs
    leaves, others = jax.tree.leaves(mapping(grads)), jax.tree.leaves(others)
    scale = max(float(np.linalg.norm(x)) for x in others)
    distances = [float(np.linalg.norm(a - b)) / scale for a, b in zip(leaves, others, strict=True)]
    found = [float(value) / float(expected), *distances]
    return agreement.require_same(found, [1.0] + [0.0] * len(distances), what)
