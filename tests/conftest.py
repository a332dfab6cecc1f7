"""Eight fake devices, strict promotion, and shapes checked wherever the package states them."""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Not `types`: JAX also builds a pytree's dataclass of shapes and sentinels.
_CHECKED = ["layers", "metrics", "encoders", "fusion", "heads", "objectives", "data", "optim"]
_CHECKED += ["model", "config", "train", "evaluation"]
install_import_hook([f"mmjax.{name}" for name in _CHECKED], "beartype.beartype")
