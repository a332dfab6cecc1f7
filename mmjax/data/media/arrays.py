"""NumPy's .npy files, opened safely: nothing is unpickled, and no header claims memory.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import warnings

import numpy as np

from mmjax.errors import UserError

MAGIC = b"\x93NUMPY"


def decode_npy(content: bytes, expected: str) -> np.ndarray:
    """The array of numbers of a .npy file; a UserError begins with `expected`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers by Python 2, and damaged ones
            file = io.BytesIO(content)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(file)]
            shape, _, kind = read(file)
            size = math.prod(shape) * kind.itemsize
            if kind.kind not in "biuf" or size > len(content) - file.tell():
                raise UserError(f"{kind} {shape} in {len(content):,} bytes")
            return np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds of errors for a damaged header
        raise UserError(f"{expected}, got another or a damaged one: {error!s:.300}") from error
