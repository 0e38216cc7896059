"""Pickles of arrays, read without running code."""

import io
from os import PathLike
from pathlib import Path

from anifacediff.assets.pickle_machine import Machine
from anifacediff.assets.pickle_parts import Parts
from anifacediff.assets.pickle_values import RefusedError
from anifacediff.assets.unfolding import unfolded_size
from anifacediff.errors import AssetError

MOST_BYTES = 2**30


def read_pickle(path: str | PathLike[str], *, most_bytes: int = MOST_BYTES) -> object:
    """Read a pickle of any protocol that holds arrays, and nothing that needs more than arrays.

    Lists, tuples, dictionaries, sets, text, bytes and numbers are as they were; text of Python 2 is taken for latin1.
    Arrays and scalars of numpy have the machine's byte order. Sparse matrices of scipy become
    :class:`~anifacediff.assets.sparse.SparseMatrix`; arrays of chumpy become arrays of numpy. Neither scipy nor chumpy
    is imported, and nothing that the file names is called.

    Args:
        path: the file.
        most_bytes: a larger file is refused; what is read from it takes a small multiple of its size.

    Raises:
        AssetError: if the file is missing, too large or damaged, or asks for anything else, which is named.
    """
    content = read_limited(Path(path), most_bytes)
    return unpickle(io.BytesIO(content), str(path))


def unpickle(stream: io.BytesIO, source: str) -> object:
    """Read a pickle that ends where the stream ends, as :func:`read_pickle` does.

    Args:
        stream: at the pickle's first byte.
        source: the file's name, for the message.

    Raises:
        AssetError: if it is damaged or asks for more than arrays.
    """
    size = stream.getbuffer().nbytes
    most = 4 * size + 2**24
    machine = Machine(Parts(most_bytes=most))
    try:
        result = machine.run(stream)
        if unfolded_size(result) > most:
            raise ValueError("it holds the same things again and again")
    except RefusedError as error:
        raise AssetError(
            f"{source}: refused at byte {machine.position}, because it asks for {str(error)[:200]}. Files of this kind "
            "hold arrays and nothing else, so this one may be an attack; nothing of it was run. Get it from "
            "its authors."
        ) from None
    except Exception as error:  # whatever a damaged stream leads to
        raise AssetError(
            f"{source}: no readable pickle, or damaged, at byte {machine.position} of {size} "
            f"({type(error).__name__}: {str(error)[:200]}). Get it again, and compare its size."
        ) from error
    if stream.tell() != size:
        raise AssetError(f"{source}: goes on after its end, at byte {stream.tell()} of {size}; it is another format.")
    return result


def read_limited(path: Path, most_bytes: int) -> bytes:
    """Read a file that is not too large.

    Args:
        path: the file.
        most_bytes: a larger file is refused.

    Raises:
        AssetError: if it is missing, not readable, or larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise AssetError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(content) > most_bytes:
        raise AssetError(f"{path}: is larger than {most_bytes} bytes, and so not the file that is meant.")
    return content
