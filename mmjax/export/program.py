"""A model as a StableHLO program that JAX loads without mmjax (jax.export).

program.call({name: array}, {modality: {"values": array, "mask": array}}) -> {head: output}
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import jax
import jax.export
import numpy as np

from mmjax.errors import MissingPackageError, UserError
from mmjax.export.int8 import dequantised
from mmjax.layers.tracing.paths import path_of
from mmjax.models.base import Model
from mmjax.types import Masked, Outputs

PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-5  # of what the program returns against the model, of the largest number
EXAMPLES = 5  # that the two are compared on


def named(variables: Any) -> dict[str, np.ndarray]:
    """All arrays by name, such as `params/encoders_image/conv/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {path_of(path): np.asarray(leaf) for path, leaf in leaves}


def unnamed(variables: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of `variables` with these arrays."""
    return jax.tree_util.tree_map_with_path(lambda path, _: parameters[path_of(path)], variables)


def lowered(
    model: Model,
    variables: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    inputs: Mapping[str, Masked],
) -> jax.export.Exported:
    """The program for any batch size and all of `PLATFORMS`.

    Args:
        model: the model
        variables: the tree of its arrays
        parameters: what the program is given: the arrays by name, or as `quantised`
        inputs: of any batch size; their other axes stay as they are
    """

    def call(parameters, inputs):
        given = {name: Masked(one["values"], one["mask"]) for name, one in inputs.items()}
        tree = unnamed(variables, dequantised(parameters))
        return dict(cast(Outputs, model.apply(tree, given, train=False)).values)

    batch = jax.export.symbolic_shape("batch")

    def form(x: Any, *, batched: bool) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*batch, *x.shape[1:]) if batched else x.shape, x.dtype)

    arrays = {name: form(x, batched=False) for name, x in parameters.items()}
    shapes = jax.tree.map(lambda x: form(x, batched=True), plain(inputs))
    with _without_folders():
        return jax.export.export(jax.jit(call), platforms=PLATFORMS)(arrays, shapes)


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
    """A context in which programs name source files without the folders of this machine."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = jax.config.values[option]
    jax.config.update(option, ".*/")
    try:
        yield
    finally:
        jax.config.update(option, before)


def plain(inputs: Mapping[str, Masked]) -> dict[str, dict[str, Any]]:
    """The inputs as the program takes them."""
    return {name: {"values": one.values, "mask": one.mask} for name, one in inputs.items()}


def serialized(program: jax.export.Exported) -> bytes:
    """The bytes of the program; MissingPackageError without the package that writes them."""
    try:
        return bytes(program.serialize())
    except ImportError as error:  # JAX's own, which names no module
        raise missing(error) from None


def deserialized(content: bytes) -> jax.export.Exported:
    """The program of `serialized`.

    Raises:
        UserError: another version of JAX wrote it, that this one does not read.
    """
    try:
        return jax.export.deserialize(bytearray(content))
    except ImportError as error:  # JAX's own, which names no module
        raise missing(error) from None
    except Exception as error:  # flatbuffers trusts the bytes: they may end it in any way
        raise UserError(
            f"JAX {jax.__version__} does not read this program: {error!s:.300}"
        ) from error


def missing(error: ImportError) -> MissingPackageError:
    """What to install."""
    name = error.name or "flatbuffers"
    return MissingPackageError(
        f"exported models need an extra: pip install 'mmjax[export]' ({name} is missing)"
    )


def require_equal(
    program: jax.export.Exported,
    model: Model,
    variables: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    inputs: Mapping[str, Masked],
) -> float:
    """The largest difference of the program from the model, on made-up inputs of these shapes.

    Some of these are masked, and of the first example all.

    Raises:
        UserError: it is above `TOLERANCE`.
    """
    made = {name: _made_up(one) for name, one in inputs.items()}
    tree = unnamed(variables, dequantised(parameters))
    apply = jax.jit(lambda tree, given: model.apply(tree, given, train=False))
    expected = named(cast(Outputs, apply(tree, made)).values)
    worst = 0.0
    for name, got in named(program.call(parameters, plain(made))).items():
        ours, theirs = expected[name].astype(np.float64), got.astype(np.float64)
        size = max(1.0, float(np.max(np.abs(ours), where=np.isfinite(ours), initial=0)))
        # Logits may be minus infinity in both.
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        apart = float(np.max(np.where(same, 0, np.abs(np.where(same, 0, ours - theirs)))) / size)
        if not apart <= TOLERANCE:
            raise UserError(
                f"the exported program differs from the model by {apart:.1e} of the largest number "
                f"of {name}: expected at most {TOLERANCE}; nothing was written"
            )
        worst = max(worst, apart)
    return worst


def _made_up(one: Masked) -> Masked:
    rng = np.random.default_rng(0)
    shape, mask = (EXAMPLES, *one.values.shape[1:]), (EXAMPLES, *one.mask.shape[1:])
    kind = np.asarray(one.values).dtype
    # 0 and 1 are valid in every vocabulary.
    values = (
        rng.normal(size=shape) if np.issubdtype(kind, np.floating) else rng.integers(0, 2, shape)
    )
    there = rng.random(mask) < 0.8
    there[0] = False
    return Masked(values.astype(kind), there)
