import pytest

from mmjax.layers.tracing.collectives import global_sum, summing


def test_a_sum_crosses_devices_within_summing_and_nowhere_else():
    with summing(lambda x: 8 * x):
        assert global_sum(2) == 16
    assert global_sum(2) == 2


def test_an_error_ends_it_too():
    with pytest.raises(KeyError), summing(lambda x: 8 * x):
        raise KeyError
    assert global_sum(2) == 2
