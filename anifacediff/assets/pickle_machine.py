"""What the opcodes of a pickle do to a stack, for opcodes that can do no harm.

Python's own unpicklers call whatever ``find_class`` lets through, with arguments from the file, and allocate what the
file declares before they have seen it. This machine calls nothing that is named in the file: names go to a
:class:`Workshop`, and all it builds by itself are plain containers and scalars, no larger than the file makes them.
"""

import io
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from anifacediff.assets.opcodes import MOST_OPCODES, Opcode, read_opcodes
from anifacediff.assets.pickle_values import Global, RefusedError, Unfinished, keys, packed, pairs, values

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
        most_opcodes: a longer pickle is refused.
    """

    def __init__(self, workshop: Workshop, *, most_opcodes: int = MOST_OPCODES):
        self._most_opcodes = most_opcodes
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
        for opcode in read_opcodes(stream, self._most_opcodes):
            self.position = opcode.position
            self._step(opcode)
        (result,) = values(self._stack)
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
                self._push(packed(self._last(int(opcode.name[-1]))))
            case "TUPLE":
                self._push(packed(self._since_mark()))
            case "LIST":
                self._push(values(self._since_mark()))
            case "DICT":
                self._push(pairs(self._since_mark()))
            case "FROZENSET":
                self._push(frozenset(keys(self._since_mark())))
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
        (number,) = keys([number], beside=len(self._memo))
        last = self._stack[-1]
        if isinstance(last, Unfinished):
            last.memo.append(number)
        self._memo[number] = last

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target += values(items)
        elif isinstance(target, set):
            target.update(keys(items, beside=len(target)))
        else:
            raise TypeError(f"it adds items to a {type(target).__name__}")

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise TypeError(f"it sets items of a {type(target).__name__}")
        target.update(pairs(items, beside=len(target)))

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
