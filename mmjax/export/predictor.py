"""Predictions by an exported model, with mmjax reading the raw examples."""

import json
import tempfile
from pathlib import Path

import jax
import safetensors.numpy

from mmjax.config import storage
from mmjax.data.preprocessing import FILE, Preprocessing
from mmjax.evaluation.predictions import Predictor
from mmjax.export import archive, program
from mmjax.types import Outputs


def predictor(path: str | Path) -> Predictor:
    """The exported model as a predictor: the answers are those of its run.

    Raises:
        UserError: no exported model, a damaged one, or one that this JAX does not read.
    """
    _, entries = archive.read(Path(path))
    exported = program.deserialized(entries[archive.PROGRAM])
    experiment = storage.from_json(json.loads(entries["config.json"]), f"{path}: config.json")
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / FILE).write_bytes(entries[FILE])
        preprocessing = Preprocessing.load(place)
    parameters = jax.device_put(safetensors.numpy.load(entries[archive.PARAMETERS]))
    call = jax.jit(exported.call)
    return Predictor.of_program(
        lambda inputs: Outputs(call(parameters, program.plain(inputs))), experiment, preprocessing
    )
