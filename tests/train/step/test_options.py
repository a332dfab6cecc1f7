"""What the model's options do to a training step: frozen encoders, and bfloat16 compute."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.devices import parallel
from mmjax.encoders import Lstm
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.layers.convolution.batch_norm import BatchNorm
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.optim import AdamW, Sgd
from mmjax.train.step.step import train_step
from mmjax.types import MetricName
from tests.config.experiments import small
from tests.train.step.test_step import OBJECTIVES, batch, close

pytestmark = pytest.mark.usefixtures("standard_promotion")


class Normed(nn.Module):
    """An encoder that would change in training by its statistics and its dropout too."""

    @nn.compact
    def __call__(self, values, mask, *, train):
        x = nn.Conv(4, (3, 3), promote_dtype=in_kernel_dtype)(clear(jnp.asarray(values), mask))
        x = BatchNorm()(x, jnp.asarray(mask), train=train)
        return image_tokens(nn.Dropout(0.5, deterministic=not train)(x), jnp.asarray(mask), None)


MODEL = Multimodal(
    encoders={"image": Normed(), "text": Lstm(20, 4, 8)},
    fusion=Concat(),
    heads={"match": Logit(hidden=(8,))},
)


OPTIMS = {"adamw": AdamW(weight_decay=0.5, warmup=0.0), "sgd": Sgd(peak_lr=0.1)}


@functools.cache
def trained(frozen=(), precision="float32", optim="adamw", steps=3, wrapper="jit", devices=1):
    model = dataclasses.replace(MODEL, frozen=frozen, precision=precision)
    tx = small(model=model, optim=OPTIMS[optim], steps=steps).update()
    mesh = parallel.mesh_of(devices)
    state = parallel.replicate(create_state(model, tx, batch(0), seed=0), mesh)
    before = jax.device_get(state)
    step = functools.partial(train_step, model=model, objectives=OBJECTIVES, tx=tx)
    update = parallel.WRAPPERS[wrapper](step, mesh)
    losses = []
    for number in range(steps):
        state, sums = update(state, batch(number))
        losses.append(float(sums[MetricName("match", "loss")].mean()))
    return before, jax.device_get(state), losses


def test_a_frozen_encoder_stays_as_it_is_and_the_rest_learns():
    before, after, _ = trained(frozen=("image",))
    for tree in ("params", "collections"):
        was, now = getattr(before, tree), getattr(after, tree)
        find = (lambda t: t["encoders_image"]) if tree == "params" else (lambda t: t["batch_stats"])
        close(find(was), find(now), 0.0)
    for name in ("encoders_text", "heads_match"):
        moved = jax.tree.map(lambda a, b: np.any(a != b), before.params[name], after.params[name])
        assert all(jax.tree.leaves(moved))
    before, after, _ = trained()
    assert np.any(
        before.collections["batch_stats"]["encoders_image"]["BatchNorm_0"]["mean"]
        != after.collections["batch_stats"]["encoders_image"]["BatchNorm_0"]["mean"]
    )


def test_a_frozen_encoder_has_no_moments():
    _, frozen, _ = trained(frozen=("image",))
    _, free, _ = trained()
    size = {name: sum(x.size for x in jax.tree.leaves(s.opt_state)) for name, s in
            (("frozen", frozen), ("free", free))}  # fmt: skip
    encoder = sum(x.size for x in jax.tree.leaves(free.params["encoders_image"]))
    assert size["free"] - size["frozen"] >= 2 * encoder - 8  # step counts of the groups


def test_a_frozen_modality_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"frozen: unknown modalities \['sound'\]; choose from"):
        trained(frozen=("sound",))


HALF = dataclasses.replace(MODEL, precision="bfloat16")


@pytest.mark.parametrize("wrapper, devices", [("jit", 1), ("pmap", 8)])
def test_parameters_statistics_and_losses_stay_float32_in_half_precision(wrapper, devices):
    _, after, losses = trained((), "bfloat16", "sgd", wrapper=wrapper, devices=devices)
    kinds = {x.dtype for x in jax.tree.leaves((after.params, after.collections))}
    assert kinds == {jnp.dtype("float32")}
    _, _, full = trained((), "float32", "sgd", wrapper=wrapper, devices=devices)
    assert losses[0] != full[0]  # it is another computation ...
    np.testing.assert_allclose(losses, full, rtol=0.05)  # ... of the same


def test_the_outputs_are_float32_and_close_in_half_precision():
    inputs = batch(0).inputs
    variables = MODEL.init(jax.random.key(0), inputs, train=False)
    full = MODEL.apply(variables, inputs, train=False).values["match"]
    low = HALF.apply(variables, inputs, train=False).values["match"]
    assert low.dtype == jnp.float32 and np.any(low != full)
    np.testing.assert_allclose(low, full, atol=0.03)
    same = jax.tree.map(
        np.array_equal, variables, HALF.init(jax.random.key(0), inputs, train=False)
    )
    assert all(jax.tree.leaves(same))


def test_compute_in_half_precision_is_in_half_precision():
    """Of all products of matrices in the program of a step, none has a float32 factor."""
    inputs = batch(0).inputs
    variables = HALF.init(jax.random.key(0), inputs, train=False)
    program = str(jax.make_jaxpr(lambda v: HALF.apply(v, inputs, train=False))(variables))
    products = [line for line in program.splitlines() if "dot_general" in line or "conv_" in line]
    assert len(products) >= 4 and all(":bf16[" in line for line in products)


def test_an_unknown_precision_is_refused():
    bound = MODEL.clone().bind({})
    object.__setattr__(bound, "precision", "float8")
    with pytest.raises(
        ValueError, match=r"Multimodal\.precision: got 'float8', choose from float32"
    ):
        bound(batch(0).inputs, train=False)


def test_the_weight_of_an_objective_follows_its_schedule():
    tx = small(model=MODEL, optim=Sgd(schedule="constant", warmup=0.0)).update()
    state = create_state(MODEL, tx, batch(0), seed=0)
    moved = []
    for schedule in ((), ((0, 0.25), (3, 1.0), (9, 0.0))):
        objectives = {"match": dataclasses.replace(OBJECTIVES["match"], schedule=schedule)}
        step = functools.partial(train_step, model=MODEL, objectives=objectives, tx=tx, axis=None)
        changed, _ = jax.jit(step)(state, batch(0))
        moved.append(jax.tree.map(jnp.subtract, changed.params, state.params))
    close(jax.tree.map(lambda x: x / 4, moved[0]), moved[1], 1e-6)
    weight_at = dataclasses.replace(objectives["match"], weight=2.0).weight_at
    found = [weight_at(jnp.asarray(step)) for step in (0, 2, 3, 6, 9, 99)]
    np.testing.assert_allclose(found, [0.5, 1.5, 2.0, 1.0, 0.0, 0.0], rtol=1e-6)
