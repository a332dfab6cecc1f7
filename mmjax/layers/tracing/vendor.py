"""NVIDIA's own kernels (cuDNN) in place of XLA's, where they are asked for and available.

`with vendor_kernels(True): ...` holds while a model is traced. On other devices, and for shapes
that cuDNN does not support, XLA computes the same results: a run may be evaluated anywhere.
"""

from jax.extend import backend

from mmjax.layers.tracing.switch import Switch

vendor_kernels = Switch("vendor_kernels")


def use_cudnn() -> bool:
    """Whether cuDNN is asked for and available. (The platform "gpu" may also be AMD's.)"""
    return bool(vendor_kernels) and "cuda" in backend.get_backend().platform_version
