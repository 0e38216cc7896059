"""Assets put in place: foreign files become tensors and facts, whole or not at all, and are read back strictly."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from anifacediff.assets.contracts import Asset, Converted, Fact
from anifacediff.assets.description import Description, read_description, read_tensors
from anifacediff.assets.places import DESCRIPTION, TENSORS, asset_folder, assets_folder, find
from anifacediff.assets.sources import check_source, matched, sha256_of
from anifacediff.errors import AniFaceDiffError, AssetError, OutputError
from anifacediff.shapes import Tensor

__all__ = ["Stored", "assets_folder", "find", "load", "place"]


@dataclass(frozen=True)
class Stored:
    """A converted asset, as it was read.

    Attributes:
        tensors: by name.
        facts: by name.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Fact]


def place(asset: Asset, sources: Sequence[Path] | Path, folder: Path | None = None) -> Path:
    """Check and convert the files of an asset, and put the result in place of an earlier one.

    Args:
        asset: what the files are.
        sources: the files, or a folder that holds them.
        folder: of all assets; :func:`assets_folder` if not given.

    Returns:
        The asset's folder: ``model.safetensors`` (or the files themselves, if the asset is not converted) and
        ``asset.json``.

    Raises:
        AssetError: if a file is missing, or not the one that is meant, or not what its name says.
        OutputError: if the result cannot be written, or something else is in its place.
    """
    target = asset_folder(asset, folder)
    if target.exists() and not (target / DESCRIPTION).is_file():
        raise OutputError(f"{target}: is in the way, and holds no {DESCRIPTION}; move it, or choose another folder.")
    paths = matched(asset, sources)
    digests = [check_source(file, path) for file, path in zip(asset.files, paths, strict=True)]
    converted = None if asset.convert is None else _converted(asset, asset.convert, paths)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=target.parent) as scratch:
            partial = Path(scratch) / "new"
            partial.mkdir()
            _write(partial, asset, paths, digests, converted)
            _swap(partial, target, Path(scratch) / "old")
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}).") from error
    return target


def load(asset: Asset, shapes: Mapping[str, tuple[int | None, ...]], folder: Path | None = None) -> Stored:
    """Read a converted asset.

    Args:
        asset: what is read.
        shapes: of every tensor, by name; None accepts any size.
        folder: of all assets; :func:`assets_folder` if not given.

    Raises:
        AssetError: if it is not in place or damaged, a tensor is missing, unexpected or of another shape, or a number
            is not finite.
    """
    path = find(asset, folder)
    facts = read_description(path).facts
    arrays = read_tensors(path / TENSORS)
    problems = [
        *(f"{name} is missing" for name in sorted(shapes.keys() - arrays.keys())),
        *(f"{name} is unexpected" for name in sorted(arrays.keys() - shapes.keys())),
        *(
            f"{name} has shape {arrays[name].shape} instead of {wanted}"
            for name, wanted in shapes.items()
            if name in arrays and not _fits(arrays[name].shape, wanted)
        ),
    ]
    if problems:
        raise AssetError(
            f"{path / TENSORS}: does not fit {asset.name}: {'; '.join(problems[:5])}. It may come from files of "
            f"another model or an older version: run `anifacediff assets convert {asset.name}` again."
        )
    return Stored({name: torch.from_numpy(array) for name, array in arrays.items()}, facts)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` in the place of ``target``, which becomes ``old`` if it exists."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size is None or size == actual for size, actual in zip(wanted, found, strict=True)
    )


def _converted(asset: Asset, convert: Callable[[tuple[Path, ...]], Converted], paths: tuple[Path, ...]) -> Converted:
    try:
        converted = convert(paths)
    except (AniFaceDiffError, MemoryError):
        raise
    except Exception as error:  # whatever a file of another layout makes the conversion stumble over
        raise AssetError(
            f"{', '.join(map(str, paths))}: not laid out like the files of {asset.name} "
            f"({type(error).__name__}: {str(error)[:200]}). Get them from {asset.source}."
        ) from error
    for name, array in converted.tensors.items():
        if array.dtype.kind not in "biuf":
            raise AssetError(f"{asset.name}: {name} holds {array.dtype} instead of numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise AssetError(f"{asset.name}: {name} holds NaN or infinity; get the file again.")
    return converted


def _write(
    folder: Path, asset: Asset, paths: Sequence[Path], digests: Sequence[str], converted: Converted | None
) -> None:
    if converted is None:
        names = [path.name if "*" in file.name else file.name for file, path in zip(asset.files, paths, strict=True)]
        for path, name in zip(paths, names, strict=True):
            shutil.copyfile(path, folder / name)
    else:
        names = [TENSORS]
        save_file({name: _native(array) for name, array in converted.tensors.items()}, folder / TENSORS)
    description = Description(
        asset.name,
        metadata.version("anifacediff"),
        asdict(asset.licence),
        sources={path.name: digest for path, digest in zip(paths, digests, strict=True)},
        files={name: sha256_of(folder / name) for name in names},
        facts={} if converted is None else dict(converted.facts),
    )
    (folder / DESCRIPTION).write_text(json.dumps(asdict(description), indent=2) + "\n")


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """Give the values in rows and in the machine's byte order, which safetensors takes for granted."""
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")
