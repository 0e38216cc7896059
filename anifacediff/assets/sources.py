"""Files as their authors hand them out: which is which, and whether they are the ones that are meant."""

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from anifacediff.assets.contracts import Asset, AssetFile
from anifacediff.errors import AssetError


def matched(asset: Asset, sources: Sequence[Path] | Path) -> tuple[Path, ...]:
    """Find the path of each file of an asset, by its name.

    Args:
        asset: whose files are looked for.
        sources: files, or a folder that holds them. A single file may have any name if the asset has a single one.

    Returns:
        Paths in the order of ``asset.files``.

    Raises:
        AssetError: if a file is missing, several have its name, or one is not of the asset.
    """
    given = [sources] if isinstance(sources, Path) else list(sources)
    if len(given) == 1 and given[0].is_dir():
        among = sorted(path for path in given[0].iterdir() if path.is_file())
        return tuple(_the_one(asset, file, among) for file in asset.files)
    if len(given) == len(asset.files) == 1:
        return tuple(given)
    found = tuple(_the_one(asset, file, given) for file in asset.files)
    extra = [path.name for path in given if path not in found]
    if extra:
        raise AssetError(f"{asset.name} has no file {extra[0]!r}; it consists of {_names(asset)}.")
    return found


def check_source(file: AssetFile, path: Path) -> str:
    """Check that a file is the one that is meant, and give its sha256.

    Args:
        file: what is meant.
        path: what there is.

    Raises:
        AssetError: if the file is missing, too large, or has another sha256.
    """
    try:
        size = path.stat().st_size
        if size > file.most_bytes:
            raise AssetError(f"{path}: has {size} bytes, but {file.name} has at most {file.most_bytes}.")
        found = sha256_of(path)
    except OSError as error:
        if isinstance(error, AssetError):
            raise
        raise AssetError(f"{path}: cannot be read ({error.strerror}).") from error
    if file.sha256 is not None and found != file.sha256.lower():
        raise AssetError(
            f"{path}: has the sha256 {found}, but {file.name} has {file.sha256}. It is another version, or damaged: "
            "get it again."
        )
    return found


def sha256_of(path: Path) -> str:
    """Compute the sha256 of a file, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _the_one(asset: Asset, file: AssetFile, among: Sequence[Path]) -> Path:
    fitting = [path for path in among if fnmatch(path.name.lower(), file.name.lower())]
    if len(fitting) != 1:
        found = ", ".join(path.name for path in fitting or among) or "no files at all"
        count = "several files are" if fitting else "no file is"
        raise AssetError(f"{asset.name} consists of {_names(asset)}; {count} called {file.name!r} among {found:.300}.")
    return fitting[0]


def _names(asset: Asset) -> str:
    return ", ".join(file.name for file in asset.files)
