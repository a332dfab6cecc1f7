"""A peer on JAX: its pure functions under `jax.jit`, with XLA's defaults."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def ways(function: Callable, state: Any, batch: Any, **options: Any) -> dict[str, Any]:
    """{way: (`function(state, batch)` jitted, the state on its devices)}.

    On one device, and with the batch split over all where it can be.
    """
    one = jax.local_devices()[0]
    found = {"jit": (jax.jit(function, **options), jax.device_put(state, one, may_alias=False))}
    count = len(jax.local_devices())
    if count > 1 and len(jax.tree.leaves(batch)[0]) % count == 0:
        mesh = jax.make_mesh((count,), ("batch",))
        whole, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("batch",)))
        call = jax.jit(function, in_shardings=(whole, split), out_shardings=whole, **options)
        found["jit, batch split"] = (call, jax.device_put(state, whole, may_alias=False))
    return found


def trainers(name: str, step: Callable, state: Any, batch: Any) -> dict[str, Callable[[], float]]:
    """`step(state, batch) -> (state, loss)` as calls that go on from their last state."""

    def trainer(call: Callable, state: Any) -> Callable[[], float]:
        now = [state]

        def once() -> float:
            now[0], loss = call(now[0], batch)
            return float(loss)

        return once

    found = ways(step, state, batch, donate_argnums=0)
    return {f"{name} {way}": trainer(*how) for way, how in found.items()}


def callers(name: str, function: Callable, state: Any, batch: Any) -> dict[str, Callable[[], Any]]:
    """Calls of `function(state, batch)` that wait for the result."""
    return {
        f"{name} {way}": lambda call=call, state=state: jax.block_until_ready(call(state, batch))
        for way, (call, state) in ways(function, state, batch).items()
    }


def gradients(name: str, loss: Callable, params: Any, batch: Any) -> dict[str, Callable[[], Any]]:
    """The value and the gradient of `loss(params, batch)`."""
    return callers(name, jax.value_and_grad(loss), params, batch)
