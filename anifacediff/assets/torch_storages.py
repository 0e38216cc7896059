"""Tensors of torch inside other pickles, read without torch: a storage in torch's older format, and a view of it."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anifacediff.assets.pickle_machine import Machine
from anifacediff.assets.pickle_values import Global, RefusedError
from anifacediff.assets.torch_parts import LEGACY_MAGIC, check_view

_MOST_OPCODES = 1000  # of each pickle, which describes one storage in about forty
_DTYPES = {
    **{"torch.DoubleStorage": "<f8", "torch.FloatStorage": "<f4", "torch.HalfStorage": "<f2"},
    **{"torch.LongStorage": "<i8", "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2", "torch.CharStorage": "i1"},
    **{"torch.ByteStorage": "u1", "torch.BoolStorage": "?"},
}


class _StorageParts:
    """Lets one kind of object pass: the description of a storage."""

    def check(self, name: Global) -> None:
        """Raise RefusedError for anything but a class of storages."""
        if str(name) not in _DTYPES:
            raise RefusedError(str(name))

    def make(self, name: Global, arguments: tuple[Any, ...]) -> object:
        """Refuse: nothing is made."""
        raise RefusedError(f"a call of {name}")

    def beside(self, key: Any) -> np.dtype[Any]:
        """Tell the type of the storage that lies beside the pickle."""
        return np.dtype(_DTYPES[str(key[1])])


def read_storage(content: bytes) -> NDArray[Any]:
    """Read the numbers of one storage, as ``torch.storage._load_from_bytes`` does, which runs code.

    Args:
        content: what ``torch.save`` writes of a storage in its older format: five pickles, a count, and the numbers.

    Raises:
        RefusedError: if a pickle asks for anything else.
        ValueError: if the content is damaged or something else.
    """
    stream = io.BytesIO(content)
    magic, _, _, dtype, keys = (Machine(_StorageParts(), most_opcodes=_MOST_OPCODES).run(stream) for _ in range(5))
    if magic != LEGACY_MAGIC or not isinstance(dtype, np.dtype) or not isinstance(keys, list) or len(keys) != 1:
        raise ValueError("no storage of torch")
    (count,) = struct.unpack("<q", stream.read(8))
    data = stream.read()
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for a storage of {count} {dtype}")
    return np.frombuffer(data, dtype)


def view_of(storage: NDArray[Any], offset: Any, sizes: Any, strides: Any) -> NDArray[Any]:
    """Copy the numbers of a tensor out of its storage; raise ValueError if it does not lie within."""
    if storage.ndim != 1 or storage.dtype.hasobject:
        raise ValueError("a tensor of what is no storage")
    check_view(storage.size, offset, sizes, strides)
    steps = tuple(storage.itemsize * stride for stride in strides)
    return np.lib.stride_tricks.as_strided(storage[offset:], sizes, steps).copy()
