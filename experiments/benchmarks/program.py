"""What a compiled program does, read from its text: cycles, kernels, bytes, sums over devices.

Bytes are what crosses the chip's memory: operands and results of each kernel, once; what lies in a
TPU's vector memory costs none, and a kernel that reads or writes a slice of an array counts the
slice. A loop's body counts as often as it runs. Cycles are the TPU compiler's own estimates.
"""

import collections
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from targets import Chip

_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"\b(pred|bf16|token|opaque|[a-z]+\d+\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota"),
    *("partition-id", "replica-id", "opt-barrier", "copy-done", "slice-done", "all-reduce-done"),
    *("all-gather-done", "collective-permute-done", "reduce-scatter-done", "async-done"),
    "add-dependency",
}
_SLICES = ("slice", "dynamic-slice")
_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")


class Operation(NamedTuple):
    """An instruction of a computation."""

    name: str
    kind: str  # its opcode
    type: str  # of its result, as text
    operands: tuple[str, ...]
    literal: str  # what stands in its brackets
    rest: str  # attributes, as text
    root: bool


class Kernel(NamedTuple):
    """An operation that runs on the device, and how often it does in a call of the program."""

    operation: Operation
    times: int
    cycles: float  # of all times
    bytes: float
    flops: float
    beside: float = 0.0  # of an exchange between chips: the products computed while it runs

    @property
    def module(self) -> str:
        """The module that it belongs to, and the primitive: encoders_image/conv1: conv."""
        found = re.search(r'op_name="([^"]*)"', self.operation.rest)
        parts = found[1].split("/") if found else [self.operation.name]
        backward = "transpose(" in (found[1] if found else "")
        kept = [p for p in parts if not re.match(r"(jit|jvp|transpose|pjit|vmap)\(", p)]
        inner = re.search(r"jvp\((\w+)\)", found[1]) if found else None
        names = ([inner[1]] if inner else []) + kept
        return "/".join(names[:-1]) + f": {names[-1] if names else ''}" + " grad" * backward

    @property
    def exchange(self) -> str:
        """all-reduce, all-gather ... where it exchanges arrays between chips, else ''."""
        kind = self.operation.kind.removesuffix("-start")
        return kind if kind in _COLLECTIVES else ""


class Cost(NamedTuple):
    """One call of a program on one chip."""

    cycles: float  # the compiler's estimate; 0 where it makes none
    seconds: float  # cycles by the clock; on GPUs by the roofline: each kernel's bytes or products
    bytes: float  # to and from memory
    memory: float  # bytes held while it runs: arguments, results, temporary
    kernels: int  # launched, loops counted
    outside: int  # ... outside of loops
    collectives: dict[str, int]  # {all-reduce: 2}
    beside: dict[str, int]  # ... while which products are computed
    exchanged: float  # bytes of the whole arrays
    peak_share: float  # of the rate of products that the maker states


def measure(text: str, chip: Chip, flops: float, memory: float) -> Cost:
    """The cost of a program, whose products take `flops` operations and which holds `memory`."""
    found = kernels(text)
    cycles = sum(kernel.cycles for kernel in found)
    rooflines = (max(k.bytes / chip.bandwidth, k.flops / chip.peak) for k in found)
    seconds = cycles / chip.clock if chip.platform == "tpu" else sum(rooflines)
    counts, beside = collections.Counter(), collections.Counter()
    for kernel in found:
        if kernel.exchange:
            counts[kernel.exchange] += kernel.times
            beside[kernel.exchange] += kernel.times * (kernel.beside > 0)
    launched = [kernel for kernel in found if not kernel.exchange]
    return Cost(
        cycles=cycles,
        seconds=seconds,
        bytes=sum(kernel.bytes for kernel in found),
        memory=memory,
        kernels=sum(kernel.times for kernel in launched),
        outside=sum(kernel.times == 1 for kernel in launched),
        collectives=dict(counts),
        beside=dict(+beside),
        exchanged=sum(size * count for _, size, count in _exchanges(found)),
        peak_share=flops / (seconds * chip.peak) if seconds else 0.0,
    )


def exchanges(text: str) -> list[tuple[str, float, int]]:
    """What a program exchanges between chips: (all-reduce, bytes of the whole arrays, how many)."""
    return _exchanges(kernels(text))


def _exchanges(found: Sequence[Kernel]) -> list[tuple[str, float, int]]:
    sizes: collections.Counter[tuple[str, float]] = collections.Counter()
    for kernel in found:
        if kernel.exchange:
            sizes[kernel.exchange, _size(kernel.operation.type, all_memory=True)] += kernel.times
    return [(kind, size, count) for (kind, size), count in sorted(sizes.items())]


def hottest(text: str, chip: Chip, count: int = 10) -> list[tuple[str, int, float]]:
    """The costliest operations: (module and primitive, times, share of all)."""
    cost: dict[str, float] = collections.defaultdict(float)
    times: dict[str, int] = collections.defaultdict(int)
    for kernel in kernels(text):
        tpu = chip.platform == "tpu"
        by_roofline = max(kernel.bytes / chip.bandwidth, kernel.flops / chip.peak)
        cost[kernel.module] += kernel.cycles if tpu else by_roofline
        times[kernel.module] += kernel.times
    whole = sum(cost.values()) or 1.0
    return [
        (name, times[name], spent / whole)
        for name, spent in sorted(cost.items(), key=lambda item: -item[1])[:count]
    ]


def kernels(text: str) -> list[Kernel]:
    """Everything that a call of the program runs, in no order."""
    computations, entry = _parsed(text)
    return list(_run(computations, entry, 1))


def _run(
    computations: Mapping[str, dict[str, Operation]], name: str, times: int
) -> Iterator[Kernel]:
    """In the order in which they run; an exchange that others run beside stands at its end."""
    inside = computations[name]
    begun: dict[str, Kernel] = {}
    for operation in inside.values():
        body = computations.get(_called(operation, "calls"), {})
        exchange = next((inner for inner in body.values() if inner.kind in _COLLECTIVES), None)
        if operation.kind in ("while", "conditional", "call"):
            found = list(_nested(computations, operation, times))
        elif operation.kind.endswith("-done") and operation.operands[0] in begun:
            found = [_of_whole(begun.pop(operation.operands[0]), operation.type, inside)]
        elif exchange is not None and _joins(body, "Start"):
            # A TPU's gather, whose parts arrive while other fusions compute.
            begun[_channel(exchange)] = Kernel(exchange, times, 0.0, 0.0, 0.0)
            continue
        elif exchange is not None and _joins(body, "Done"):
            first = begun.pop(_channel(exchange))._replace(operation=exchange)
            found = [_of_whole(first, exchange.type, body)]
        elif operation.kind in _FREE or "AllocateBuffer" in operation.rest:
            continue
        else:
            kernel = _kernel(operation, inside, body, times)
            if kernel.exchange and operation.kind.endswith("-start"):
                begun[operation.name] = kernel
                continue
            found = [_of_whole(kernel, operation.type, inside) if kernel.exchange else kernel]
        products = sum(kernel.flops for kernel in found)
        begun = {k: first._replace(beside=first.beside + products) for k, first in begun.items()}
        yield from found
    yield from begun.values()


def _nested(
    computations: Mapping[str, dict[str, Operation]], operation: Operation, times: int
) -> Iterator[Kernel]:
    """What a loop, a branch or a call runs."""
    if operation.kind == "while":
        count = _trips(computations, operation)
        yield from _run(computations, _called(operation, "body"), times * count)
    elif operation.kind == "conditional":
        branches = re.search(r"branch_computations=\{([^}]*)\}", operation.rest)
        names = (
            branches[1].split(", ")
            if branches
            else re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", operation.rest)
        )
        # Which branch is taken is not known: the costliest.
        options = [list(_run(computations, name.lstrip("%"), times)) for name in names]
        yield from max(options, key=lambda found: sum(k.cycles + k.bytes for k in found))
    else:
        yield from _run(computations, _called(operation, "to_apply"), times)


def _kernel(
    operation: Operation, inside: Mapping[str, Operation], body: Mapping[str, Operation], times: int
) -> Kernel:
    cycles = re.search(r'"estimated_cycles":"(\d+)"', operation.rest)
    scatters = _called(operation, "calls").startswith("all-reduce-scatter")
    return Kernel(
        operation._replace(kind="reduce-scatter") if scatters else operation,
        times,
        times * float(cycles[1]) if cycles else 0.0,
        times * _bytes(operation, inside, body),
        times * _flops(operation, inside, body),
    )


def _joins(body: Mapping[str, Operation], part: str) -> bool:
    return any(f'"AsyncCollective{part}"' in inner.rest for inner in body.values())


def _channel(operation: Operation) -> str:
    found = re.search(r"channel_id=(\d+)", operation.rest)
    return found[1] if found else operation.name


def _of_whole(kernel: Kernel, result: str, around: Mapping[str, Operation]) -> Kernel:
    """The exchange with the type of what is gathered, scattered or summed: the larger side."""
    given = ", ".join(around[name].type for name in kernel.operation.operands if name in around)
    largest = max(result, given, key=functools.partial(_size, all_memory=True))
    return kernel._replace(operation=kernel.operation._replace(type=largest))


def _parsed(text: str) -> tuple[dict[str, dict[str, Operation]], str]:
    """{computation: {name: operation}}, and the name of the first one to run."""
    computations: dict[str, dict[str, Operation]] = {}
    entry, name = "", ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name = head[2]
            computations[name] = {}
            entry = name if head[1] else entry
        elif name and (begin := _LINE.match(line)):
            operation = _operation(begin[2], line[begin.end() :], bool(begin[1]))
            computations[name][operation.name] = operation
    if not entry:
        raise ValueError("the program's text has no ENTRY computation")
    return computations, entry


def _operation(name: str, line: str, root: bool) -> Operation:
    end = _closing(line, 0) if line.startswith("(") else line.index(" ")
    kind, _, _ = line[end:].strip().partition("(")
    start = line.index("(", end)
    close = _closing(line, start)
    operands = tuple(re.findall(r"%([\w.\-]+)", line[start:close]))
    literal = line[start + 1 : close - 1]
    return Operation(name, kind.strip(), line[:end], operands, literal, line[close:], root)


def _closing(line: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(line)):
        depth += (line[place] == "(") - (line[place] == ")")
        if depth == 0:
            return place + 1
    raise ValueError(f"a bracket is not closed: {line[:80]}")


def _called(operation: Operation, attribute: str) -> str:
    found = re.search(rf"\b{attribute}=%?([\w.\-]+)", operation.rest)
    return found[1] if found else ""


def _trips(computations: Mapping[str, dict[str, Operation]], loop: Operation) -> int:
    """How often the body runs: known to XLA on GPUs; on TPUs the number it is compared with."""
    if known := re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.rest):
        return int(known[1])
    condition = computations[_called(loop, "condition")]
    constants = (
        int(operation.literal)
        for operation in condition.values()
        if operation.kind == "constant" and operation.literal.isdecimal()
    )
    return max(constants, default=1)


def _size(type_: str, all_memory: bool = False) -> float:
    """Bytes of the arrays of a type; those in vector memory, S(1), only with `all_memory`."""
    total = 0.0
    for element, shape, layout in _ARRAY.findall(type_):
        bits = _BITS.get(element) or int(re.sub(r"\D", "", element[:4]) or 0)
        if all_memory or "S(1)" not in layout:
            total += math.prod(int(n) for n in shape.split(",") if n) * bits / 8
    return total


def _bytes(
    operation: Operation, around: Mapping[str, Operation], body: Mapping[str, Operation]
) -> float:
    if operation.kind.startswith("copy-start"):
        return _size(operation.type) / 1.0
    read = [around[name].type for name in operation.operands if name in around]
    if operation.kind == "slice-start":  # its type: the array, the slice, a number
        array, part, _ = (found[0] for found in _ARRAY.finditer(operation.type))
        size = _size(part, all_memory=True)
        return sum(size for side in (array, part) if "S(1)" not in side)
    if operation.kind in _SLICES:
        return 2 * _size(operation.type)
    if operation.kind == "dynamic-update-slice":
        return 2 * _size(read[1])
    total = 0.0
    by_number = {int(o.literal): o for o in body.values() if o.kind == "parameter"}
    users = collections.defaultdict(list)
    for inner in body.values():
        for name in inner.operands:
            users[name].append(inner)
    updated = False
    for number, type_ in enumerate(read):
        size = _size(type_)
        inner = by_number.get(number)
        if inner is not None and size:
            uses = _through(inner, users)
            if uses and all(u.kind in _SLICES and at for u, at in uses):
                size = sum(_size(u.type, all_memory=True) for u, _ in uses)
            elif uses and all(u.kind == "dynamic-update-slice" and at for u, at in uses):
                # The array is updated in place: only the slice is written.
                size = sum(_size(body[u.operands[1]].type, all_memory=True) for u, _ in uses)
                total -= _size(type_)  # it stands in the result once more
                updated = True
        total += size
    result = _size(operation.type)
    if operation.kind == "custom-call":
        # The last result of cuBLAS's and cuDNN's calls is their work space.
        work = re.search(r"[su]8\[\d+\](?=\{0\}\)$)", operation.type)
        result -= _size(work[0]) if work else 0.0
    return max(total + result, 0.0) if updated else total + result


def _through(
    operation: Operation, users: Mapping[str, list[Operation]]
) -> list[tuple[Operation, bool]]:
    """What uses a value, bitcasts passed over; with each whether the value is its first operand."""
    found = []
    for user in users[operation.name]:
        if user.kind in ("bitcast", "copy"):
            found += _through(user, users)
        else:
            found.append((user, bool(user.operands) and user.operands[0] == operation.name))
    return found


def _flops(
    operation: Operation, around: Mapping[str, Operation], body: Mapping[str, Operation]
) -> float:
    """Operations of products and convolutions; exact for the calls of cuBLAS and cuDNN."""
    if operation.kind == "fusion":
        return sum(_flops(inner, body, {}) for inner in body.values())
    shapes = [_shape(around[name].type) for name in operation.operands if name in around]
    result = _shape(operation.type)
    if "__cublas" in operation.rest or operation.kind == "dot":
        key = '"lhs_contracting_dimensions":\\[([^\\]]*)\\]'
        plain = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", operation.rest)
        quoted = re.search(key, operation.rest)
        text = plain[1] if plain else quoted[1].replace('"', "") if quoted else ""
        inner = math.prod(shapes[0][int(axis)] for axis in text.split(",") if axis)
        return 2.0 * math.prod(result) * inner
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", operation.rest)
    if labels and len(shapes) > 1:
        # Kernel and output of the forward convolution, wherever they stand in this one.
        kernel, output = shapes[1], result
        if "BackwardInput" in operation.rest:
            output = shapes[0]
        if "BackwardFilter" in operation.rest:
            kernel, output = result, shapes[1]
        return 2.0 * math.prod(output) * math.prod(kernel) / kernel[labels[2].index("o")]
    return 0.0


def _shape(type_: str) -> list[int]:
    found = _ARRAY.search(type_)
    return [int(n) for n in found[2].split(",") if n] if found else []
