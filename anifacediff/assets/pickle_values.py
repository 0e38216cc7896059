"""What lies on the stack while a pickle is read, and what of it may become a part of the result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LARGE_KEY = 60  # bits; Python's hash of an integer is its remainder by 2^61 - 1
_LARGEST_KEY = 1000  # bits; the hash of an integer takes a time that grows with them, every time
_MOST_BESIDE_LARGE_KEYS = 100


class RefusedError(Exception):
    """The pickle asks for something that is not built."""


@dataclass(frozen=True)
class Global:
    """Something that the pickle calls by its name; it is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Unfinished:
    """An object whose state is still to come.

    Attributes:
        build: makes the object from its state.
        memo: the numbers under which the pickle remembers it.
    """

    build: Callable[[Any], object]
    memo: list[int] = field(default_factory=list[int])


class _Arguments(tuple[Any, ...]):
    """A tuple that holds names, and so is no value itself."""


def packed(items: list[Any]) -> tuple[Any, ...]:
    """Pack items into a tuple, which is none of the result if it holds names: the arguments of what is made."""
    finished = values([item for item in items if not isinstance(item, Global)])
    return tuple(finished) if len(finished) == len(items) else _Arguments(items)


def values(items: list[Any]) -> list[Any]:
    """Let finished objects pass."""
    for item in items:
        if isinstance(item, Global):
            raise RefusedError(f"{item} as a value")
        if isinstance(item, Unfinished | _Arguments):
            raise RefusedError("an object that is not made")
    return items


def keys(items: list[Any], *, beside: int = 0) -> list[Any]:
    """Let scalars pass, which are hashed in no time; tuples of tuples of the same tuples take forever.

    Nor do many large integers pass, or any complex number: those with one hash are easily found, and a dictionary of
    them takes a time that grows with the square of their number.

    Args:
        items: what is to be hashed.
        beside: how many keys there are already.
    """
    for item in items:
        if not isinstance(item, str | bytes | int | float | np.integer | np.floating | None):
            raise TypeError(f"a {type(item).__name__} where a key is needed")
        bits = int(item).bit_length() if isinstance(item, int | np.integer) else 0
        if bits > _LARGEST_KEY:
            raise ValueError(f"a key that is a number of {bits} bits")
        if bits > _LARGE_KEY and beside + len(items) > _MOST_BESIDE_LARGE_KEYS:
            raise ValueError("huge numbers among many keys")
    return items


def pairs(items: list[Any], *, beside: int = 0) -> dict[Any, Any]:
    """Make a dictionary of keys and values, one after the other, for one that has some ``beside`` them."""
    return dict(zip(keys(items[::2], beside=beside), values(items[1::2]), strict=True))
