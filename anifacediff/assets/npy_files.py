"""Arrays in numpy's own format, with the objects that some of them hold, read without running code."""

import io
import math
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
    stream = io.BytesIO(read_limited(Path(path), most_bytes))
    try:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read_header(stream)
        if not dtype.hasobject:
            return _numbers(stream.read(), shape, by_columns, dtype)
    except Exception as error:  # whatever a damaged header leads to
        raise AssetError(
            f"{path}: no readable .npy file, or damaged ({type(error).__name__}: {str(error)[:200]}). Get it again, "
            "and compare its size."
        ) from error
    found = unpickle(io.BytesIO(stream.read()), str(path))
    if not isinstance(found, np.ndarray):
        raise AssetError(f"{path}: damaged; it holds a {type(found).__name__}, and its header says an array.")
    return found


def _numbers(data: bytes, shape: tuple[int, ...], by_columns: bool, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of {dtype} of shape {shape}")
    array: NDArray[Any] = np.ndarray(shape, dtype, data, order="F" if by_columns else "C")
    return array.astype(dtype.newbyteorder("="))
