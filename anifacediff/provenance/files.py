"""Which file something was."""

import hashlib
from functools import lru_cache
from pathlib import Path

from anifacediff.assets.sources import sha256_of
from anifacediff.errors import MediaError


def fingerprint(path: Path, pattern: str = "*") -> str:
    """Sha256 of a file; of a folder that of the list of its files, as ``sha256sum`` prints it.

    A file is read again only if its size or its time of change is another one. For a folder the same comes from
    ``find -L . -type f -name PATTERN -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum``.

    Args:
        path: a file or a folder.
        pattern: which files of a folder count.

    Raises:
        MediaError: if it cannot be read.
    """
    try:
        if not path.is_dir():
            return _digest(path)
        files = {str(file.relative_to(path)): file for file in path.rglob(pattern) if file.is_file()}
        listed = "".join(f"{_digest(files[name])}  {name}\n" for name in sorted(files))
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}).") from error
    return hashlib.sha256(listed.encode()).hexdigest()


def _digest(file: Path) -> str:
    status = file.stat()
    return _kept(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _kept(file: Path, _size: int, _changed: int) -> str:
    return sha256_of(file)
