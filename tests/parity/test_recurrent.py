import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Gru, Lstm
from mmjax.types import Tokens
from tests.parity import weights
from tests.parity.closeness import assert_close

torch = pytest.importorskip(
    "torch",
    reason="PyTorch is not installed: LSTMs and GRUs of several layers and directions not compared",
)

_VOCABULARY, _EMBEDDING, _STATE, _WORDS = 13, 5, 7, 6
_LENGTHS = np.array([0, 1, 2, 5, _WORDS])


def _pytorch(cell, layers, bidirectional, pooling, words, cotangent):
    """Weights, result, gradients of sum(result * cotangent), and the cotangent cut to shape."""
    from tests.parity.tutorial import randomise

    network = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(_VOCABULARY, _EMBEDDING),
            cell: {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](
                _EMBEDDING, _STATE, layers, batch_first=True, bidirectional=bidirectional
            ),
        }
    )
    randomise(network, np.random.default_rng(layers))
    lengths = torch.from_numpy(_LENGTHS)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        network["embedding"](torch.from_numpy(words)),
        lengths.clamp(min=1),
        batch_first=True,
        enforce_sorted=False,
    )
    states, last = network[cell](packed)
    last = last[0] if cell == "lstm" else last
    states, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    states = states * (lengths > 0)[:, None, None]
    directions = 2 if bidirectional else 1
    match pooling:
        case "none":
            result = states
        case "mean":
            result = (states.sum(1) / lengths.clamp(min=1)[:, None])[:, None]
        case _:
            # The last layer's final states, forwards and backwards.
            last = torch.cat(list(last[-directions:]), dim=1)
            result = (last * (lengths > 0)[:, None])[:, None]
    cotangent = cotangent[:, : result.shape[1], : result.shape[2]]
    (result * torch.from_numpy(cotangent)).sum().backward()
    parameters = dict(network.named_parameters())
    return (
        {name: p.detach().numpy() for name, p in parameters.items()},
        result.detach().numpy(),
        {name: p.grad.numpy() for name, p in parameters.items()},
        cotangent,
    )


def _places(random, gaps):
    """place[i, k]: where word k of example i stands, real words still in their order."""
    if not gaps:
        return np.tile(np.arange(_WORDS), (len(_LENGTHS), 1))
    orders = [random.permutation(_WORDS) for _ in _LENGTHS]
    return np.stack(
        [
            np.concatenate([np.sort(order[:length]), order[length:]])
            for order, length in zip(orders, _LENGTHS, strict=True)
        ]
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("layers", "bidirectional", "pooling"),
    [
        (1, False, "last"),
        (1, False, "mean"),
        (1, True, "last"),
        (2, False, "none"),
        (2, True, "last"),
        (2, True, "none"),
    ],
)
def test_a_masked_network_is_the_packed_one_of_pytorch(cell, layers, bidirectional, pooling):
    random = np.random.default_rng(0)
    words = random.integers(0, _VOCABULARY, (len(_LENGTHS), _WORDS))
    cotangent = random.standard_normal((len(_LENGTHS), _WORDS, 2 * _STATE)).astype(np.float32)
    arrays, result, gradients, cotangent = _pytorch(
        cell, layers, bidirectional, pooling, words, cotangent
    )
    encoder = {"lstm": Lstm, "gru": Gru}[cell](
        _VOCABULARY, _EMBEDDING, _STATE, layers, bidirectional=bidirectional, pooling=pooling
    )

    def loss_of(params, words, mask, place):
        tokens = encoder.apply({"params": params}, words, mask, train=True)
        assert isinstance(tokens, Tokens)
        values = tokens.values
        if pooling == "none":
            values = jnp.take_along_axis(values, place[:, :, None], axis=1)
        return jnp.sum(values * cotangent), values

    def named(arrays):
        return {
            "embedding": {"embedding": arrays["embedding.weight"]},
            cell: weights.recurrent(
                arrays, cell, cell=cell, layers=layers, bidirectional=bidirectional
            ),
        }

    compute = jax.jit(jax.grad(loss_of, has_aux=True))
    for gaps in (False, True):  # padding only after the words, and anywhere between them
        place = _places(random, gaps)
        mask = np.zeros(words.shape, bool)
        np.put_along_axis(mask, place, np.arange(_WORDS)[None] < _LENGTHS[:, None], axis=1)
        ours = np.zeros(words.shape, np.int32)
        np.put_along_axis(ours, place, words.astype(np.int32), axis=1)
        ours[~mask] = -(10**6)  # no word at all
        got_gradients, got = compute(named(arrays), ours, mask, place)
        assert_close(
            {"result": got, "gradients": got_gradients},
            {"result": result, "gradients": named(weights.one_bias(gradients, cell))},
        )
