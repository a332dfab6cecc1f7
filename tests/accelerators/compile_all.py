"""Compile every encoder, fusion, head, objective and the step for an accelerator, at small shapes.

    python -m tests.accelerators.compile_all v5e:2x2

A process of its own: the compilers read the environment once, and one process may use libtpu.
Prints a JSON object: {name: {"collectives": {kind: count}, "beside": those beside which products
are computed, "exchanged": bytes of the whole arrays, "host": what involves the host}}.
"""

import functools
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))

import targets

targets.prepare()

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from program import exchanges, kernels

from mmjax.devices import parallel, sharding
from mmjax.encoders import Bert
from mmjax.fusion import Concat
from mmjax.heads import Decoder, Logit
from mmjax.models import Multimodal
from mmjax.models.train_state import create_state
from mmjax.optim import AdamW
from mmjax.testing.pairs import batch_of
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked, Outputs
from tests import samples
from tests.config.experiments import SMALL
from tests.train.step.test_step import batch

HOST = r"\b(infeed|outfeed|send|recv|send-done|recv-done)\(|custom_call_target=\"[^\"]*callback"


def programs() -> Iterator[tuple[str, Callable, tuple[Any, ...]]]:
    """(name, function, arguments): the gradient of each part, for one device."""
    for name, module, given in samples.encoders():
        yield f"encoder {name}", _gradient(module), (given().values, given().mask)
    tokens = samples.tokens(("image", "text"))
    for name, module in samples.fusions():
        yield f"fusion {name}", _gradient(module), (tokens,)
    joined = next(iter(tokens.values()))
    for name, module in samples.heads():
        if not isinstance(module, Decoder):
            yield f"head {name}", _gradient(module), (joined,)
            continue
        words = np.ones((joined.mask.shape[0], 3), np.int32)
        taught = Masked(words, np.ones(words.shape, bool))
        yield f"head {name}", _gradient(module, target=taught), (joined,)
        yield f"writing {name}", _writing(module.clone(beams=2, num=2)), (joined,)
    for name, objective, output, target in samples.objectives():
        ones = np.ones(len(target.mask), np.float32)
        given = Batch({}, {"t": target}, ones, np.arange(len(ones)))

        def loss(output, given, objective=objective):
            return objective(Outputs({"y": output}), given)["loss"].mean()

        yield f"objective {name}", jax.grad(loss, allow_int=True), (output, given)

    for name, objective, *more in samples.pairs():
        outputs, given, _ = batch_of(*more)

        def paired(values, objective=objective, present=outputs.present, given=given):
            return objective(Outputs(values, present=present), given)["loss"].mean()

        yield f"objective {name}", jax.grad(paired), (outputs.values,)


def _one_of_each(found: Iterator[tuple[str, Any, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """The first variant of each part."""
    seen = set()
    for label, function, given in found:
        if (part := label.split("-")[0]) not in seen:
            seen.add(part)
            yield label, function, given


def _writing(module: Any) -> Callable:
    def write(tokens: Any) -> Any:
        variables = module.init(jax.random.key(0), tokens, train=False)
        return module.apply(variables, tokens, train=False)

    return write


def _gradient(module: Any, **more: Any) -> Callable:
    def gradient(*given: Any) -> Any:
        def loss(params: Any, rest: Any) -> Any:
            result, changed = module.apply(
                {"params": params, **rest},
                *given,
                train=True,
                **more,
                mutable=["batch_stats", "auxiliary"],
                rngs={"dropout": jax.random.key(1)},
            )
            leaves = [x for x in jax.tree.leaves(result) if jnp.issubdtype(x.dtype, jnp.floating)]
            return sum(jnp.sum(jnp.square(x)) for x in leaves), changed

        variables = module.init(jax.random.key(0), *given, train=False)
        rest = {name: part for name, part in variables.items() if name != "params"}
        return jax.grad(loss, has_aux=True)(variables.get("params", {}), rest)

    return gradient


def steps(mesh: Mesh) -> Iterator[tuple[str, Any]]:
    """(name, lowered program) of the training step under each wrapper."""
    tx = AdamW().chain(10)
    model, objectives = SMALL.model, SMALL.objectives
    step = functools.partial(train_step, model=model, objectives=objectives, tx=tx)
    given = batch(0)
    state = jax.eval_shape(lambda: create_state(model, tx, given, seed=0))
    whole, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (parallel.AXIS,)))
    sharded = jax.jit(
        functools.partial(step, axis=None), in_shardings=(whole, split), out_shardings=whole
    )
    yield "step jit", sharded.lower(state, jax.eval_shape(lambda: given))
    # What jax.pmap makes of it.
    mapped = jax.shard_map(
        functools.partial(step, axis=parallel.AXIS),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(parallel.AXIS)),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    yield "step pmap", jax.jit(mapped).lower(state, jax.eval_shape(lambda: given))
    yield "step fsdp", _fsdp(mesh)


def _fsdp(mesh: Mesh) -> Any:
    """A step of a small BERT whose parameters are split; large enough for gathers to be hidden."""
    devices = mesh.devices[None]
    auto = AxisType.Auto
    mesh = Mesh(devices, (parallel.AXIS, parallel.FSDP), axis_types=(auto, auto))
    encoder = Bert(size="base", vocabulary_size=1000, width=256, layers=2, heads=4)
    model = Multimodal(
        encoders={"text": encoder}, fusion=Concat(), heads={"match": Logit()}, precision="bfloat16"
    )
    words = Masked(np.ones((64 * mesh.size, 64), np.int32), np.ones((64 * mesh.size, 64), bool))
    ones = np.ones(len(words.mask), np.float32)
    given = Batch({"text": words}, {"match": Masked(ones, ones > 0)}, ones, np.arange(len(ones)))
    tx = AdamW().chain(10)
    state = jax.eval_shape(lambda: create_state(model, tx, given, seed=0))
    placed = jax.tree.map(sharding.place(mesh), state)
    split, whole = (
        NamedSharding(mesh, PartitionSpec(*x)) for x in (((parallel.AXIS, parallel.FSDP),), ())
    )
    step = functools.partial(train_step, model=model, objectives=SMALL.objectives, tx=tx, axis=None)
    sharded = jax.jit(
        sharding.gathering(step, mesh), in_shardings=(placed, split), out_shardings=(placed, whole)
    )
    return sharded.lower(state, jax.eval_shape(lambda: given))


def main(name: str) -> None:
    """Compile all of it for the target."""
    devices = targets.devices(targets.target(name))
    mesh = Mesh(devices, (parallel.AXIS,), axis_types=(AxisType.Auto,))
    one = NamedSharding(Mesh(devices[:1], ("one",), axis_types=(AxisType.Auto,)), PartitionSpec())
    found = {}
    lowered = (
        (
            label,
            jax.jit(function, in_shardings=one, out_shardings=one).lower(
                *jax.eval_shape(lambda given=given: given)
            ),
        )
        for label, function, given in _one_of_each(programs())
    )
    for label, program in [*lowered, *steps(mesh)]:
        text = program.compile().as_text()
        exchanged = [kernel for kernel in kernels(text) if kernel.exchange]
        found[label] = {
            "collectives": Counter(kernel.exchange for kernel in exchanged),
            "beside": Counter(kernel.exchange for kernel in exchanged if kernel.beside),
            "exchanged": sum(size * count for _, size, count in exchanges(text)),
            "host": sorted(set(re.findall(HOST, text))),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
