"""How large a value is once everything that it holds several times is written out."""

from typing import Any

import numpy as np

from anifacediff.assets.sparse import SparseMatrix


def unfolded_size(value: object) -> int:
    """Count what a value made of containers and arrays holds, as often as it holds it.

    Thirty lists, each of which holds the one before twice, are a billion numbers to whoever makes an array of them.

    Args:
        value: nested lists, tuples, dictionaries and arrays.

    Returns:
        The count of numbers, characters and containers.

    Raises:
        ValueError: if something holds itself.
    """
    sizes: dict[int, int | None] = {}  # by identity; None while what lies within is counted
    waiting: list[Any] = [value]
    while waiting:
        item = waiting[-1]
        inner = _inner(item)
        if sizes.get(id(item), 0) is None:
            sizes[id(item)] = _own_size(item) + sum(sizes[id(part)] or 0 for part in inner)
        if id(item) in sizes:
            waiting.pop()
            continue
        sizes[id(item)] = None
        if any(sizes.get(id(part), 0) is None for part in inner):
            raise ValueError("something that holds itself")
        waiting += [part for part in inner if id(part) not in sizes]
    return sizes[id(value)] or 0


def _inner(item: Any) -> list[Any]:
    if isinstance(item, np.ndarray) and item.dtype.hasobject:
        return item.ravel().tolist()
    if isinstance(item, dict):
        return list(item.values())
    return list(item) if isinstance(item, list | tuple) else []


def _own_size(item: Any) -> int:
    if isinstance(item, np.ndarray):
        return 1 + item.size
    if isinstance(item, SparseMatrix):
        return 1 + item.values.size
    return 1 + len(item) if isinstance(item, str | bytes | bytearray | dict | set | frozenset) else 1
