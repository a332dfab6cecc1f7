"""The programs that `accelerators.py` compiles: ours, and the same work in plain flax."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
from flax import linen as nn
from plain_weights import renamed

import mmjax
from mmjax.encoders import ENCODERS
from mmjax.fusion import FUSIONS
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.layers.tracing.precision import cast_floats
from mmjax.models.train_state import create_state
from mmjax.train.step.step import eval_step, train_step
from mmjax.types import Batch, Masked, Tokens

OBJECTIVES = {"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")}


TX = {"ours": mmjax.optim.AdamW(schedule="constant", warmup=0.0).chain(1)}
TX["plain"] = optax.adamw(1e-3, weight_decay=1e-2)
# Ours always leaves out updates that are not finite; this is optax's own way to do it.
TX["guarded"] = optax.apply_if_finite(TX["plain"], max_consecutive_errors=1000)
CALLS = 50  # steps in one program, where a row has several


class Row(NamedTuple):
    """The same work by ours and by plain flax."""

    name: str
    # step, guarded step (both sides leave out updates that are not finite), evaluation, encoder,
    # fusion, or word: one more word of each text
    work: str
    batch: Callable[[int], Any]  # number of examples -> what the function takes
    size: int  # examples of a chip
    ours: nn.Module
    plain: nn.Module | None = None
    fsdp: bool = False
    calls: int = 1  # steps in one program
    fast: bool = False  # whether --fast has it
    precision: str = "bfloat16"  # of an encoder or a fusion of ours; models have their own


class Program(NamedTuple):
    """A function of (state, batch), how both are made, and whether it returns a new state."""

    function: Callable[[Any, Any], Any]
    state: Callable[[Any], Any]
    updates: bool


def image(size: int, side: int, channels: int = 3) -> Masked:
    """Pictures, none missing."""
    values = np.random.default_rng(0).normal(size=(size, side, side, channels))
    return Masked(values.astype(np.float32), np.ones(size, bool))


def text(size: int, words: int, vocabulary: int) -> Masked:
    """Texts of every length up to `words`, at least one word."""
    random = np.random.default_rng(1)
    lengths = random.integers(1, words + 1, size)
    ids = random.integers(2, vocabulary, (size, words)).astype(np.int32)
    return Masked(ids, np.arange(words)[None] < lengths[:, None])


def pair(size: int, side: int, channels: int, words: int, vocabulary: int) -> Batch:
    """Pictures with texts, and whether they match."""
    match = np.random.default_rng(2).integers(0, 2, size).astype(np.float32)
    return Batch(
        {"image": image(size, side, channels), "text": text(size, words, vocabulary)},
        {"match": Masked(match, np.ones(size, bool))},
        np.ones(size, np.float32),
        np.arange(size),
    )


def program(row: Row, side: str) -> Program:
    """The row's work by `side`, ours or plain."""
    model = row.ours if side == "ours" else row.plain
    assert model is not None
    make, work = _WORK[side, row.work]
    function = functools.partial(work, model)
    if (side, row.work) in (("ours", "encoder"), ("ours", "fusion")):
        function = functools.partial(function, precision=row.precision)
    if row.calls > 1:
        function = functools.partial(jax.lax.scan, function)
    return Program(function, functools.partial(make, model), row.work.endswith("step"))


def _our_state(model: Any, batch: Batch) -> Any:
    return create_state(model, TX["ours"], batch, seed=0)


def _our_step(model: Any, state: Any, batch: Batch) -> Any:
    return train_step(state, batch, model=model, objectives=OBJECTIVES, tx=TX["ours"], axis=None)


def _our_evaluation(model: Any, state: Any, batch: Batch) -> Any:
    return eval_step(state, batch, model=model, objectives=OBJECTIVES)


def _our_variables(model: Any, batch: Batch) -> Any:
    return dict(model.init(jax.random.key(0), batch.inputs, train=False))


def _plain_state(model: Any, batch: Batch, tx: str = "plain") -> Any:
    variables = dict(model.init(jax.random.key(0), batch.inputs, train=False))
    params = variables.pop("params")
    return {"params": params, "stats": variables, "opt": TX[tx].init(params)}


def _plain_loss(model: Any, params: Any, stats: Any, batch: Batch, train: bool) -> Any:
    logits, changed = model.apply(
        {"params": params, **stats}, batch.inputs, train=train, mutable=list(stats)
    )
    labels = jnp.asarray(batch.targets["match"].values)
    loss = jnp.mean(optax.sigmoid_binary_cross_entropy(logits, labels))
    return loss, (changed, {"loss": loss, "accuracy": jnp.mean((logits > 0) == (labels > 0.5))})


def _plain_step(model: Any, state: Any, batch: Batch, tx: str = "plain") -> Any:
    gradient = jax.grad(functools.partial(_plain_loss, model), has_aux=True)
    grads, (stats, metrics) = gradient(state["params"], state["stats"], batch, True)
    updates, opt = TX[tx].update(grads, state["opt"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    return {"params": params, "stats": stats, "opt": opt}, metrics


def _plain_evaluation(model: Any, variables: Any, batch: Batch) -> Any:
    stats = {name: part for name, part in variables.items() if name != "params"}
    _, (_, metrics) = _plain_loss(model, variables["params"], stats, batch, False)
    return metrics


def _our_part(model: Any, given: Any) -> Any:
    return dict(model.init(jax.random.key(0), *_read(given), train=False))


def _plain_part(model: Any, given: Any) -> Any:
    return dict(model.init(jax.random.key(0), *_read(given, as_pairs=True), train=False))


def _read(given: Any, as_pairs: bool = False) -> tuple[Any, ...]:
    """The arguments of an encoder, or of a fusion; plain ones take (values, mask) for tokens."""
    if isinstance(given, Masked):
        return given.values, given.mask
    return ({n: (t.values, t.mask) for n, t in given.items()} if as_pairs else given,)


def _our_gradient(model: Any, variables: Any, given: Any, precision: str) -> Any:
    """The gradient of the mean square of what an encoder or a fusion returns."""

    def loss(params: Any, rest: Any) -> Any:
        half = cast_floats(precision)
        read = given if isinstance(given, Masked) else half(given)
        result, changed = model.apply(
            {"params": half(params), **rest},
            *_read(read),
            train=True,
            mutable=["batch_stats", "auxiliary"],
            rngs={"dropout": jax.random.key(0)},
        )
        # A fusion's tokens are read by a head, which takes their mean.
        values = (
            result.values
            if isinstance(given, Masked)
            else masked_mean(result.values, result.mask)[:, None]
        )
        return _mean_square(values), {n: x for n, x in changed.items() if n in rest}

    rest = {name: part for name, part in variables.items() if name != "params"}
    return jax.grad(loss, has_aux=True)(variables.get("params", {}), rest)


def _plain_gradient(model: Any, variables: Any, given: Any) -> Any:
    def loss(params: Any, rest: Any) -> Any:
        result, changed = model.apply(
            {"params": params, **rest}, *_read(given, as_pairs=True), train=True, mutable=list(rest)
        )
        if isinstance(given, Masked) and result.shape[:2] == given.mask.shape:
            result = jnp.where(given.mask[:, :, None], result, 0)
        return _mean_square(result), changed

    rest = {name: part for name, part in variables.items() if name != "params"}
    return jax.grad(loss, has_aux=True)(variables.get("params", {}), rest)


def _our_writer(model: Any, given: Any) -> Any:
    variables = model.init(jax.random.key(0), given["tokens"], train=False)
    return jax.tree.map(lambda x: x.astype(jnp.bfloat16), dict(variables))


def _our_word(model: Any, variables: Any, given: Any) -> Any:
    place = jnp.asarray(model.length // 2, jnp.int32)
    return model.apply(
        {**variables, "cache": given["cache"]}, given["tokens"], given["words"], place,
        model.length, method="following", mutable=["cache"],
    )  # fmt: skip


def _mean_square(x: Any) -> Any:
    return jnp.mean(jnp.square(x.astype(jnp.float32)))


_WORK = {
    ("ours", "step"): (_our_state, _our_step),
    ("ours", "guarded step"): (_our_state, _our_step),
    ("ours", "evaluation"): (_our_variables, _our_evaluation),
    ("ours", "word"): (_our_writer, _our_word),
    ("ours", "encoder"): (_our_part, _our_gradient),
    ("ours", "fusion"): (_our_part, _our_gradient),
    ("plain", "step"): (_plain_state, _plain_step),
    ("plain", "guarded step"): (
        functools.partial(_plain_state, tx="guarded"),
        functools.partial(_plain_step, tx="guarded"),
    ),
    ("plain", "evaluation"): (_our_variables, _plain_evaluation),
    ("plain", "encoder"): (_plain_part, _plain_gradient),
    ("plain", "fusion"): (_plain_part, _plain_gradient),
}


def difference(row: Row) -> float:
    """The largest difference of the gradients of ours and plain flax, as a share of their norm.

    On this machine, with 4 examples, from the same parameters, all of them drawn at random.
    """
    batch = row.batch(4)
    ours, like = (program(row, side).state(batch) for side in ("ours", "plain"))
    params = ours.params if row.work == "step" else ours["params"]
    stats = ours.collections if row.work == "step" else _stats(ours)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    # Zeros (biases) and ones (scales) would hide a wrong name: everything is moved.
    params = tree.unflatten(
        x + 0.1 * jax.random.normal(key, x.shape, x.dtype)
        for key, x in zip(keys, leaves, strict=True)
    )
    same = renamed(params, like["params"])
    kept = like["stats"] if row.work == "step" else _stats(like)
    kept = {name: renamed(stats[name], part) for name, part in kept.items()}
    if row.work == "step":
        assert row.plain is not None
        loss = functools.partial(_plain_loss, row.plain)
        theirs = jax.jit(lambda p: jax.grad(loss, has_aux=True)(p, kept, batch, True)[0])(same)
        found = jax.jit(jax.grad(_our_loss(row.ours, batch, stats)))(params)
    else:
        found = jax.jit(program(row, "ours").function)({"params": params, **stats}, batch)[0]
        theirs = jax.jit(program(row, "plain").function)({"params": same, **kept}, batch)[0]
    pairs = zip(*map(jax.tree.leaves, (renamed(found, theirs), theirs)), strict=True)
    norm = optax.global_norm(found)
    # A bias that ours has not is zero in `renamed`, and has no counterpart.
    return float(max(jnp.max(jnp.abs(a - b)) for a, b in pairs if jnp.any(a != 0)) / norm)


def _stats(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in variables.items() if name != "params"}


def _our_loss(model: Any, batch: Batch, stats: Any) -> Callable[[Any], Any]:
    def loss(params: Any) -> Any:
        outputs, _ = model.apply(
            {"params": params, **stats}, batch.inputs, train=True, mutable=list(stats),
            rngs={"dropout": jax.random.key(0)},
        )  # fmt: skip
        return OBJECTIVES["match"](outputs, batch)["loss"].mean()

    return loss


def rows(small: bool = False) -> Iterator[Row]:
    """Every row; `small` ones, in float32, are compared on this machine before."""
    yield from _networks(small)
    for row in (*_encoders(small), *_fusions(small)):
        yield row._replace(precision="float32") if small else row
    yield from _other_encoders()
    yield from _writers()


def _networks(small: bool) -> Iterator[Row]:
    vocabulary = 100 if small else 10_000
    cnn: Any
    lstm: Any
    cnn, lstm = {"features": (4,)} if small else {}, {"vocabulary_size": vocabulary}
    tutorial = _model(
        {"image": mmjax.encoders.Cnn(**cnn), "text": mmjax.encoders.Lstm(**lstm)},
        mmjax.fusion.Concat(), 128, "float32",
    )  # fmt: skip
    peer = plain.Network(
        {"image": plain.Cnn(**cnn), "text": plain.Recurrent(vocabulary=vocabulary)},
        plain.Concat(), 128,
    )  # fmt: skip
    batch = functools.partial(pair, side=28, channels=1, words=10, vocabulary=vocabulary)
    yield Row("tutorial", "step", batch, 128, tutorial, peer, fast=True)
    yield Row(f"tutorial, {CALLS} steps a call", "step", batch, 128, tutorial, peer, calls=CALLS)
    yield Row("tutorial", "guarded step", batch, 128, tutorial, peer)
    yield Row("tutorial", "evaluation", batch, 128, tutorial, peer, fast=True)
    dtype, precision = (jnp.float32, "float32") if small else (jnp.bfloat16, "bfloat16")
    width, layers, heads, vocabulary = (32, 1, 2, 100) if small else (768, 12, 12, 30_522)
    depth, side, words = (18, 32, 8) if small else (50, 224, 64)
    sizes: Any = {"width": width, "layers": layers, "heads": heads}
    images = {
        "ResNet-50": (
            mmjax.encoders.ResNet(depth=depth), plain.ResNet(depth, dtype=dtype)
        ),
        "ViT-B/16": (mmjax.encoders.Vit(size="base", **sizes), plain.Vit(**sizes, dtype=dtype)),
    }  # fmt: skip
    texts = (
        mmjax.encoders.Bert(size="base", vocabulary_size=vocabulary, **sizes),
        plain.Words(**sizes, vocabulary=vocabulary, dtype=dtype),
    )
    fusions = {
        "cross-attention": (
            mmjax.fusion.CrossAttention(width, heads),
            plain.CrossAttention(width, heads, dtype),
        ),
        "MBT": (
            mmjax.fusion.Bottleneck(dim=width, heads=heads),
            plain.Bottleneck(width, heads, dtype=dtype),
        ),
    }
    batch = functools.partial(pair, side=side, channels=3, words=words, vocabulary=vocabulary)

    def of_image(size: int) -> Batch:
        whole = batch(size)
        return Batch({"image": whole.inputs["image"]}, whole.targets, whole.weight, whole.ids)

    for name, (ours, theirs) in images.items():
        model = _model({"image": ours}, mmjax.fusion.Concat(), 128, precision)
        peer = plain.Network({"image": theirs}, plain.Concat(dtype), 128, dtype)
        yield Row(name, "step", of_image, 64, model, peer, fast=name == "ResNet-50")
        yield Row(name, "guarded step", of_image, 64, model, peer)
        for joined, (fusion, plain_fusion) in fusions.items():
            label = f"{name} + BERT-base, {joined}"
            model = _model({"image": ours, "text": texts[0]}, fusion, 768, precision)
            peer = plain.Network({"image": theirs, "text": texts[1]}, plain_fusion, 768, dtype)
            yield Row(label, "step", batch, 64, model, peer)
            yield Row(label, "guarded step", batch, 64, model, peer)
            yield Row(f"{label}, fsdp", "step", batch, 64, model, peer, fsdp=True)
            yield Row(label, "evaluation", batch, 64, model, peer)


def _model(encoders: Any, fusion: Any, hidden: int, precision: Any) -> mmjax.Multimodal:
    heads = {"match": mmjax.heads.Logit(hidden=(hidden,))}
    return mmjax.Multimodal(encoders=encoders, fusion=fusion, heads=heads, precision=precision)


def _encoders(small: bool) -> Iterator[Row]:
    dtype = jnp.float32 if small else jnp.bfloat16
    vocabulary = 100 if small else 10_000
    for cell, cls in (("LSTM", mmjax.encoders.Lstm), ("GRU", mmjax.encoders.Gru)):
        peer = plain.Recurrent(cell.lower(), vocabulary, dtype=dtype)
        for words in (6,) if small else (10, 100, 400):
            batch = functools.partial(text, words=words, vocabulary=vocabulary)
            fast = words == 100
            ours = cls(vocabulary_size=vocabulary)
            yield Row(f"{cell}, {words} words", "encoder", batch, 128, ours, peer, fast=fast)
    pictures = functools.partial(image, side=32 if small else 224)
    sizes: Any = {"width": 32, "layers": 1, "heads": 2, "vocabulary_size": 100} if small else {}
    peers: Any = {n.replace("vocabulary_size", "vocabulary"): value for n, value in sizes.items()}
    words, vocabulary = (8, 100) if small else (64, 30_522)
    texts = functools.partial(text, words=words, vocabulary=vocabulary)
    yield Row("BERT-base", "encoder", texts, 64, mmjax.encoders.Bert(size="base", **sizes),
              plain.Words(**peers, dtype=dtype), fast=True)  # fmt: skip
    yield Row("GPT-2 small", "encoder", texts, 64, mmjax.encoders.Gpt2(size="small", **sizes),
              plain.Words(**{"vocabulary": 50_257, **peers}, positions=1024, causal=True,
                          dtype=dtype))  # fmt: skip
    for part in (sizes, peers):
        part.pop("vocabulary_size", None)
        part.pop("vocabulary", None)
    yield Row("ViT-S/16", "encoder", pictures, 32, mmjax.encoders.Vit(size="small", **sizes),
              plain.Vit(**peers, dtype=dtype), fast=True)  # fmt: skip
    yield Row("ResNet-18", "encoder", pictures, 64, mmjax.encoders.ResNet(18),
              plain.ResNet(18, dtype=dtype))  # fmt: skip
    yield Row("VGG-11", "encoder", pictures, 32, mmjax.encoders.Vgg(11), plain.Vgg(dtype))
    small_pictures = functools.partial(image, side=28, channels=1)
    features = (4, 4) if small else (32, 64)
    yield Row("CNN", "encoder", small_pictures, 128, mmjax.encoders.Cnn(features),
              plain.Cnn(features, dtype=dtype))  # fmt: skip


def _other_encoders() -> Iterator[Row]:
    """Those that flax's examples have no counterpart of, on input as in `encoder_table.py`."""
    for shape, names in {
        (16_000,): ("audio_cnn", "audio_transformer", "wave_cnn"),  # 1 s at 16 kHz
        (100, 6): ("tcn", "patch_transformer", "features"),  # steps of a series
        (12,): ("table_mlp", "ft_transformer"),
        (256, 4): ("point_net", "set_transformer", "birds_eye"),  # points
        (94, 311, 3): ("lifted_camera",),
        (224, 224, 3): ("hog",),
    }.items():

        def batch(size: int, shape: tuple[int, ...] = shape) -> Masked:
            values = np.random.default_rng(0).normal(size=(size, *shape)).astype(np.float32)
            return Masked(values, np.ones((size,) if len(shape) == 3 else (size, shape[0]), bool))

        for name in names:
            yield Row(name, "encoder", batch, 64, ENCODERS[name]())
    words = functools.partial(text, words=32, vocabulary=10_000)
    yield Row("bag_of_words", "encoder", words, 64, mmjax.encoders.BagOfWords())


def _tokens(size: int, width: int) -> dict[str, Tokens]:
    random = np.random.default_rng(3)
    return {
        name: Tokens(
            jnp.asarray(random.normal(size=(size, length, width)), jnp.float32),
            jnp.ones((size, length), bool),
        )
        for name, length in (("image", 49), ("text", 64))
    }


def _fusions(small: bool) -> Iterator[Row]:
    width = 16 if small else 256
    dtype = jnp.float32 if small else jnp.bfloat16
    peers = {
        "cross_attention": plain.CrossAttention(width, 4, dtype),
        "bottleneck": plain.Bottleneck(width, 4, dtype=dtype),
    }
    batch = functools.partial(_tokens, width=width)
    for name, cls in FUSIONS.items():
        fields = {f for f in cls.__dataclass_fields__}
        fusion = cls(**{"dim": width} if "dim" in fields else {})
        peer = peers.get(name)
        yield Row(name, "fusion", batch, 64, fusion, peer, fast=name == "cross_attention")


def _writers() -> Iterator[Row]:
    """GPT-2 small that writes about 64 tokens, with cached keys and values."""
    for context in ("prefix", "cross"):
        writer = mmjax.heads.TransformerDecoder(
            vocabulary_size=50_257, width=768, layers=12, heads=12, positions=256, length=256,
            context=context,
        )  # fmt: skip

        def batch(size: int, writer: Any = writer) -> Any:
            values = np.zeros((size, 64, 768), np.float32).astype(jnp.bfloat16)
            tokens = Tokens(jnp.asarray(values), jnp.ones((size, 64), bool))
            begun = functools.partial(writer.apply, method="begin", mutable=["cache"])
            variables = jax.eval_shape(functools.partial(_our_writer, writer), {"tokens": tokens})
            _, made = jax.eval_shape(lambda v, t: begun(v, t, writer.length), variables, tokens)
            cache = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), made["cache"])
            return {"tokens": tokens, "words": jnp.zeros((size,), jnp.int32), "cache": cache}

        yield Row(f"GPT-2 small, {context}", "word", batch, 32, writer)
