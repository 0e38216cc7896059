"""What a clip is made from, in one number."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from anifacediff.batch.rows import Row
from anifacediff.errors import MediaError
from anifacediff.provenance.files import fingerprint


def digest_of(row: Row, animator: str) -> str:
    """Digest what a clip is made from: the contents of its inputs, its settings, and who makes it.

    Args:
        row: names the inputs and the settings.
        animator: names the model, in any words.

    Raises:
        MediaError: if an input cannot be read.
    """
    inputs = [contents(path) for path in (row.reference, row.driving)]
    told = json.dumps([*inputs, row.seed, row.steps, row.preset, animator])
    return hashlib.sha256(told.encode()).hexdigest()


def contents(path: Path) -> str:
    """Fingerprint a file or folder, which is read once while nothing in it changes: one driver moves many avatars.

    Raises:
        MediaError: if it is missing or cannot be read.
    """
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        stamps = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}).") from error
    return _kept(path, stamps)


@lru_cache(maxsize=4096)
def _kept(path: Path, _stamps: tuple[tuple[str, int, int], ...]) -> str:
    return fingerprint(path)
