"""MATLAB files of numbers, version 5 to 7.

Read here and not by scipy, whose reader makes room for whatever dimensions the file declares.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anifacediff.assets.pickles import read_limited
from anifacediff.errors import AssetError

MOST_BYTES = 2**30
_HEADER = 128
_MOST_UNPACKED = 100  # times the file; zeros could be packed to a thousandth
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_INT32, _UINT32, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHER_CLASSES = {
    **{1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"},
    **{16: "a function", 17: "an object"},
}
_LOGICAL, _COMPLEX = 0x200, 0x800


class _Element(NamedTuple):
    kind: int
    data: memoryview


def read_mat(
    path: str | PathLike[str], names: Sequence[str], *, most_bytes: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Read arrays of numbers from a MATLAB file.

    Args:
        path: the file.
        names: of the variables that are wanted.
        most_bytes: a larger file is refused, or one that unpacks to more, or to over a hundred times its size.

    Returns:
        For each name an array of at least two axes, as in MATLAB, of its type in MATLAB and with the machine's byte
        order; logical ones are bool.

    Raises:
        AssetError: if the file is missing, too large, damaged or of another version (v4, v7.3), a name is not in it, or
            what has the name is no array of real numbers.
    Source: MAT-File Format (The MathWorks), "Level 5 MAT-File Format".
    """
    content = memoryview(read_limited(Path(path), most_bytes))
    order = _byte_order(str(path), bytes(content[:_HEADER]))
    most_unpacked = min(most_bytes, _MOST_UNPACKED * len(content) + 2**20)
    try:
        found = {name: matrix for name, matrix in _matrices(content[_HEADER:], order, most_unpacked) if name in names}
        missing = [name for name in names if name not in found]
        arrays = {name: _array(name, found[name], order) for name in names if name in found}
    except (ValueError, TypeError, OverflowError, KeyError, struct.error, zlib.error, MemoryError) as error:
        raise AssetError(
            f"{path}: damaged, or no MATLAB file of arrays ({type(error).__name__}: {str(error)[:200]}). Get it again, "
            "and compare its size."
        ) from error
    if missing:
        raise AssetError(f"{path}: has no variable {missing[0]!r}; it is another file or version than is meant.")
    return arrays


def _byte_order(source: str, header: bytes) -> str:
    if header[:8] == b"\x89HDF\r\n\x1a\n" or header.startswith(b"MATLAB 7.3"):
        raise AssetError(
            f"{source}: is a MATLAB v7.3 (HDF5) file, which is not read. Save it with `-v7` in MATLAB, or with "
            "scipy.io.savemat."
        )
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or struct.unpack(f"{order}H", header[124:126])[0] != 0x100:
        raise AssetError(f"{source}: is no MATLAB file of version 5 to 7; it may be older, damaged or something else.")
    return order


def _matrices(content: memoryview, order: str, most_bytes: int) -> Iterator[tuple[str, list[_Element]]]:
    """Give every variable's name, and its parts: flags, dimensions, name, and what follows."""
    for outer in _elements(content, order):
        inner = [outer]
        if outer.kind == _COMPRESSED:
            unpacked = _unpacked(outer.data, most_bytes)
            most_bytes -= len(unpacked)
            inner = list(_elements(unpacked, order))
        for element in inner:
            if element.kind != _MATRIX:
                raise ValueError(f"an element of kind {element.kind} where a variable is expected")
            parts = list(_elements(element.data, order, most=4))
            if len(parts) > 2:
                yield bytes(parts[2].data).decode("latin1"), parts


def _elements(content: memoryview, order: str, most: int = 100_000) -> Iterator[_Element]:
    """Split tagged data; an element is never larger than what is left."""
    start = 0
    for _ in range(most):
        if start >= len(content):
            return
        kind, size = struct.unpack_from(f"{order}II", content, start)
        if kind >> 16:  # a small element: its kind and size share four bytes, and its data the next four
            kind, size, begin, end = kind & 0xFFFF, kind >> 16, start + 4, start + 8
        else:
            padding = 0 if kind == _COMPRESSED else -size % 8
            begin, end = start + 8, start + 8 + size + padding
        room = min(end, len(content)) - begin
        if size > room:
            raise ValueError(f"an element of {size} bytes where there are {room}")
        yield _Element(kind, content[begin : begin + size])
        start = end
    if most > 4 and start < len(content):
        raise ValueError(f"more than {most} elements")


def _unpacked(data: memoryview, most_bytes: int) -> memoryview:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(data, max(most_bytes, 1))
    if not stream.eof:
        raise ValueError(f"compressed data that is cut off, or takes more than {most_bytes} bytes")
    return memoryview(unpacked)


def _array(name: str, parts: list[_Element], order: str) -> NDArray[Any]:
    flags_part, shape_part, _, *rest = parts
    (flags,) = struct.unpack_from(f"{order}I", flags_part.data)
    kind = flags & 0xFF
    if kind not in _CLASSES or flags & _COMPLEX or not rest:
        what = "complex" if flags & _COMPLEX else _OTHER_CLASSES.get(kind, f"something of class {kind}")
        raise ValueError(f"{name!r} is {what}, not an array of real numbers")
    if (flags_part.kind, shape_part.kind) != (_UINT32, _INT32):
        raise ValueError(f"{name!r} has no flags or no dimensions")
    shape = tuple(int(size) for size in np.frombuffer(shape_part.data, f"{order}i4"))
    values = np.frombuffer(rest[0].data, order + _TYPES[rest[0].kind])
    if min(shape, default=-1) < 0 or math.prod(shape) != values.size:
        raise ValueError(f"{name!r} has {values.size} numbers, but the dimensions {shape}")
    if not np.can_cast(values.dtype, _CLASSES[kind]):
        raise ValueError(f"{name!r} has {values.dtype} where {_CLASSES[kind]} belongs")
    dtype = np.dtype(bool if flags & _LOGICAL else _CLASSES[kind])
    return values.astype(dtype).reshape(shape, order="F")
