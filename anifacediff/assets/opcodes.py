"""The opcodes of a pickle, one after another, without acting on them."""

import codecs
import io
import pickletools
from collections.abc import Iterator
from typing import NamedTuple

MOST_OPCODES = 1_000_000

_INFOS = {info.code.encode("latin1"): info for info in pickletools.opcodes}


class Opcode(NamedTuple):
    """One opcode.

    Attributes:
        position: of its first byte.
        name: as in :mod:`pickletools`.
        argument: that stands in the stream; None if it takes none.
    """

    position: int
    name: str
    argument: object


def read_opcodes(stream: io.BytesIO, most: int = MOST_OPCODES) -> Iterator[Opcode]:
    """Read opcodes up to and including ``STOP``; an argument is never larger than what is left of the stream.

    Args:
        stream: at the first opcode; afterwards behind ``STOP``.
        most: of opcodes.

    Raises:
        ValueError: if the stream ends too soon, holds what is no opcode, or is longer than ``most``.
    """
    for _ in range(most):
        position = stream.tell()
        code = stream.read(1)
        info = _INFOS.get(code)
        if info is None:
            raise ValueError(f"there is no opcode {code!r}" if code else "it ends too soon")
        opcode = Opcode(position, info.name, _argument(info, stream))
        yield opcode
        if opcode.name == "STOP":
            return
    raise ValueError(f"it has more than {most} opcodes")


def _argument(info: pickletools.OpcodeInfo, stream: io.BytesIO) -> object:
    if info.name == "STRING":  # pickletools takes it for ASCII, but Python 2 wrote bytes
        return codecs.escape_decode(stream.readline().strip()[1:-1])[0].decode("latin1")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    return None if info.arg is None else info.arg.reader(stream)
