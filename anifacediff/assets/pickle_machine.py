"""What the opcodes of a pickle do to a stack, for opcodes that can do no harm.

Python's own unpicklers call whatever ``find_class`` lets through, with arguments from the file, and allocate what the
file declares before they have seen it. This machine calls nothing that is named in the file: names go to a
:class:`Workshop`, and all it builds by itself are plain containers and scalars, no larger than the file makes them.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from anifacediff.assets.opcodes import Opcode, read_opcodes

_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_NEW: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}


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


@runtime_checkable
@runtime_checkable
class Workshop(Protocol):
    """What makes objects that are more than containers and scalars."""

    def check(self, name: Global) -> None:
        """Raise RefusedError for a name that is not on the list."""

    def make(self, name: Global, arguments: tuple[Any, ...]) -> object:
        """Make an object, or an Unfinished one if its state follows; raise RefusedError if the name makes none."""
        ...

    def beside(self, key: Any) -> object:
        """Make the object that lies beside the pickle under a key; raise RefusedError if there can be none."""
        ...


class Machine:
    """Runs one pickle.

    Args:
        workshop: makes the objects.
    """

    def __init__(self, workshop: Workshop):
        self._workshop = workshop
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what lies under each mark
        self._memo: dict[Any, Any] = {}
        self.position = 0

    def run(self, stream: io.BytesIO) -> object:
        """Run to the end and return what is left.

        Raises:
            RefusedError: at an opcode or name that is not supported.
            Exception: of whatever kind a damaged pickle leads to; ``position`` is then the byte of the opcode.
        """
        for opcode in read_opcodes(stream):
            self.position = opcode.position
            self._step(opcode)
        (result,) = _values(self._stack)
        return result

    def _step(self, opcode: Opcode) -> None:
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case name if name in _LITERALS:
                self._push(opcode.argument)
            case name if name in _NEW:
                self._push(_NEW[name]())
            case "MARK":
                self._below.append(self._stack)
                self._stack = []
            case "POP" if self._stack:
                self._stack.pop()
            case "POP" | "POP_MARK":
                self._since_mark()
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._remember(opcode.argument)
            case "MEMOIZE":
                self._remember(len(self._memo))
            case "GET" | "BINGET" | "LONG_BINGET":
                self._push(self._memo[opcode.argument])
            case _:
                self._combine(opcode)

    def _combine(self, opcode: Opcode) -> None:
        match opcode.name:
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._push(_packed(self._last(int(opcode.name[-1]))))
            case "TUPLE":
                self._push(_packed(self._since_mark()))
            case "LIST":
                self._push(_values(self._since_mark()))
            case "DICT":
                self._push(_pairs(self._since_mark()))
            case "FROZENSET":
                self._push(frozenset(_keys(self._since_mark())))
            case "APPEND":
                self._extend(self._last(1))
            case "APPENDS" | "ADDITEMS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._set_items(self._last(2))
            case "SETITEMS":
                self._set_items(self._since_mark())
            case "GLOBAL":
                self._push_name(*str(opcode.argument).split(" ", 1))
            case "STACK_GLOBAL":
                self._push_name(*self._last(2))
            case "REDUCE" | "NEWOBJ":
                self._make(*self._last(2))
            case "BUILD":
                self._build(*self._last(2))
            case "BINPERSID":
                self._push(self._workshop.beside(*self._last(1)))
            case name:
                raise RefusedError(f"the opcode {name}")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _last(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise ValueError("it takes more than there is")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _remember(self, number: Any) -> None:
        last = self._stack[-1]
        if isinstance(last, Unfinished):
            last.memo.append(number)
        self._memo[number] = last

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target += _values(items)
        elif isinstance(target, set):
            target.update(_keys(items))
        else:
            raise TypeError(f"it adds items to a {type(target).__name__}")

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise TypeError(f"it sets items of a {type(target).__name__}")
        target.update(_pairs(items))

    def _push_name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self._workshop.check(Global(module, name))
        self._push(Global(module, name))

    def _make(self, name: Any, arguments: Any) -> None:
        if not (isinstance(name, Global) and isinstance(arguments, tuple)):
            raise RefusedError(f"a call of a {type(name).__name__}")
        self._push(self._workshop.make(name, arguments))

    def _build(self, unfinished: Any, state: Any) -> None:
        if isinstance(unfinished, dict):  # attributes of an OrderedDict, such as versions, are of no use
            self._push(unfinished)
            return
        if not isinstance(unfinished, Unfinished):
            raise RefusedError(f"a state for a {type(unfinished).__name__}")
        built = unfinished.build(state)
        self._push(built)
        for number in unfinished.memo:
            self._memo[number] = built
        unfinished.memo.clear()


class _Arguments(tuple[Any, ...]):
    """A tuple that holds names, and so is no value itself."""


def _packed(items: list[Any]) -> tuple[Any, ...]:
    values = _values([item for item in items if not isinstance(item, Global)])
    return tuple(values) if len(values) == len(items) else _Arguments(items)


def _values(items: list[Any]) -> list[Any]:
    """Let finished objects pass."""
    for item in items:
        if isinstance(item, Global):
            raise RefusedError(f"{item} as a value")
        if isinstance(item, Unfinished | _Arguments):
            raise RefusedError("an object that is not made")
    return items


def _keys(items: list[Any]) -> list[Any]:
    """Let scalars pass, which are hashed in no time; tuples of tuples of the same tuples take forever."""
    for item in items:
        if not isinstance(item, str | bytes | int | float | np.generic | None):
            raise TypeError(f"a {type(item).__name__} where a key is needed")
    return items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(_keys(items[::2]), _values(items[1::2]), strict=True))
