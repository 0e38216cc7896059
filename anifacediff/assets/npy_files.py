"""Arrays in numpy's own format, with the objects that some of them hold, read without running code."""

import io
import math
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from anifacediff.assets.pickles import MOST_BYTES, read_limited, unpickle
from anifacediff.errors import AssetError


def read_npy(path: str | PathLike[str], *, most_bytes: int = MOST_BYTES) -> NDArray[Any]:
    """Read a ``.npy`` file; an array of objects holds a pickle, which is read as by ``read_pickle``.

    A dictionary that was saved with ``numpy.save`` is ``read_npy(path).item()``.

    Args:
        path: the file.
        most_bytes: a larger file is refused.

    Raises:
        AssetError: if the file is missing, too large or damaged, or holds anything but arrays.
    """
    return _array(read_limited(Path(path), most_bytes), str(path))


def read_npz(
    path: str | PathLike[str], names: Sequence[str], *, most_bytes: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Read arrays of a ``.npz`` file, each as :func:`read_npy` does.

    Args:
        path: the file.
        names: of the arrays that are wanted; those that it lacks are left out.
        most_bytes: a larger file is refused, or one whose arrays unpack to more.

    Raises:
        AssetError: if the file is missing, too large or damaged, or a wanted array holds anything but arrays.
    """
    stream = io.BytesIO(read_limited(Path(path), most_bytes))
    try:
        with zipfile.ZipFile(stream) as archive:
            found = {name: archive.getinfo(f"{name}.npy") for name in names if f"{name}.npy" in archive.namelist()}
            if sum(entry.file_size for entry in found.values()) > most_bytes:
                raise ValueError(f"it unpacks to more than {most_bytes} bytes")
            contents = {name: archive.read(entry) for name, entry in found.items()}  # no more than file_size of each
    except Exception as error:  # whatever a damaged archive leads to
        raise _damaged(str(path), ".npz", error) from error
    return {name: _array(content, f"{path}: {name}") for name, content in contents.items()}


def _array(content: bytes, source: str) -> NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read_header(stream)
        if not dtype.hasobject:
            return _numbers(stream.read(), shape, by_columns, dtype)
    except Exception as error:  # whatever a damaged header leads to
        raise _damaged(source, ".npy", error) from error
    found = unpickle(io.BytesIO(stream.read()), source)
    if not isinstance(found, np.ndarray):
        raise AssetError(f"{source}: damaged; it holds a {type(found).__name__}, and its header says an array.")
    return found


def _damaged(source: str, kind: str, error: Exception) -> AssetError:
    return AssetError(
        f"{source}: no readable {kind} file, or damaged ({type(error).__name__}: {str(error)[:200]}). Get it again, "
        "and compare its size."
    )


def _numbers(data: bytes, shape: tuple[int, ...], by_columns: bool, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of {dtype} of shape {shape}")
    array: NDArray[Any] = np.ndarray(shape, dtype, data, order="F" if by_columns else "C")
    return array.astype(dtype.newbyteorder("="))
