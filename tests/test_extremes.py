"""Huge logits, one class, one example, one token, constant columns, nothing but padding."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.imputation import Generated
from mmjax.metrics import auroc, average_precision, binary_metrics
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import OBJECTIVES, BinaryCrossEntropy, SoftmaxCrossEntropy
from mmjax.optim import Adam, Sgd
from mmjax.train.step.finite import NAME as NONFINITE
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked, MetricName, Outputs
from tests import samples

bce = functools.partial(BinaryCrossEntropy, output="y", target="y")
softmax = functools.partial(SoftmaxCrossEntropy, output="y", target="y")
VARIANTS = {
    **{
        name: [cls(output="y", target="y")]
        for name, cls in OBJECTIVES.items()
        if not (cls.mixes_examples or cls.reads_vectors)
    },
    "binary_cross_entropy": [
        bce(),
        bce(pos_weight=1e3, label_smoothing=0.1),
        bce(label_smoothing=1.0, weight=0.0),
    ],
    "softmax_cross_entropy": [
        softmax(),
        softmax(label_smoothing=0.1, class_weights=(0.0, 2.0, 1.0)),
        softmax(label_smoothing=1.0, weight=0.0),
    ],
}
ONES = np.ones(4, np.float32)
LOGITS = ([1e4] * 4, [-1e4] * 4, [1e4, -1e4, 0.0, 1e4], [1e37] * 4)
LABELS = (0 * ONES, ONES, np.array([1, 0, 1, 0], np.float32))


def finite(tree):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64))), jax.tree_util.keystr(path)


# Objectives

CLASSES = ("softmax_cross_entropy", "text_cross_entropy", "ctc")


def shown(name, output):
    """The output of a head: of those that write texts, of one word or token."""
    if name == "text_cross_entropy":
        return {"logits": output[:, None]}
    if name == "ctc":
        return {"logits": output[:, None], "mask": jnp.ones((len(output), 1), bool)}
    return output


@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", VARIANTS)
def test_huge_outputs_have_finite_losses_and_gradients_whatever_the_targets(name, kind):
    @jax.jit
    def measured(output, target, weight):
        batch = Batch({}, {"y": target}, weight, jnp.arange(len(weight)))

        def loss(output, objective):
            sums = objective(Outputs({"y": shown(name, output)}), batch)
            return sums["loss"].mean(), sums

        return [jax.value_and_grad(loss, has_aux=True)(output, o) for o in VARIANTS[name]]

    for output in map(np.array, LOGITS):
        if name in ("squared_error", "feature_distillation"):
            output = np.clip(output, -1e18, 1e18)  # what float32 can square
        if name in CLASSES:
            output = np.stack([output, 0 * output, -output], axis=1)
        for target in LABELS:
            given = target.astype(np.int32) if name in CLASSES else target
            given = samples.target(
                given[:, None] if name in ("text_cross_entropy", "ctc") else given
            )
            found = measured(jnp.asarray(output, kind), given, ONES)
            finite(found)
            (first, _), gradient = found[0]
            assert first >= 0 and gradient.dtype == kind
            # Without any example: nothing, and no 0 / 0.
            (nothing, _), gradient = measured(jnp.asarray(output, kind), given, 0 * ONES)[0]
            assert nothing == 0 and not np.any(gradient)


# Metrics

SCORES = {
    "constant": [0.0] * 4,
    "huge": [1e4, -1e4, 1e4, -1e4],
    "all huge": [1e4] * 4,
    "infinite": [np.inf, -np.inf, 0.0, np.inf],
    "all minus infinite": [-np.inf] * 4,
    "subnormal": [5e-324, 0.0, -5e-324, 0.0],
}


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]], ids=str)
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("scores", SCORES)
def test_only_ranks_of_one_class_are_undefined_and_their_documentation_says_so(
    scores, size, labels
):
    given = np.array(SCORES[scores])[:size], np.array(labels)[:size], np.ones(size)
    found = binary_metrics(*given)
    ranks = {"auroc": auroc, "average_precision": average_precision}
    one_class = len(set(labels[:size])) == 1
    assert {name for name, value in found.items() if np.isnan(value)} == (
        set(ranks) if one_class else set()
    )
    assert all(0 <= value <= 4 for value in found.values() if not np.isnan(value))
    for name, metric in ranks.items():
        assert metric.__doc__ and "NaN where only one class is present" in metric.__doc__
        np.testing.assert_equal(metric(*given), found[name])


# A step of training


def network(**changes):
    return Multimodal(
        encoders={"image": Cnn((4,), 8), "text": Lstm(20, 4, 8)},
        fusion=Concat(),
        heads={"match": Logit(hidden=(8,))},
        imputation=Generated((4,)),
        **changes,
    )


def batch(size=4):
    inputs = {"image": samples.image(), "text": samples.text()}
    inputs = {n: jax.tree.map(lambda x: np.asarray(x[:size]), given) for n, given in inputs.items()}
    targets = {"match": samples.target(np.array([0, 1, 1, 1], np.float32)[:size])}
    return Batch(inputs, targets, np.ones(size, np.float32), np.arange(size))


class Step:
    """A step of training, compiled once for all batches of one shape."""

    def __init__(self, tx, given, **changes):
        model = network(**changes)
        self.state = create_state(model, tx, given, seed=0)
        self._step = jax.jit(
            functools.partial(
                train_step,
                model=model,
                objectives={"match": BinaryCrossEntropy(output="match", target="match")},
                tx=tx,
                axis=None,
            )
        )

    def __call__(self, given):
        """The state after a step, which has not been left out, and the step's sums."""
        state, sums = self._step(self.state, given)
        assert sums.pop(NONFINITE).total == 0
        finite((state.params, state.collections, state.opt_state, sums))
        return state, sums


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def adam(request):
    with jax.numpy_dtype_promotion("standard"):
        yield Step(Adam(warmup=0.0).chain(9), batch(), precision=request.param)


def same(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def changed(left, right):
    return any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), left, right)))


def masked(given, change):
    """The batch with other masks."""
    inputs = {n: Masked(i.values, change(i.mask)) for n, i in given.inputs.items()}
    return dataclasses.replace(given, inputs=inputs)


ONE = np.array([True, False, False, False])


def first_place(mask):
    return mask & (np.cumsum(mask.reshape(len(mask), -1), axis=1).reshape(mask.shape) == 1)


CASES = {
    "all labels 0": lambda b: dataclasses.replace(b, targets={"match": samples.target(0 * ONES)}),
    "all labels 1": lambda b: dataclasses.replace(b, targets={"match": samples.target(ONES)}),
    "one label": lambda b: dataclasses.replace(
        b, targets={"match": Masked(np.array([1, np.nan, np.inf, -9], np.float32), ONE)}
    ),
    "one example": lambda b: dataclasses.replace(b, weight=np.eye(4, dtype=np.float32)[0]),
    "one that has nothing": lambda b: dataclasses.replace(b, weight=np.eye(4, dtype=np.float32)[2]),
    "one token of each": lambda b: masked(b, first_place),
    "nothing there": lambda b: masked(b, np.zeros_like),
    **{
        f"values {place}": lambda b, place=place: dataclasses.replace(
            b,
            inputs={
                n: Masked(np.asarray(samples.extremes(i.values)[place]), i.mask)
                for n, i in b.inputs.items()
            },
        )
        for place in range(4)
    },
}


@pytest.mark.parametrize("case", CASES)
def test_an_extreme_batch_has_a_finite_loss_and_leaves_finite_parameters(adam, case):
    state, sums = adam(CASES[case](batch()))
    assert sums[MetricName("match", "loss")].mean() > 0
    assert changed(state.params, adam.state.params)


def test_a_batch_of_padding_only_counts_nothing(adam):
    nothing = dataclasses.replace(masked(batch(), np.zeros_like), weight=np.zeros(4, np.float32))
    state, sums = adam(nothing)
    for total in sums.values():
        assert total.total == 0 and total.count == 0 and total.mean() == 0
    same(state.params, adam.state.params)  # Adam's first directions are 0 / (0 + eps)


def test_a_batch_of_padding_only_changes_nothing_and_one_of_one_example_does(standard_promotion):
    """Of the shape [1, ...], with a text of one word."""
    given = batch(1)
    text = jax.tree.map(lambda x: x[:, :1], given.inputs["text"])
    given = dataclasses.replace(given, inputs={**given.inputs, "text": text})
    step = Step(Sgd(warmup=0.0, momentum=0.9).chain(9), given)
    state, sums = step(given)
    assert sums[MetricName("match", "loss")].count == 1
    assert changed(state.params, step.state.params)
    nothing = dataclasses.replace(masked(given, np.zeros_like), weight=np.zeros(1, np.float32))
    after, _ = step(nothing)
    same(after.params, step.state.params)
    same(after.collections, step.state.collections)


# Data without variance


def test_constant_pixels_columns_features_and_silence_become_finite_inputs():
    grey = np.full((3, 2, 2, 3), 7, np.uint8)
    for found in (
        ImageTransform.fit(grey)(grey),
        ImageTransform.fit(grey)(255 - grey),
        FeatureTransform.fit(np.full((3, 2, 4), 1e4), max_tokens=2)(np.full((3, 2, 4), -1e4)),
        TableTransform.fit([{"a": 1e-30, "b": "x"}] * 3)([{"a": -1e30, "b": "x"}]),
        TableTransform.fit([{"a": 5}])([{"a": 5}, {"a": 6}, None]),
        AudioTransform(sample_rate=100, max_samples=50)([np.zeros(80), np.zeros((9, 2))]),
    ):
        finite(found.values)
        assert found.mask.any()
    centred = FeatureTransform.fit(np.full((3, 2, 4), 0.1), max_tokens=2)
    np.testing.assert_allclose(centred(np.full((1, 2, 4), 0.1)).values, 0, atol=1e-6)
