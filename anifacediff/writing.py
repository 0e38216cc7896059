"""Files that appear whole or not at all, also where several processes write the same one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def appearing(path: Path) -> Generator[Path]:
    """Give a file to write beside ``path``, whose place it takes at the end; after an error nothing is left of it.

    Args:
        path: of the file, in a folder that there is.
    """
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
