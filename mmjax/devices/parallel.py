"""Devices: the only file that knows there are several.

Both wrappers turn a pure step into `(state, batch) -> (state, sums)` with the state replicated (and
not stacked) and the global batch split over the devices. One device is a mesh of one.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mmjax.devices.compiler import options
from mmjax.devices.cpu import cores as cores
from mmjax.devices.cpu import keep_memory as keep_memory
from mmjax.devices.cpu import one_host_device as one_host_device
from mmjax.devices.cpu import request_host_devices as request_host_devices
from mmjax.devices.sharding import axis_of
from mmjax.errors import UserError

AXIS = "data"
FSDP = "fsdp"  # devices along it share one state


def choose(batch_size: int, wanted: int | None = None, *, parts: int = 1, fsdp: int = 1) -> Mesh:
    """A mesh of the devices to train on: `wanted`, or all; `fsdp` of them share a state.

    Raises:
        UserError: there are not so many, or they do not divide each of the batch's `parts`, or
            `fsdp` does not divide them.
    """
    devices = jax.devices()
    count = wanted or len(devices)
    if count > len(devices) or (jax.process_count() > 1 and count < len(devices)):
        where = "this machine has" if jax.process_count() == 1 else "all processes together have"
        raise UserError(f"--devices {count}: {where} {len(devices)} {devices[0].platform} devices")
    pieces = count * parts
    if batch_size % pieces:
        lower, upper = batch_size - batch_size % pieces, batch_size + pieces - batch_size % pieces
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
    grid = np.reshape(np.array(devices[:count]), (count // fsdp, fsdp))
    return Mesh(grid, (AXIS, FSDP), axis_types=(AxisType.Auto,) * 2)


def mesh_of(count: int | None = None) -> Mesh:
    """The first `count` devices of this process, or all."""
    return _mesh(jax.local_devices()[:count])


def _mesh(devices: Sequence[Any]) -> Mesh:
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def local(mesh: Mesh) -> Mesh:
    """The devices of a mesh that belong to this process."""
    return _mesh(mesh.local_devices)


def share() -> tuple[int, int]:
    """Which process this is, and of how many."""
    return jax.process_index(), jax.process_count()


def primary() -> bool:
    """Whether this is the process that writes what is written once."""
    # JAX must not be asked before `request_host_devices`: it would start with one CPU device.
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def place(mesh: Mesh) -> Callable[[Any], NamedSharding]:
    """array -> how it lies as part of a state: split over devices that share one, or whole."""
    parts = mesh.shape.get(FSDP, 1)

    def sharding(x: Any) -> NamedSharding:
        axis = axis_of(x.shape, parts)
        if axis is None:
            return replicated(mesh)
        return NamedSharding(mesh, PartitionSpec(*[None] * axis, FSDP))

    return sharding


def put(state: Any, mesh: Mesh) -> Any:
    """The state as `place` says; the same buffers where it lies so already."""
    if FSDP not in mesh.shape:
        return replicate(state, mesh)
    return jax.device_put(state, jax.tree.map(place(mesh), state))


def separate(mesh: Mesh) -> NamedSharding:
    """The sharding of what each device holds its own part of, along the first axis."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The same arrays on each device; of every process, which must all have them."""
    if jax.process_count() > 1:
        tree = on_host(tree)
    return jax.device_put(tree, replicated(mesh))


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """Replicated arrays as arrays of all processes, as Orbax asks; pmap returns a process's own."""
    if jax.process_count() == 1:
        return tree
    whole = replicated(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_single_device_arrays(
            x.shape, whole, [shard.data for shard in x.addressable_shards]
        ),
        tree,
    )


def on_host(tree: Any) -> Any:
    """Replicated arrays as NumPy, wherever the mesh is that they lie on."""
    return jax.tree.map(np.asarray, tree)


def compiler_options(mesh: Mesh) -> dict[str, str] | None:
    """What `jax.jit` is to be told for these devices."""
    told = options(mesh.devices.flat[0].platform)
    return None if told is None else dict(told)


def _shares(batch: Any, count: int, axis: int = 0) -> Any:
    """[batch, ...] -> [device, batch / device, ...], a view; the batch may be another axis."""

    def split(x: Any) -> np.ndarray:
        size = x.shape[axis] // count
        parts = np.reshape(x, (*x.shape[:axis], count, size, *x.shape[axis + 1 :]))
        return np.moveaxis(parts, axis, 0)

    return jax.tree.map(split, batch)


def pmap(
    step: Callable, mesh: Mesh, *, donate: bool = False, stacked: bool = False, held: Any = None
) -> Callable:
    """`step(state, share, axis="data")` on every device; sums cross devices inside the step.

    On a CPU's devices keep no more than two calls under way: with many XLA's sums may time out.
    With `donate` the new state takes the place of the one that is given, which is gone. `stacked`:
    the batch is the second axis of what comes, steps are the first. `held`: a third argument of
    the step, the same in every call, on every device.
    """
    rest = () if held is None else (replicate(held, mesh),)
    given = (0,) if donate else ()
    mapped = jax.pmap(
        functools.partial(step, axis=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0, *[None] * len(rest)),
        out_axes=None,  # pyright: ignore[reportArgumentType]  # documented, but not in its types
        devices=list(mesh.devices.flat),
        donate_argnums=given,
    )
    told = compiler_options(mesh)
    # pmap takes no options. Of several processes it alone knows how to join the shares.
    if told is not None and jax.process_count() == 1:
        mapped = jax.jit(mapped, donate_argnums=given, compiler_options=told)
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
    """`step(state, batch, axis=None)` on the global batch; the compiler splits it over the mesh.

    Dropout draws the same masks on any number of devices. States that are `like` this one lie as
    `place` says; without it whole on each device. The rest is as in `pmap`.
    """
    rest = () if held is None else (replicate(held, mesh),)
    whole = replicated(mesh)
    state = whole if like is None else jax.tree.map(place(mesh), like)
    axes = tuple(mesh.axis_names)
    split = NamedSharding(mesh, PartitionSpec(None, axes) if stacked else PartitionSpec(axes))
    compiled = jax.jit(
        functools.partial(step, axis=None),
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
    """`step(state, batch, axis=None)` of several trainings at once, `[training, ...]`.

    Each device has as many of them as every other, and none speaks to another. The rest is as in
    `pmap`.
    """
    rest = () if held is None else (replicate(held, mesh),)
    # On CPUs XLA is slow at convolutions with a kernel for each training.
    cpu = mesh.devices.flat[0].platform == "cpu"
    several = jax.lax.map if cpu else lambda f, given: jax.vmap(f)(given)

    def own(state: Any, batch: Any, *rest: Any) -> Any:
        return several(lambda given: step(*given, *rest, axis=None), (state, batch))

    part, whole = PartitionSpec(AXIS), PartitionSpec()
    specs = (part, part, *[whole] * len(rest))
    mapped = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=part, check_vma=False)
    given = (0,) if donate else ()
    compiled = jax.jit(mapped, donate_argnums=given, compiler_options=compiler_options(mesh))
    return lambda state, batch: compiled(state, batch, *rest)


def each(step: Callable, mesh: Mesh) -> Callable:
    """`step(variables, share)` on every device: results stacked `[device, ...]`, not summed."""
    mapped = jax.pmap(step, in_axes=(None, 0), out_axes=0, devices=list(mesh.devices.flat))
    return lambda variables, batch: mapped(variables, _shares(batch, mesh.size))
