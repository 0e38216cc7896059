"""Which file something was."""

import hashlib
from pathlib import Path

from anifacediff.assets.sources import sha256_of
from anifacediff.errors import MediaError


def fingerprint(path: Path, pattern: str = "*") -> str:
    """Sha256 of a file; of a folder that of the list of its files, as ``sha256sum`` prints it.

    For a folder the same comes from ``find . -type f -name PATTERN -printf '%P\\0' | LC_ALL=C sort -z | xargs -0
    sha256sum | sha256sum``.

    Args:
        path: a file or a folder.
        pattern: which files of a folder count.

    Raises:
        MediaError: if it cannot be read.
    """
    try:
        if not path.is_dir():
            return sha256_of(path)
        files = {str(file.relative_to(path)): file for file in path.rglob(pattern) if file.is_file()}
        listed = "".join(f"{sha256_of(files[name])}  {name}\n" for name in sorted(files))
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}).") from error
    return hashlib.sha256(listed.encode()).hexdigest()
