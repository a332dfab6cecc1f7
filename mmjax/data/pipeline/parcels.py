"""Batches from a worker process: arrays in a file in memory, which is faster than a pipe."""

import contextlib
import mmap
import os
import pickle
import tempfile
from typing import Any, NamedTuple

SMALL = 2**16  # bytes of arrays that a pipe carries as well
ALIGNED = 64  # bytes, so that JAX can use arrays without a copy


class Parcel(NamedTuple):
    """A value whose arrays are in a file."""

    content: bytes  # the pickled value, without them
    path: str
    spans: list[tuple[int, int]]  # where each array begins and ends in the file


def folder() -> str:
    """A new folder, in memory where the system has such a place."""
    place = "/dev/shm"
    return tempfile.mkdtemp(prefix="mmjax-", dir=place if os.access(place, os.W_OK) else None)


def pack(value: Any, folder: str) -> Any:
    """A parcel, in a worker; the value itself where it is small or the folder is full."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    arrays = [buffer.raw() for buffer in buffers]
    if sum(array.nbytes for array in arrays) < SMALL:
        return value
    spans: list[tuple[int, int]] = []
    path = ""
    try:
        number, path = tempfile.mkstemp(dir=folder)
        with open(number, "wb") as file:
            for array in arrays:
                begin = -(-file.tell() // ALIGNED) * ALIGNED
                file.seek(begin)
                file.write(array)
                spans.append((begin, begin + array.nbytes))
    except OSError:  # in a container this folder may be small
        with contextlib.suppress(OSError):
            os.unlink(path)
        return value
    return Parcel(content, path, spans)


def unpack(value: Any) -> Any:
    """The value of `pack`; its arrays are the file's pages, which are freed with them."""
    if not isinstance(value, Parcel):
        return value
    with open(value.path, "r+b") as file:
        pages = memoryview(mmap.mmap(file.fileno(), 0))
    with contextlib.suppress(OSError):  # Windows deletes no file in use; its folder goes later
        os.unlink(value.path)
    # Of a worker of this process, through the executor's pipe, which unpickles what it carries too.
    return pickle.loads(value.content, buffers=[pages[begin:end] for begin, end in value.spans])
