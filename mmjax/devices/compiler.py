"""What XLA's compiler for CPUs is told: which of its libraries computes what."""

import functools
import os
from collections.abc import Mapping
from types import MappingProxyType

import jax
import numpy as np

_LIBRARIES = "xla_cpu_experimental_ynn_fusion_type"
# YNNPACK for products and sums, but Eigen for convolutions: the gradient of a kernel by YNNPACK
# takes 2.5 times as long (experiments/benchmarks/README.md, row 1).
_CPU = MappingProxyType(
    {_LIBRARIES: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}
)


def options(platform: str) -> Mapping[str, str] | None:
    """`compiler_options` for `jax.jit`; None: this platform needs none, or the user has set them.

    The option is called experimental, so an XLA that does not know it compiles without.
    """
    if platform != "cpu" or _LIBRARIES in os.environ.get("XLA_FLAGS", ""):
        return None
    return _CPU if _known() else None


@functools.cache
def _known() -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=dict(_CPU)).lower(np.float32(0)).compile()
    except (jax.errors.JaxRuntimeError, ValueError, TypeError):
        return False
    return True
