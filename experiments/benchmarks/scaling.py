"""How training would scale to many accelerators, on paper: nothing here was run on any of them.

    python experiments/benchmarks/scaling.py
    python experiments/benchmarks/scaling.py --compile-sums   (what XLA makes of it; two minutes)

Counts parameters and operations of a step with mmjax, takes link speeds from what their makers
publish, and prints the tables of scaling.md.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tyro

DEVICES = (8, 256, 4096)
USED = 0.5  # of the peak rate while a device computes: an assumption, and a good program's
FLOAT = 4  # bytes: gradients are summed in float32, whatever the precision of the products
SMALL = 8_192  # bytes of a batch norm's mean or variance, 2,048 channels
SUMS_PER_NORM = 4  # mean and variance, forward; two more in the gradient


class Machine(NamedTuple):
    """Accelerators and what joins them; `sum_time(bytes, devices)` is that of one all-reduce."""

    name: str
    peak: float  # operations a second in bfloat16, dense
    sum_time: Callable[[float, int], float]


def ring(size: float, devices: int, bandwidth: float) -> float:
    """Seconds in which `size` bytes on each device become their sum on each: 2 (n - 1) / n of them
    leave every device, at `bandwidth` bytes a second."""
    return 2 * (devices - 1) / devices * size / bandwidth


def h100(size: float, devices: int) -> float:
    """Eight H100 SXM in a machine on NVLink, 450 GB/s each way; a 400 Gbit/s NDR link for each.

    Sums within machines, then each device an eighth of them between machines. Latencies are those
    of NCCL's own model (src/graph/tuning.cc, tree): 8.4 + 2 (7 * 4 + 14 log2 m) microseconds for m
    machines, for small arrays 6.8 + 2 (7 * 0.6 + 5 log2 m).
    """
    inside, machines = min(devices, 8), max(devices // 8, 1)
    base, near, far = (6.8, 0.6, 5.0) if size <= SMALL else (8.4, 4.0, 14.0)
    latency = base + 2 * ((inside - 1) * near + math.log2(machines) * far)
    between = ring(size / inside, machines, 50e9)
    return ring(size, inside, 450e9) + between + 1e-6 * latency


def v5e(size: float, devices: int) -> float:
    """TPU v5e: 200 GB/s each way on a torus of 16x16, half of it where there is no way round;
    between these pods 25 Gbit/s a chip."""
    inside, pods = min(devices, 256), max(devices // 256, 1)
    axes = (16, 16) if inside == 256 else (2, 4)
    between = ring(size / inside, pods, 25e9 / 8) + 2 * math.log2(pods) * 14e-6
    return ring(size, inside, 200e9 if inside == 256 else 100e9) + sum(axes) * 1e-6 + between


def v5p(size: float, devices: int) -> float:
    """TPU v5p: 600 GB/s each way on a torus, 4x8x8 or 16x16x16; half of it on 2x2x2."""
    axes = {8: (2, 2, 2), 256: (4, 8, 8), 4096: (16, 16, 16)}.get(devices)
    hops = sum(axes) if axes else 3 * round(devices ** (1 / 3))
    return ring(size, devices, 300e9 if devices <= 8 else 600e9) + hops * 1e-6


MACHINES = (
    Machine("H100 SXM, NDR", 989e12, h100),
    Machine("TPU v5e", 197e12, v5e),
    Machine("TPU v5p", 459e12, v5p),
)


class Step(NamedTuple):
    """What a step takes on one device, and what it must exchange."""

    flops: float
    gradient: float  # bytes
    norms: int

    def compute(self, machine: Machine) -> float:
        return self.flops / (USED * machine.peak)

    def exchange(self, machine: Machine, devices: int) -> float:
        small = SUMS_PER_NORM * self.norms * machine.sum_time(SMALL, devices)
        return machine.sum_time(self.gradient, devices) + machine.sum_time(4, devices) + small

    def total(self, machine: Machine, devices: int, *, overlap: bool = False) -> float:
        """One after the other, as today; or the gradients' sum wholly beside the computing."""
        compute, exchange = self.compute(machine), self.exchange(machine, devices)
        if not overlap:
            return compute + exchange
        gradient = machine.sum_time(self.gradient, devices)
        return max(compute, gradient) + exchange - gradient


def exchanged(name: str, step: Step) -> Iterator[str]:
    """Rows: the bytes that leave each device in a step."""
    for devices in DEVICES:
        sent = ring(step.gradient, devices, 1.0)
        yield f"| {name} | {devices:,} | {_bytes(step.gradient)} | {_bytes(sent)} |"


def predicted(name: str, step: Step) -> Iterator[str]:
    """Rows: the time of a step where every device has the same share, however many there are."""
    for machine in MACHINES:
        for devices in DEVICES:
            whole, beside = (step.total(machine, devices, overlap=o) for o in (False, True))
            compute = step.compute(machine)
            yield (
                f"| {name} | {machine.name} | {devices:,} | {_ms(compute)} | "
                f"{_ms(step.exchange(machine, devices))} | {_ms(whole)} | {compute / whole:.0%} | "
                f"{compute / beside:.0%} |"
            )


def needed(step: Step, batch: int, machine: Machine, devices: int, efficiency: float) -> int:
    """Examples on each device from which on it computes for this share of the time."""
    exchange = step.exchange(machine, devices)
    one = step.compute(machine) / batch
    return math.ceil(exchange * efficiency / (1 - efficiency) / one)


def widest(step: Step, batch: int, machine: Machine, examples: int) -> int:
    """Up to how many devices a batch of `examples` may be split, half of the time for computing."""
    fitting = [1]
    for devices in (2**k for k in range(3, 15)):
        share = step._replace(flops=step.flops / batch * examples / devices)
        if examples >= devices and share.compute(machine) * 2 >= share.total(machine, devices):
            fitting.append(devices)
    return max(fitting)


def levers(step: Step, batch: int, machine: Machine, devices: int) -> Iterator[str]:
    """Rows: a step where it scales badly, and what would help; "..." adds to the second one."""
    cases = {
        "as it is": (step, False),
        "group norm instead of batch norm": (step._replace(norms=0), False),
        "... and the gradients' sum beside the computing": (step._replace(norms=0), True),
        "... or gradients summed in bfloat16": (
            step._replace(norms=0, gradient=step.gradient / 2),
            False,
        ),
        "... or four times the batch on each device": (
            step._replace(norms=0, flops=4 * step.flops),
            False,
        ),
    }
    for name, (changed, overlap) in cases.items():
        whole = changed.total(machine, devices, overlap=overlap)
        share = changed.compute(machine) / whole
        rate = batch * changed.flops / step.flops / whole
        yield f"| {name} | {_ms(whole)} | {share:.0%} | {rate * devices / 1e6:.2f} |"


def main(compile_sums: bool = False) -> None:
    """Print the tables, as Markdown."""
    if compile_sums:
        flag = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
    import networks

    if compile_sums:
        for norm, narrow in networks.NARROW.items():
            print(f"{norm} norm: {networks.compiled_sums(narrow, 8)} all-reduces in a step")
        return
    steps, batches, costs = {}, {}, {}
    for network in networks.NETWORKS:
        costs[network.name] = cost = networks.cost(network)
        batches[network.name] = network.batch
        steps[network.name] = Step(network.batch * cost.flops, FLOAT * cost.parameters, cost.norms)
    print("| network | parameters | operations of an example | batch norms | batch of a device |")
    print("|---|--:|--:|--:|--:|")
    for name, cost in costs.items():
        numbers = f"{cost.parameters:,} | {cost.flops / 1e9:.3g} G | {cost.norms}"
        print(f"| {name} | {numbers} | {batches[name]} |")
    print("\n| network | devices | gradient | leaves each device |\n|---|--:|--:|--:|")
    for name, step in steps.items():
        print("\n".join(exchanged(name, step)))
    print("\n| network | machine | devices | computes, ms | exchanges, ms | step, ms", end=" ")
    print("| computing | with overlap |\n|---|---|--:|--:|--:|--:|--:|--:|")
    for name, step in steps.items():
        print("\n".join(predicted(name, step)))
    print("\n| network | machine | batch of a device for 90 % at 8 | 256 | 4,096", end=" ")
    print("| devices for a batch of 32,768 |\n|---|---|--:|--:|--:|--:|")
    for name, step in steps.items():
        for machine in MACHINES:
            batch = batches[name]
            sizes = [f"{needed(step, batch, machine, n, 0.9):,}" for n in DEVICES]
            most = widest(step, batch, machine, 32_768)
            print(f"| {name} | {machine.name} | {' | '.join(sizes)} | {most:,} |")
    name, step = list(steps.items())[-1]
    print("\n| lever, on 4,096 H100 | step, ms | computing | million examples a second |")
    print("|---|--:|--:|--:|")
    print("\n".join(levers(step, batches[name], MACHINES[0], 4096)))


def _bytes(size: float) -> str:
    return f"{size / 1e6:,.2f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


if __name__ == "__main__":
    tyro.cli(main)
