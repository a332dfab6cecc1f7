"""cuDNN's LSTM where there is no GPU: packed for JAX's reference, and traced as it is called."""

import functools
from types import SimpleNamespace
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from mmjax.encoders import Lstm
from mmjax.layers.recurrent.cudnn_lstm import cudnn_lstm
from mmjax.layers.recurrent.lstm import lstm
from mmjax.layers.tracing import vendor
from tests.layers.recurrent.test_recurrent_gradient import (
    BATCH,
    DIM,
    GAPS,
    MASK,
    WIDTH,
    WORDS,
    assert_equal,
    gradients,
    inputs,
    parameters,
)


@pytest.fixture
def reference(monkeypatch):
    """The call's own reference in its place, which also holds it to what cuDNN takes."""

    def of_reference(x, h_0, c_0, weights, seq_lengths, **sizes):
        own = {name: size for name, size in sizes.items() if name != "dropout"}
        assert weights.shape == (rnn.get_num_params_in_lstm(**own),)
        assert x.dtype == h_0.dtype == c_0.dtype == weights.dtype == jnp.float32
        unpacked = rnn.unpack_lstm_weights(weights, **own)
        return rnn.lstm_ref(x, h_0, c_0, *unpacked, seq_lengths, *sizes.values())

    monkeypatch.setattr(rnn, "lstm", of_reference)
    monkeypatch.setattr(
        vendor.backend, "get_backend", lambda: SimpleNamespace(platform_version="cuda")
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", [MASK, GAPS], ids=["padded", "gaps"])
def test_packed_for_cudnn_it_computes_what_the_scan_does(reference, mask, reverse):
    params, x = parameters(4), inputs()
    found = gradients(functools.partial(cudnn_lstm, reverse=reverse), params, x, mask)
    expected = gradients(functools.partial(lstm, reverse=reverse), params, x, mask)
    assert_equal(found, expected, atol=2e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_is_invisible_whatever_stands_there(reference, reverse):
    params, x = parameters(4), inputs()
    layer = functools.partial(cudnn_lstm, reverse=reverse)
    found = gradients(layer, params, jnp.where(GAPS[:, :, None], x, jnp.nan), GAPS)
    jax.tree.map(np.testing.assert_array_equal, found, gradients(layer, params, x, GAPS))
    assert not np.any(np.asarray(found[0][1])[~GAPS])


@pytest.mark.parametrize("length", [0, 3])
def test_a_sequence_without_tokens_ends_in_zeros(reference, length):
    mask = jnp.zeros((2, length), bool)
    states, last = cudnn_lstm(jnp.ones((2, length, WIDTH)), mask, **parameters(4))
    assert states.shape == (2, length, DIM) and not np.any(states) and not np.any(last)


def test_cudnn_is_given_lengths_from_one_to_all_words(monkeypatch):
    given = []

    def kept(x, h_0, c_0, weights, seq_lengths, **sizes):
        given.append(seq_lengths)
        return jnp.zeros((*x.shape[:2], DIM)), h_0, c_0

    monkeypatch.setattr(rnn, "lstm", kept)
    cudnn_lstm(inputs(), jnp.asarray(GAPS), **parameters(4))
    (lengths,) = given
    assert lengths.dtype == jnp.int32
    np.testing.assert_array_equal(lengths, np.maximum(GAPS.sum(axis=1), 1))


def test_half_precision_goes_in_and_comes_out(reference):
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (inputs(), parameters(4)))
    states, last = cudnn_lstm(half[0], jnp.asarray(GAPS), **half[1])
    assert states.dtype == last.dtype == jnp.bfloat16
    expected, _ = lstm(inputs(), jnp.asarray(GAPS), **parameters(4))
    np.testing.assert_allclose(states.astype(jnp.float32), expected, atol=0.05)


@pytest.fixture
def traceable(monkeypatch):
    """JAX's own call asks the GPU's library for one thing only when it is traced, and not run."""
    sizes = "jax.experimental.rnn.gpu_rnn.compute_rnn_workspace_reserve_space_sizes"
    monkeypatch.setattr(sizes, lambda *_: (8, 8), raising=False)


def test_jaxs_own_call_takes_what_it_is_given_forwards_and_backwards(traceable):
    traced = functools.partial(gradients, cudnn_lstm, mask=GAPS)
    found, (states, final) = jax.eval_shape(traced, parameters(4), inputs())
    assert jax.tree.map(jnp.shape, found[0]) == jax.tree.map(jnp.shape, parameters(4))
    assert found[1].shape == (BATCH, WORDS, WIDTH)
    assert states.shape == (BATCH, WORDS, DIM) and final.shape == (BATCH, DIM)


@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map_it_is_refused_where_gradients_would_be_wrong(traceable, check):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()

    def step(params, x, mask):
        return cudnn_lstm(x, mask, **params)[1]

    specs = {"in_specs": (whole, split, split), "out_specs": split, "check_vma": check}
    traced = functools.partial(jax.eval_shape, jax.shard_map(step, mesh=mesh, **specs))
    given = parameters(4), inputs(), jnp.asarray(GAPS)
    if check:
        with pytest.raises(ValueError, match="shard_map: expected check_vma=False"):
            traced(*given)
    else:
        assert traced(*given).shape == (BATCH, DIM)


def test_an_encoder_has_the_same_parameters_and_tokens_by_either(reference):
    words = np.full((2, 5), 3, np.int32)
    mask = np.array([[True, True, False, False, False], [True, False, True, True, False]])
    encoder = Lstm(9, 4, 6, layers=2, bidirectional=True)
    variables = encoder.init(jax.random.key(0), words, mask, train=False)
    expected = encoder.apply(variables, words, mask, train=False)
    with vendor.vendor_kernels(True), mock.patch.object(rnn, "lstm", wraps=rnn.lstm) as called:
        again = encoder.init(jax.random.key(0), words, mask, train=False)
        found = encoder.apply(variables, words, mask, train=False)
    assert called.call_count == 8
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_off_cuda_the_scan_runs_whatever_is_wanted():
    words, mask = np.full((1, 2), 3, np.int32), np.ones((1, 2), bool)
    with vendor.vendor_kernels(True), mock.patch.object(rnn, "lstm") as called:
        Lstm(9, 4, 6).init(jax.random.key(0), words, mask, train=False)
    assert not called.called
