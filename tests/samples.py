"""Small modules and inputs for every registered encoder, fusion and head.

A newly registered class appears in the contract tests by itself; an encoder also needs a line here
that says what its raw input looks like.
"""

import functools

import jax.numpy as jnp
import numpy as np

from mmjax import testing
from mmjax.encoders import (
    ENCODERS,
    AudioCnn,
    AudioTransformer,
    BagOfWords,
    Bert,
    BirdsEye,
    Cnn,
    Features,
    FtTransformer,
    Gpt2,
    Gru,
    Hog,
    LiftedCamera,
    Lstm,
    PatchTransformer,
    PointNet,
    ResNet,
    SetTransformer,
    TableMlp,
    Tcn,
    Vgg,
    Vit,
    WaveCnn,
)
from mmjax.fusion import FUSIONS
from mmjax.heads import HEADS, Decoder
from mmjax.layers.geometry.projection import camera
from mmjax.objectives import OBJECTIVES, BinaryCrossEntropy, BradleyTerry, SoftmaxCrossEntropy
from mmjax.objectives.pairs import Pairs
from mmjax.types import Masked


def image(seed=0, present=(True, True, False, True), size=(6, 6, 1)):
    values = np.random.default_rng(seed).normal(size=(len(present), *size)).astype(np.float32)
    return Masked(jnp.asarray(values), jnp.asarray(present))


def text(seed=0, lengths=(5, 3, 0, 1)):
    ids = np.random.default_rng(seed).integers(2, 20, (len(lengths), 5)).astype(np.int32)
    mask = np.arange(5)[None, :] < np.array(lengths)[:, None]
    return Masked(jnp.asarray(ids), jnp.asarray(mask))


def features(seed=0, lengths=(5, 3, 0, 1)):
    values = np.random.default_rng(seed).normal(size=(len(lengths), 5, 3)).astype(np.float32)
    mask = np.arange(5)[None, :] < np.array(lengths)[:, None]
    return Masked(jnp.asarray(values), jnp.asarray(mask))


def series(seed=0, lengths=(9, 3, 0, 1), feature=3):
    """With a gap in the first example, so that padding is not only at the end."""
    step = max(lengths)
    values = np.random.default_rng(seed).normal(size=(len(lengths), step, feature))
    mask = np.arange(step)[None, :] < np.array(lengths)[:, None]
    mask[0, 2:4] = False
    return Masked(jnp.asarray(values.astype(np.float32)), jnp.asarray(mask))


def audio(seed=0, lengths=(300, 170, 0, 1)):
    values = np.random.default_rng(seed).normal(size=(len(lengths), max(lengths)))
    mask = np.arange(max(lengths))[None, :] < np.array(lengths)[:, None]
    return Masked(jnp.asarray(values.astype(np.float32)), jnp.asarray(mask))


CAMERA = camera(6.0, (5.5, 3.5), position=(0.0, 0.0, 1.5))  # of pictures of 8 x 12 pixels

# Of the columns of `table`: two are numbers, two categories.
CATEGORIES = (0, 3, 0, 2)


def table(seed=0):
    """One row whole, one with empty cells, one with none, one of which a category is unknown."""
    random = np.random.default_rng(seed)
    columns = [random.integers(0, n, 4) if n else random.normal(size=4) for n in CATEGORIES]
    values = np.stack(columns, axis=1).astype(np.float32)
    mask = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]], bool)
    values[3, 1] = 7
    return Masked(jnp.asarray(values), jnp.asarray(mask))


INPUTS = {
    "cnn": image,
    "resnet": functools.partial(image, size=(9, 16, 2)),
    "vgg": functools.partial(image, size=(32, 33, 2)),
    "vit": functools.partial(image, size=(8, 13, 2)),
    "hog": functools.partial(image, size=(9, 7, 2)),
    "lstm": text,
    "gru": series,
    "bag_of_words": text,
    "bert": text,
    "gpt2": text,
    "audio_cnn": audio,
    "audio_transformer": audio,
    "wave_cnn": audio,
    "tcn": series,
    "patch_transformer": series,
    "table_mlp": table,
    "ft_transformer": table,
    "point_net": series,
    "set_transformer": series,
    "birds_eye": series,
    "features": features,
    "lifted_camera": functools.partial(image, size=(8, 12, 2)),
}
_AUDIO = {"sample_rate": 1000, "window": 0.064, "hop": 0.03, "mels": 8, "dim": 8}
ENCODER_VARIANTS = {
    "cnn": [Cnn((3, 4), 8, pooling) for pooling in ("flatten", "mean", "attention", "none")],
    "resnet": [
        ResNet(18, norm, dim, small_images=True, width=4)
        for norm, dim in (("batch", 6), ("group", None))
    ],
    "vgg": [Vgg(11, batch_norm, dim, width=4) for batch_norm, dim in ((True, 6), (False, None))],
    "vit": [Vit(patch=4, width=8, layers=2, heads=2, dim=dim) for dim in (6, None)],
    "hog": [Hog(6, cells, bins, (5,)) for cells, bins in ((2, 3), (4, 8))],
    "lstm": [
        Lstm(20, 6, 8, layers, bidirectional, 0.0, pooling)
        for layers, bidirectional, pooling in (
            (1, False, "last"),
            (2, True, "last"),
            (1, True, "mean"),
            (2, False, "none"),
        )
    ],
    "gru": [
        Gru(dim=8, layers=2, bidirectional=True, pooling="none", time=1),
        Gru(dim=8, pooling="last"),
    ],
    "bag_of_words": [BagOfWords(20, 8, pooling) for pooling in ("mean", "none")],
    "bert": [
        Bert(vocabulary_size=20, positions=9, width=8, layers=1, heads=2, pooling=p)
        for p in ("none", "mean", "first")
    ],
    "gpt2": [
        Gpt2(vocabulary_size=20, positions=9, width=8, layers=1, heads=2, pooling=p)
        for p in ("none", "last")
    ],
    "audio_cnn": [AudioCnn(**_AUDIO, features=(4, 6), pooling=p) for p in ("mean", "none")],
    "audio_transformer": [AudioTransformer(**_AUDIO, patch=2, layers=1, heads=2)],
    "wave_cnn": [WaveCnn(features=(4, 6), size=10, dim=8, pooling=p) for p in ("mean", "none")],
    "tcn": [
        Tcn(8, layers=2, causal=causal, pooling=pooling, time=time)
        for causal, pooling, time in ((False, "mean", None), (True, "none", 0))
    ],
    "patch_transformer": [PatchTransformer(patch=2, dim=8, layers=1, heads=2, time=2)],
    "table_mlp": [TableMlp(8, (6,), CATEGORIES, 4)],
    "ft_transformer": [FtTransformer(8, layers=1, heads=2, categories=CATEGORIES)],
    "point_net": [
        PointNet(8, (6,), align, pooling) for align, pooling in ((0, "max"), (2, "none"))
    ],
    "set_transformer": [SetTransformer(8, layers=1, heads=2, inducing=3, seeds=2)],
    "birds_eye": [
        BirdsEye(cells=(4, 6), features=(4,), dim=8, pooling=p, positions=p == "none")
        for p in ("flatten", "none")
    ],
    "features": [Features(8), Features(8, hidden=(6,))],
    "lifted_camera": [
        LiftedCamera(
            camera=tuple(CAMERA.ravel().tolist()),
            image_size=(8, 12),
            extent=(2.0, 10.0, -4.0, 4.0),
            cells=(2, 3),
            heights=(0.0, 1.0),
            features=(4, 4),
            dim=8,
        )
    ],
}


def encoders():
    """(identifier, module, input) of every variant of every registered encoder."""
    for name in ENCODERS:
        if name not in INPUTS:
            raise LookupError(f"tests/samples.py: say what the raw input of encoder {name!r} is")
        for module in ENCODER_VARIANTS.get(name, [ENCODERS[name]()]):
            label = f"{name}-{len(ENCODER_VARIANTS.get(name, []))}-{getattr(module, 'pooling', '')}"
            yield label, module, INPUTS[name]


def fusions():
    """(name, module) of every registered fusion, as it stands with its defaults, and variants."""
    yield from ((name, cls()) for name, cls in FUSIONS.items())
    yield "sum-projected", FUSIONS["sum"](dim=6)
    yield "late-mean", FUSIONS["late"](weights="mean")
    yield "tensor-unprojected", FUSIONS["tensor"](inner=None)
    for method in ("attention", "ctc", "sinkhorn"):
        yield f"aligned-{method}", FUSIONS["aligned"](steps=4, dim=8, method=method)
    yield "bottleneck-none", FUSIONS["bottleneck"](bottlenecks=0, layers=1)


def heads():
    """(name, module) of every registered head, small, and variants."""
    for name, cls in HEADS.items():
        yield name, cls(vocabulary_size=7, width=8) if issubclass(cls, Decoder) else cls()
    prefix = {"width": 8, "heads": 2, "layers": 1, "context": "prefix"}
    yield "transformer_decoder-prefix", HEADS["transformer_decoder"](vocabulary_size=7, **prefix)
    yield "logit-linear", HEADS["logit"](hidden=())
    yield "logit-multi-label", HEADS["logit"](labels=3)
    yield "waypoints-flatten", HEADS["waypoints"](steps=2, pooling="flatten")
    yield "occupancy-cells", HEADS["occupancy"](cells=(1, 2), features=())
    yield "classes-linear", HEADS["classes"](classes=3, hidden=())


def target(values, mask=None):
    """A target of which nothing is missing, or what the mask says."""
    values = np.asarray(values)
    return Masked(values, np.ones(len(values), bool) if mask is None else mask)


tokens, garbage, extremes = testing.tokens_of, testing.garbage, testing.extremes


def pairs():
    """(name, objective, more modalities) of every registered objective of a dual encoder."""
    for name, cls in OBJECTIVES.items():
        if issubclass(cls, Pairs):
            yield name, cls()
            yield f"{name}-groups", cls(target="group", chunk=3)
    yield "bradley_terry", BradleyTerry(better="image", worse="text"), "query"


def objectives():
    """(name, objective, output, target) of every registered objective, and variants."""
    rng = np.random.default_rng(0)
    number, several = rng.normal(size=6).astype(np.float32), rng.normal(size=(6, 3))
    mask = np.array([True, True, False, True, True, False])
    grid = rng.normal(size=(6, 2, 3)).astype(np.float32)
    two, three = np.array([0, 1, 1, 0, 1, 0], np.float32), rng.integers(0, 3, 6).astype(np.int32)
    given = {
        "binary_cross_entropy": (number, two),
        "softmax_cross_entropy": (several.astype(np.float32), three),
        "squared_error": (number, number[::-1].copy()),
        "absolute_error": (number, number[::-1].copy()),
        "huber": (number, number[::-1].copy()),
        "cox": (number, np.array([[3, 1], [1, 0], [2, 1], [2, 1], [5, 0], [4, 1]], np.float32)),
        "occupancy_cross_entropy": (grid, (grid[::-1] > 0).astype(np.float32)),
        "path_error": (grid[:, :, :2], grid[::-1, :, 1:].copy()),
        "distillation": (several.astype(np.float32), several[::-1].astype(np.float32)),
        "relation_distillation": (several.astype(np.float32), several[::-1].astype(np.float32)),
        "feature_distillation": (several.astype(np.float32), several[::-1].astype(np.float32)),
    }
    logits = rng.normal(size=(6, 4, 5)).astype(np.float32)
    words, shown = rng.integers(0, 5, (6, 4)).astype(np.int32), np.arange(4)[None] < 3
    text = {"logits": logits}, Masked(words, mask[:, None] & shown)
    for name, cls in OBJECTIVES.items():
        if issubclass(cls, Pairs | BradleyTerry):  # `pairs`
            continue
        if name == "ctc":
            words = np.array([[2, 3, 0, 0], [1, 0, 0, 0], [4, 4, 0, 0], [0] * 4, [3] + [0] * 3] * 2)
            output = {"logits": logits, "mask": np.arange(4)[None] < np.array([[4]] * 5 + [[3]])}
            whole = np.broadcast_to(mask[:, None], (6, 4))
            yield name, cls(output="y", target="t"), output, Masked(words[:6].astype("i4"), whole)
            continue
        if name == "text_cross_entropy":
            yield name, cls(output="y", target="t", label_smoothing=0.1), *text
            continue
        output, values = given[name]
        yield name, cls(output="y", target="t"), output, Masked(values, mask)
    labels = rng.integers(0, 2, (6, 3)).astype(np.float32)
    several_labels = BinaryCrossEntropy(output="y", target="t", label_smoothing=0.1)
    yield "labels", several_labels, several.astype(np.float32), Masked(labels, mask)
    weighted = SoftmaxCrossEntropy(output="y", target="t", class_weights=(1.0, 2.0, 0.5))
    yield "class weights", weighted, several.astype(np.float32), Masked(three, mask)
