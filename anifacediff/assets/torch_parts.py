"""What a torch file will allocate, found out before it does."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anifacediff.assets.pickle_values import Global, RefusedError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""What files in torch's older format begin with."""

_ITEM_SIZES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage"), 1),
}
_CLASSES = {f"{place}.{name}": size for place in ("torch", "torch.cuda") for name, size in _ITEM_SIZES.items()}


@dataclass(frozen=True)
class _Storage:
    """Numbers of one type that lie beside the pickle."""

    count: int


@dataclass(frozen=True)
class _Value:
    """A tensor, size or device, of which nothing is kept."""


class TorchParts:
    """Takes the place of the objects of a torch file, and checks that they fit into it.

    torch makes room for whatever a file declares: ``weights_only`` keeps code from running, but not a tensor of four
    numbers from growing to four billion, nor ``bytearray(10**12)``.

    Args:
        check_storage: is given the key and the bytes of each storage, and raises ValueError if it is not in the file.
    """

    def __init__(self, check_storage: Callable[[str, int], None]):
        self._check_storage = check_storage
        self._calls: dict[str, Callable[..., object]] = {
            "collections.OrderedDict": self._dictionary,
            "collections.Counter": self._dictionary,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._value,
            "torch.Size": self._value,
            "torch.device": self._value,
        }

    def check(self, name: Global) -> None:
        """Raise RefusedError for a name that is not on the list."""
        if not (str(name) in self._calls or str(name) in _CLASSES):
            raise RefusedError(str(name))

    def make(self, name: Global, arguments: tuple[Any, ...]) -> object:
        """Check and replace an object."""
        call = self._calls.get(str(name))
        if call is None:
            raise RefusedError(f"a call of {name}")
        return call(*arguments)

    def beside(self, key: Any) -> _Storage:
        """Check that the storage of a tensor is in the file."""
        _, kind, number, _, count, *view = key
        if any(part is not None for part in view):
            raise RefusedError("a storage that is a part of another")
        self._check_storage(_of(number, str), _size(count) * _CLASSES[str(kind)])
        return _Storage(count)

    def _tensor(self, storage: Any, offset: Any, sizes: Any, strides: Any, *_: object) -> _Value:
        check_view(_of(storage, _Storage).count, offset, sizes, strides)
        return _Value()

    def _value(self, *_: object) -> _Value:
        return _Value()

    def _dictionary(self, *_: object) -> dict[str, Any]:
        return {}


def check_view(count: int, offset: Any, sizes: Any, strides: Any) -> None:
    """Raise ValueError if a tensor reaches beyond its storage of ``count`` numbers, or is larger.

    Args:
        count: of numbers in the storage.
        offset: of the tensor's first number.
        sizes: of the tensor's axes.
        strides: from one index to the next along each axis, in numbers.
    """
    first, size = _size(offset), math.prod(map(_size, sizes))
    steps = zip(map(_size, sizes), map(_size, strides), strict=True)
    last = first + sum((length - 1) * stride for length, stride in steps) if size else first - 1
    if last >= count or size > count:
        raise ValueError(f"a tensor of {size} numbers up to number {last} in a storage of {count}")


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} is needed")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a size that is {value!r:.50}")
    return value
