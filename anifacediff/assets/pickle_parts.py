"""The objects that a pickle may hold beside containers and scalars: arrays of numpy, and what holds or becomes some."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anifacediff.assets.pickle_values import Global, RefusedError, Unfinished, keys
from anifacediff.assets.sparse import SparseMatrix, compressed
from anifacediff.assets.torch_storages import read_storage, view_of

_DTYPE = re.compile(r"[biufc]\d{1,2}|[?O]|[SUO]\d{1,4}|b1")
_LAST_CHARACTER = 0x10FFFF
_MOST_ITEMS = 2**40
_CLASSES = {"numpy.ndarray", "__builtin__.object", "builtins.object"}


class Parts:
    """Makes the objects of one pickle, from nothing but its bytes.

    Args:
        most_bytes: that all of them may take together, counting one that is made twice twice.
    """

    def __init__(self, most_bytes: int):
        self._left = most_bytes
        self._calls: dict[str, Callable[..., object]] = {
            **{f"{core}.multiarray._reconstruct": self._empty_array for core in ("numpy.core", "numpy._core")},
            **{f"{core}.multiarray.scalar": self._scalar for core in ("numpy.core", "numpy._core")},
            **{f"{core}.numeric._frombuffer": self._from_buffer for core in ("numpy.core", "numpy._core")},
            **{f"{module}._reconstructor": self._instance for module in ("copy_reg", "copyreg")},
            **{
                f"{module}.{name}": self._set for module in ("__builtin__", "builtins") for name in ("set", "frozenset")
            },
            **{f"{module}.bytes": self._no_bytes for module in ("__builtin__", "builtins")},
            "numpy.dtype": self._dtype,
            "_codecs.encode": self._encoded,
            "collections.OrderedDict": self._ordered,
            "torch.storage._load_from_bytes": self._storage,
            "torch._utils._rebuild_tensor_v2": self._tensor,
        }
        sparse = {"csc": self._csc, "csr": self._csr, "coo": self._coo}
        self._states: dict[str, Callable[[dict[str, Any]], object]] = {
            "chumpy.ch.Ch": self._chumpy,
            "chumpy.reordering.Select": self._chumpy_selection,
            **{
                f"scipy.sparse.{folder}{layout}.{layout}_{kind}": build
                for layout, build in sparse.items()
                for folder in ("", "_")
                for kind in ("matrix", "array")
            },
        }

    def check(self, name: Global) -> None:
        """Raise RefusedError for a name that is not on the list."""
        if not (str(name) in _CLASSES or str(name) in self._calls or str(name) in self._states):
            raise RefusedError(str(name))

    def make(self, name: Global, arguments: tuple[Any, ...]) -> object:
        """Make an object, or an Unfinished one if its state follows; raise RefusedError if the name makes none."""
        call = self._calls.get(str(name))
        if call is not None:
            return call(*arguments)
        return self._instance(name, *arguments)

    def beside(self, key: Any) -> object:
        """Refuse: nothing lies beside a pickle of arrays."""
        raise RefusedError("an object that lies beside it")

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError("its objects take far more memory than the file is large")

    def _instance(self, name: Global, *arguments: Any) -> Unfinished:
        build = self._states.get(str(name))
        if build is None:
            raise RefusedError(f"a call of {name}")
        if arguments not in ((), (Global("__builtin__", "object"), None), (Global("builtins", "object"), None)):
            raise RefusedError(f"{name} with arguments")
        return Unfinished(build)

    # bytes and containers

    def _raw(self, data: Any) -> bytes | bytearray:
        """Bytes, which Python 2 wrote as text."""
        return self._encoded(data, "latin1") if isinstance(data, str) else _checked(data, bytes, bytearray)

    def _encoded(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise RefusedError(f"the encoding {encoding!r}")
        self._spend(len(text))
        return text.encode("latin1")

    def _no_bytes(self) -> bytes:
        return b""

    def _set(self, items: list[Any]) -> set[Any]:
        self._spend(64 * len(items))
        return set(keys(_checked(items, list)))

    def _ordered(self, items: list[list[Any]] | None = None) -> dict[str, Any]:
        pairs = _checked(items or [], list)
        self._spend(64 * len(pairs))
        return {_checked(key, str): value for key, value in pairs}

    # numpy

    def _dtype(self, code: str, *_: object) -> Unfinished:
        if not _DTYPE.fullmatch(code):
            raise RefusedError(f"arrays of dtype {code!r}")

        def build(state: tuple[Any, ...]) -> np.dtype[Any]:
            order = state[1]
            if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
                raise RefusedError("arrays with fields")
            return np.dtype(code).newbyteorder(order)

        return Unfinished(build)

    def _empty_array(self, kind: Global, *_: object) -> Unfinished:
        if str(kind) != "numpy.ndarray":
            raise RefusedError(f"an array that is a {kind}")
        return Unfinished(lambda state: self._array(state[-1], *state[-4:-1]))

    def _from_buffer(
        self, data: Any, dtype: Any, shape: Any, order: str, axes: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        array = self._array(data, shape, dtype, order == "F")
        return array if axes is None else array.transpose(axes)

    def _scalar(self, dtype: Any, data: Any) -> Any:
        if _checked(dtype, np.dtype).hasobject:
            raise RefusedError("a scalar that is an object")
        return self._array(data, (), dtype, False)[()]

    def _array(self, data: Any, shape: Any, dtype: Any, by_columns: object) -> NDArray[Any]:
        if not all(0 <= _checked(size, int) < _MOST_ITEMS for size in _checked(shape, tuple)):
            raise ValueError("an array of more items than fit into any memory, or fewer than none")
        count = math.prod(shape)
        if _checked(dtype, np.dtype).hasobject:
            return self._object_array(_checked(data, list), shape, count)
        raw = self._raw(data)
        if not dtype.itemsize or len(raw) != count * dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes for an array of {dtype} of shape {shape}")
        self._spend(len(raw))
        array: NDArray[Any] = np.ndarray(shape, dtype, raw, order="F" if by_columns else "C")
        if dtype.kind == "U" and count and np.frombuffer(raw, dtype.byteorder + "u4").max() > _LAST_CHARACTER:
            raise ValueError("text with characters that do not exist")
        return array.astype(dtype.newbyteorder("="))  # which also copies: the bytes may not be written to

    def _object_array(self, items: list[Any], shape: tuple[int, ...], count: int) -> NDArray[Any]:
        if len(items) != count:
            raise ValueError(f"{len(items)} objects for an array of shape {shape}")
        if any(isinstance(item, np.ndarray) and item.dtype.hasobject for item in items):
            raise ValueError("an array of objects in another one")  # numpy frees a deep nest of them by recursion
        self._spend(8 * count)
        return np.fromiter(items, np.dtype(object), count).reshape(shape)

    # torch, whose tensors become arrays

    def _storage(self, content: Any) -> NDArray[Any]:
        raw = bytes(self._raw(content))
        self._spend(len(raw))
        return read_storage(raw)

    def _tensor(self, storage: Any, offset: Any, sizes: Any, strides: Any, *_: object) -> NDArray[Any]:
        tensor = view_of(_checked(storage, np.ndarray), offset, sizes, strides)
        self._spend(tensor.nbytes)
        return tensor

    # what holds arrays

    def _numbers(self, array: Any) -> NDArray[Any]:
        self._spend(_checked(array, np.ndarray).nbytes)
        return array

    def _csc(self, state: dict[str, Any], *, by_rows: bool = False) -> SparseMatrix:
        starts, inner, values = (self._numbers(state[name]) for name in ("indptr", "indices", "data"))
        return compressed(_matrix_shape(state), starts, inner, values, by_rows=by_rows)

    def _csr(self, state: dict[str, Any]) -> SparseMatrix:
        return self._csc(state, by_rows=True)

    def _coo(self, state: dict[str, Any]) -> SparseMatrix:
        rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
        return SparseMatrix(
            _matrix_shape(state), self._numbers(rows), self._numbers(columns), self._numbers(state["data"])
        )

    def _chumpy(self, state: dict[str, Any]) -> NDArray[Any]:
        return _checked(state["x"], np.ndarray)

    def _chumpy_selection(self, state: dict[str, Any]) -> NDArray[Any]:
        """Some elements of an array, as its class computes them."""
        array = _checked(state["a"], np.ndarray)
        picked = self._numbers(_checked(state["idxs"], np.ndarray))
        self._spend(picked.size * array.itemsize)
        return array.ravel()[picked].reshape(state.get("preferred_shape", picked.shape))


def _checked(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"a {type(value).__name__} where a {kinds[0].__name__} is needed")
    return value


def _matrix_shape(state: dict[str, Any]) -> tuple[int, int]:
    rows, columns = state["_shape"] if "_shape" in state else state["shape"]
    if not 0 <= _checked(rows, int) < 2**31 > _checked(columns, int) >= 0:
        raise ValueError(f"a sparse matrix of {rows} rows and {columns} columns")
    return rows, columns
