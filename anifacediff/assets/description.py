"""What lies in the folder of an asset: a description in JSON, and tensors or the files themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from anifacediff.assets.contracts import Asset, Fact
from anifacediff.assets.places import DESCRIPTION, TENSORS, find
from anifacediff.assets.sources import sha256_of
from anifacediff.errors import AssetError

_MOST_BYTES = 2**24
_FACTS = (str, int, float, list)


@dataclass(frozen=True)
class Description:
    """The contents of ``asset.json``.

    Attributes:
        name: of the asset.
        version: of the package that wrote it.
        licence: its name, whether commercial use is allowed, and where it is.
        sources: the sha256 of the files that were given, by name.
        files: the sha256 of the files beside it, by name.
        facts: that the conversion found.
    """

    name: str
    version: str
    licence: Mapping[str, str]
    sources: Mapping[str, str]
    files: Mapping[str, str]
    facts: Mapping[str, Fact]


def read_description(folder: Path) -> Description:
    """Read what lies in the folder of an asset.

    Raises:
        AssetError: if it cannot be read, or is none.
    """
    path = folder / DESCRIPTION
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        if not _is_sound(found):
            raise ValueError("it is not as it was written")
        return Description(**found)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise AssetError(f"{path}: cannot be read ({error}). Run `anifacediff assets convert` again.") from error


def _is_sound(found: Any) -> bool:
    texts = [found["name"], found["version"]]
    for name in ("licence", "sources", "files"):
        texts += dict(found[name]).values()
    facts = dict(found["facts"]).values()
    return all(isinstance(text, str) for text in texts) and all(isinstance(fact, _FACTS) for fact in facts)


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a safetensors file of finite numbers.

    Raises:
        AssetError: if it is missing, damaged, or holds NaN or infinity.
    """
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"{path}: no readable safetensors file ({error}). Run `anifacediff assets convert` again."
        ) from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise AssetError(f"{path}: {name} holds NaN or infinity. Run `anifacediff assets convert` again.")
    return arrays


def check_asset(asset: Asset, folder: Path | None = None) -> Path:
    """Check that an asset is in place, as it was written, and made from files that are known; give its folder.

    Args:
        asset: what is checked.
        folder: of all assets; the one of :func:`~anifacediff.assets.places.assets_folder` if not given.

    Raises:
        AssetError: naming the first file that is missing, damaged, changed, or of another version.
    """
    place = find(asset, folder)
    description = read_description(place)
    for name, expected in description.files.items():
        _check_file(place, name, expected)
    if TENSORS in description.files:
        read_tensors(place / TENSORS)
    for file in asset.files:
        if file.sha256 is not None and file.sha256.lower() not in description.sources.values():
            raise AssetError(
                f"{place}: was made from another version of {file.name} than the one known ({file.sha256})."
            )
    return place


def _check_file(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise AssetError(f"{path}: is missing. Run `anifacediff assets convert` again.")
    found = sha256_of(path)
    if found != expected:
        raise AssetError(
            f"{path}: has the sha256 {found} instead of {expected}; it was changed or damaged. "
            "Run `anifacediff assets convert` again."
        )
