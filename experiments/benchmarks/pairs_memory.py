"""What InfoNCE holds on a chip at a large batch, by the real compiler of a TPU; an estimate.

    pip install -e '.[accelerators]'
    python experiments/benchmarks/pairs_memory.py

Value and gradient of the loss of 32,768 pairs of width 512 on 4 chips, in chunks and in one.
"""

from typing import Any

import targets
import tyro

AXIS = "data"


def held(target: str, batch: int, dim: int, chunk: int) -> tuple[float, float]:
    """Megabytes of temporaries and of arguments on a chip."""
    import jax  # after the compiler's settings
    import jax.numpy as jnp
    from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

    from mmjax.objectives import InfoNce
    from mmjax.types import Batch, Outputs

    devices = targets.devices(targets.target(target))
    mesh = Mesh(devices.reshape(-1), (AXIS,), axis_types=(AxisType.Auto,))
    objective = InfoNce(chunk=chunk)

    def loss(first: Any, second: Any) -> Any:
        ones = jnp.ones((batch,))
        values = {
            "vectors": {"a": first, "b": second},
            "scale": jnp.asarray(14.3),
            "bias": jnp.zeros(()),
        }
        outputs = Outputs(values={"embedding": values}, present={"a": ones > 0, "b": ones > 0})
        given = Batch(inputs={}, targets={}, weight=ones, ids=jnp.arange(batch))
        return objective(outputs, given)["loss"].total

    split = NamedSharding(mesh, PartitionSpec(AXIS))
    vectors = jax.ShapeDtypeStruct((batch, dim), jnp.float32)
    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)), in_shardings=(split, split))
    found: Any = gradient.lower(vectors, vectors).compile().memory_analysis()
    return found.temp_size_in_bytes / 1e6, found.argument_size_in_bytes / 1e6


def main(target: str = "v5e:2x2", batch: int = 32_768, dim: int = 512) -> None:
    """Print the memory by chunk.

    Args:
        target: v5e, v6e, v5p, each with a shape
        batch: pairs on all chips together
        dim: width of a vector
    """
    targets.prepare()
    print("| chunk | temporaries on a chip, MB | vectors on a chip, MB |\n| --- | --- | --- |")
    for chunk in (1024, batch):
        temporaries, arguments = held(target, batch, dim, chunk)
        print(f"| {chunk:,} | {temporaries:,.0f} | {arguments:,.0f} |")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
