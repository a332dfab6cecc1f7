"""From the folder of a run to the file of an exported model."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy

from mmjax.config import Experiment, storage
from mmjax.data.preprocessing import FILE, Preprocessing
from mmjax.data.targets import Category, MultiLabel
from mmjax.data.targets import Text as TextTarget
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.evaluation.evaluate import evaluate
from mmjax.export import archive, program
from mmjax.export.int8 import dequantised, quantised
from mmjax.runs import folder
from mmjax.runs.restore import restore


class Exported(NamedTuple):
    """What was written."""

    size: int  # bytes of the file
    difference: float  # of the program from the model, of the largest number
    metrics: dict[str, tuple[float, float]]  # float32 and int8, where they were measured


def export(
    run: str | Path,
    out: str | Path,
    *,
    int8: bool = False,
    split: str | None = "test",
    checkpoint: str | int = "last",
) -> Exported:
    """Write a run as one file that JAX alone runs; it was compared with the model before.

    Args:
        run: the folder of the run
        out: the file, of a name that ends in .zip
        int8: write kernels and tables as 8-bit integers, and measure what that costs
        split: of the run's data, that int8 is measured on; None: not measured
        checkpoint: as in `mmjax.restore`

    Raises:
        UserError: not a run, another file in the place of `out`, or the program is not equal to
            the model. Nothing is written then.
    """
    run, out = Path(run), Path(out)
    if out.suffix != ".zip":
        raise UserError(f"-o {out}: expected a name that ends in .zip")
    if out.exists():
        archive.read(out)
    experiment = folder.require(run)
    model, variables, preprocessing = restore(run, checkpoint)
    parameters = program.named(variables)
    metrics = {}
    if int8:
        parameters = quantised(parameters)
        if split is not None:
            rounded = program.unnamed(variables, jax.tree.map(np.asarray, dequantised(parameters)))
            exact = evaluate(run, split, checkpoint=checkpoint)
            both = exact, evaluate(run, split, checkpoint=checkpoint, variables=rounded)
            metrics = {name: (value, both[1][name]) for name, value in exact.items()}
    inputs = preprocessing({name: [None] for name in preprocessing.transforms})
    with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
        exported = program.lowered(model, variables, parameters, inputs)
        content = program.serialized(exported)
        again = program.deserialized(content)
        difference = program.require_equal(again, model, variables, parameters, inputs)
    arrays = {name: _form(x) for name, x in parameters.items()}
    entries = {
        archive.PROGRAM: content,
        archive.PARAMETERS: safetensors.numpy.save(parameters),
        "parameters.json": json.dumps(arrays, indent=2).encode(),
        **_readers(run, experiment, preprocessing),
    }
    manifest = {
        "versions": {name: importlib.metadata.version(name) for name in ("mmjax", "jax", "jaxlib")},
        "platforms": list(program.PLATFORMS),
        "calling_convention": exported.calling_convention_version,
        "inputs": {
            name: {part: _form(x, "batch") for part, x in parts.items()}
            for name, parts in program.plain(inputs).items()
        },
        "outputs": {name: _form(x) for name, x in _outputs(exported).items()},
        "classes": {
            name: list(kind.names)
            for name, kind in preprocessing.targets.items()
            if isinstance(kind, Category | MultiLabel)
        },
        "int8": {"split": split, "metrics": metrics} if int8 else None,
        "difference": difference,
    }
    archive.write(out, manifest, entries)
    return Exported(out.stat().st_size, difference, metrics)


def _form(x: Any, batch: str | None = None) -> dict[str, Any]:
    shape = [d if isinstance(d, int) else str(d) for d in x.shape]
    return {"shape": [batch, *shape[1:]] if batch else shape, "dtype": str(x.dtype)}


def _outputs(exported: jax.export.Exported) -> dict[str, Any]:
    tree = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {program.path_of(path): leaf for path, leaf in leaves}


def _readers(run: Path, experiment: Experiment, preprocessing: Preprocessing) -> dict[str, bytes]:
    """What turns raw examples into inputs, and outputs into answers.

    The configuration is what identifies the run: no folders of the machine it was trained on.
    """
    config = {"format": storage.FORMAT, **storage.identity(experiment)}
    found = {
        FILE: (run / FILE).read_bytes(),
        "config.json": json.dumps(config, indent=2).encode(),
    }
    for name, part in {**preprocessing.transforms, **preprocessing.targets}.items():
        if isinstance(part, TextTransform | TextTarget):
            found[f"tokenizer.{name}.json"] = part.tokenizer.encode()
        if isinstance(part, TextTransform):
            words = "".join(f"{word}\n" for word in part.vocabulary())
            found[f"vocabulary.{name}.txt"] = words.encode()
    return found
