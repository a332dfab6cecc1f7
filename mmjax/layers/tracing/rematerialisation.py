"""Rematerialisation, Chen et al. 2016, arXiv:1604.06174: activations computed twice, not kept.

`with rematerialising(True): ...` holds while a model is traced. The activations inside a block are
dropped after the forward pass and computed again in the backward pass. A stack of n blocks then
keeps n block inputs and the activations of one block. Results do not change.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from flax import linen as nn

from mmjax.layers.tracing.switch import Switch

rematerialising = Switch("rematerialising")


def block(call: Callable) -> Callable:
    """Mark the compact `__call__` of a module as a block. One of its arguments must be `train`."""
    signature = inspect.signature(call)

    @functools.wraps(call)
    def again(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not rematerialising or self.is_initializing():
            return call(self, *args, **kwargs)
        arrays = signature.bind(self, *args, **kwargs).arguments
        del arrays["self"]
        train = arrays.pop("train")
        compute = nn.remat(lambda module, arrays: call(module, **arrays, train=train))
        return compute(self, arrays)

    return again
