"""Turns values of one modality into vectors, by a run of a dual encoder."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from mmjax.data.preprocessing import FILE, Preprocessing
from mmjax.data.tables.columns import Column
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import MissingFileError, UserError
from mmjax.evaluation.predictions import CHUNK, filled, table_columns
from mmjax.models import DualEncoder
from mmjax.models.dual_encoder import LARGEST
from mmjax.runs import folder
from mmjax.runs.fingerprint import fingerprints
from mmjax.runs.restore import restore
from mmjax.search.index import Index


class Embedder:
    """A restored dual encoder; the arguments are those of `mmjax.restore`.

    Attributes:
        run: the run's folder
        mark: a hash of parameters and preprocessing; vectors of different marks do not compare
        preprocessing: of the run
        columns: how a row of a table is read, where the run was trained on one
        scale: the learned factor of cosines
    """

    def __init__(
        self, run: str | Path, checkpoint: str = "last", *, register: Sequence[type] = ()
    ) -> None:
        model, self._variables, preprocessing = restore(run, checkpoint, register=register)
        if not isinstance(model, DualEncoder):
            raise UserError(
                f"{run}: expected a run of mmjax.models.DualEncoder, got one of "
                f"{type(model).__name__}, whose modalities have no common space"
            )
        self.run = Path(run)
        self.preprocessing: Preprocessing = preprocessing.using(model.encoders)
        self.columns: Mapping[str, Column] = table_columns(folder.require(self.run), preprocessing)
        marks = json.dumps(fingerprints(self._variables), sort_keys=True).encode()
        self.mark = hashlib.sha256(marks + (self.run / FILE).read_bytes()).hexdigest()
        log_scale = self._variables["params"].get("log_scale")
        self.scale = 1.0 if log_scale is None else min(float(np.exp(log_scale)), LARGEST)
        self._apply = jax.jit(
            lambda variables, inputs: model.apply(
                variables, inputs, train=False, method=DualEncoder.embed
            )
        )

    def __call__(self, modality: str, values: Sequence[Any]) -> Float[np.ndarray, "value dim"]:
        """Unit vectors, float32; zeros for None.

        Raises:
            UserError: an unknown modality, or a value that its transform refuses.
        """
        self.require(modality)
        transform = self.preprocessing.transforms[modality]
        found = [np.zeros((0, 0), np.float32)]
        with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
            for first in range(0, len(values), CHUNK):
                part = list(values[first : first + CHUNK])
                inputs = {modality: transform(filled(part))}
                vectors = self._apply(self._variables, inputs)[modality]
                found.append(np.asarray(vectors)[: len(part)])
        return np.concatenate(found[1:] or found)

    def require(self, modality: str) -> None:
        """A UserError unless the run has this modality."""
        if modality not in self.preprocessing.transforms:
            choices = ", ".join(sorted(self.preprocessing.transforms))
            raise UserError(f"{self.run.name}: no modality {modality!r}; choose from {choices}")

    def only(self, kind: type, flag: str | None = None) -> str:
        """The one modality with this kind of transform; `flag` is what takes any other."""
        transforms = self.preprocessing.transforms
        names = [name for name, transform in transforms.items() if isinstance(transform, kind)]
        if len(names) != 1:
            what = kind.__name__.removesuffix("Transform").lower()
            raise UserError(
                f"{self.run.name}: expected one {what} modality, got {', '.join(names) or 'none'}"
                + (f"; {flag} takes any of {', '.join(sorted(transforms))}" if flag else "")
            )
        return names[0]

    def read(self, modality: str, cell: Any, folder: Path = Path()) -> Any:
        """The value that a user wrote: a text, or a path relative to `folder`.

        Raises:
            UserError: it cannot be read, is empty, or is a text of unknown words only.
        """
        self.require(modality)
        transform = self.preprocessing.transforms[modality]
        if isinstance(transform, TextTransform) and not transform.known(str(cell)):
            raise UserError(
                f"{modality} {str(cell)!r:.200}: none of its words is known; the run knows those "
                f"of its vocabulary.{modality}.txt"
            )
        column = self.columns.get(modality)
        if isinstance(cell, Mapping) and isinstance(transform, TableTransform):
            value = cell
        elif column is not None:
            value = column.row({column.names(modality)[0]: cell}, folder)
        else:
            value = transform.read(cell, folder)
        transform([value])  # what it refuses must not end a batch of others
        return value


def of_index(
    index: Index, folder: Path, run: Path | None = None, checkpoint: str = "last"
) -> Embedder:
    """The run that made an index; UserError if it is not there, or is another one.

    Args:
        index: the opened index
        folder: its folder
        run: where the run is; None: where it was
        checkpoint: as in `mmjax.restore`
    """
    place = run or Path(os.path.normpath(os.path.join(os.path.realpath(folder), index.run)))
    if not place.is_dir():
        raise MissingFileError(f"{folder}: its run is not at {place}; --run says where it is")
    embedder = Embedder(place, checkpoint)
    if embedder.mark != index.mark:
        raise UserError(
            f"{folder}: another run or checkpoint than {place} made this index; name it with "
            "--run and --checkpoint, or index again"
        )
    return embedder
