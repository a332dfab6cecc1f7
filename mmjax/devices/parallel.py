"""Meshes of devices, and the wrappers that run a pure step on them.

The wrappers turn `step(state, batch, axis=...)` into `(state, batch) -> (state, means)`: the state
is replicated, the global batch is split over the devices. One device is a mesh of one.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mmjax.devices import cpu
from mmjax.devices.cpu import cores as cores
from mmjax.devices.cpu import keep_memory as keep_memory
from mmjax.devices.cpu import request_host_devices as request_host_devices
from mmjax.devices.sharding import AXIS, FSDP, gathering, place, replicate, replicated, separate
from mmjax.errors import UserError


def choose(batch_size: int, wanted: int | None = None, *, parts: int = 1, fsdp: int = 1) -> Mesh:
    """A mesh of the devices to train on: `wanted`, or all; groups of `fsdp` share one state.

    Raises:
        UserError: there are fewer devices, they do not divide each of the batch's `parts`, or
            `fsdp` does not divide their number.
    """
    devices = jax.devices()
    count = wanted or len(devices)
    if count > len(devices) or (jax.process_count() > 1 and count < len(devices)):
        where = "this machine has" if jax.process_count() == 1 else "all processes together have"
        raise UserError(f"--devices {count}: {where} {len(devices)} {devices[0].platform} devices")
    pieces = count * parts
    if rest := batch_size % pieces:
        lower, upper = batch_size - rest, batch_size - rest + pieces
        nearest = f"{lower} or {upper}" if lower else f"{upper}"
        times = f", {parts} times each (--accumulate)" if parts > 1 else ""
        raise UserError(
            f"--batch-size {batch_size} cannot be split evenly over {count} devices{times}: "
            f"take {nearest}, or another number of --devices"
        )
    if fsdp == 1:
        return _mesh(devices[:count])
    if count % fsdp or jax.process_count() > 1:
        raise UserError(
            f"--fsdp {fsdp}: expected a divisor of the number of devices, {count}, in one process"
        )
    return _mesh(np.reshape(np.array(devices[:count]), (count // fsdp, fsdp)), AXIS, FSDP)


def mesh_of(count: int | None = None) -> Mesh:
    """The first `count` devices of this process, or all."""
    return _mesh(jax.local_devices()[:count])


def local(mesh: Mesh) -> Mesh:
    """The devices of a mesh that belong to this process."""
    return _mesh(mesh.local_devices)


def _mesh(devices: Any, *axes: str) -> Mesh:
    grid = np.array(devices)
    return Mesh(grid, axes or (AXIS,), axis_types=(AxisType.Auto,) * grid.ndim)


def share() -> tuple[int, int]:
    """The index of this process, and the number of processes."""
    return jax.process_index(), jax.process_count()


def accelerated() -> bool:
    """Whether programs run on GPUs or TPUs: they wait for small batches from the host."""
    return jax.default_backend() != "cpu"


def primary() -> bool:
    """Whether this process writes the files of the run."""
    # Asking JAX before `request_host_devices` would start it with one CPU device.
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def compiler_options(mesh: Mesh) -> dict[str, str] | None:
    """`compiler_options` for `jax.jit` on these devices."""
    return cpu.compiler_options(mesh.devices.flat[0].platform)


def pmap(
    step: Callable, mesh: Mesh, *, donate: bool = False, stacked: bool = False, held: Any = None
) -> Callable:
    """Run `step(state, share, axis="data")` on every device; the step itself sums over devices.

    Keep at most two calls in flight on CPU devices: with more, XLA's collectives may time out.

    Args:
        step: a pure function of one device's share of the batch
        mesh: the devices
        donate: reuse the buffers of the state that is passed in
        stacked: batches are `[step, batch, ...]`
        held: a third argument of the step, the same in every call, kept on every device
    """
    rest = _held(held, mesh)
    donated = (0,) if donate else ()
    mapped = jax.pmap(
        functools.partial(step, axis=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0, *[None] * len(rest)),
        out_axes=None,  # pyright: ignore[reportArgumentType]  # documented, but not in its types
        devices=list(mesh.devices.flat),
        donate_argnums=donated,
    )
    options = compiler_options(mesh)
    # pmap has no compiler options, but with several processes only pmap can join their shares.
    if options is not None and jax.process_count() == 1:
        mapped = jax.jit(mapped, donate_argnums=donated, compiler_options=options)
    count, axis = len(mesh.local_devices), int(stacked)
    return lambda state, batch: mapped(state, _shares(batch, count, axis), *rest)


def jit(
    step: Callable,
    mesh: Mesh,
    *,
    donate: bool = False,
    stacked: bool = False,
    held: Any = None,
    like: Any = None,
) -> Callable:
    """Run `step(state, batch, axis=None)` on the global batch; the compiler splits it.

    Dropout masks do not depend on the number of devices. Arguments as in `pmap`; states with the
    shapes of `like` are sharded as `place` says, without it they are replicated.
    """
    rest, whole = _held(held, mesh), replicated(mesh)
    state = whole if like is None else jax.tree.map(place(mesh), like)
    axes = tuple(mesh.axis_names)
    split = NamedSharding(mesh, PartitionSpec(None, axes) if stacked else PartitionSpec(axes))
    compiled = jax.jit(
        functools.partial(gathering(step, mesh), axis=None),
        in_shardings=(state, split, *[whole] * len(rest)),
        out_shardings=(state, whole),
        donate_argnums=(0,) if donate else (),
        compiler_options=compiler_options(mesh),
    )
    if jax.process_count() == 1:
        return lambda state, batch: compiled(state, batch, *rest)
    joined = functools.partial(jax.make_array_from_process_local_data, split)
    return lambda state, batch: compiled(state, jax.tree.map(joined, batch), *rest)


WRAPPERS = {"jit": jit, "pmap": pmap}


def apart(step: Callable, mesh: Mesh, *, donate: bool = False, held: Any = None) -> Callable:
    """Run `step(state, batch, axis=None)` for several independent runs, arrays `[run, ...]`.

    Runs are divided evenly over devices, which do not communicate. Arguments as in `pmap`.
    """
    rest = _held(held, mesh)
    # On CPUs vmap is slow: XLA's convolutions with one kernel per run.
    is_cpu = mesh.devices.flat[0].platform == "cpu"
    loop = jax.lax.map if is_cpu else lambda f, args: jax.vmap(f)(args)

    def on_device(state: Any, batch: Any, *rest: Any) -> Any:
        return loop(lambda args: step(*args, *rest, axis=None), (state, batch))

    part, whole = separate(mesh).spec, replicated(mesh).spec
    specs = (part, part, *[whole] * len(rest))
    mapped = jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=part, check_vma=False)
    donated = (0,) if donate else ()
    compiled = jax.jit(mapped, donate_argnums=donated, compiler_options=compiler_options(mesh))
    return lambda state, batch: compiled(state, batch, *rest)


def each(step: Callable, mesh: Mesh) -> Callable:
    """Run `step(variables, share)` on every device; results are stacked `[device, ...]`."""
    mapped = jax.pmap(step, in_axes=(None, 0), out_axes=0, devices=list(mesh.devices.flat))
    return lambda variables, batch: mapped(variables, _shares(batch, mesh.size))


def _held(held: Any, mesh: Mesh) -> tuple[Any, ...]:
    return () if held is None else (replicate(held, mesh),)


def _shares(batch: Any, count: int, axis: int = 0) -> Any:
    """Views `[device, ..., batch / device, ...]` of a batch that is split along `axis`."""

    def split(x: Any) -> np.ndarray:
        shape = (*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :])
        return np.moveaxis(np.reshape(x, shape), axis, 0)

    return jax.tree.map(split, batch)
