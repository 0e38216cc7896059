"""Checks of the descriptions of files that users obtain themselves."""

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from anifacediff.assets.contracts import Asset, Commercial
from anifacediff.errors import AniFaceDiffError
from anifacediff.testing.checks import Case, CheckFunction, NotApplicable, raised, require


@dataclass(frozen=True)
class AssetCase(Case[Asset]):
    """An asset's description to check.

    Attributes:
        name: of the component, in reports.
        build: makes the description; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


class Hostile:
    """Unpickled by Python's own reader, it makes a folder: code has run.

    Args:
        marker: the folder.
    """

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.marker,)


def description_is_complete(case: AssetCase) -> None:
    """Name, purpose, source, licence and files are said, each in one line."""
    asset = case.made()
    said = {
        "name": asset.name,
        "purpose": asset.purpose,
        "source": asset.source,
        "licence.name": asset.licence.name,
        "licence.url": asset.licence.url,
    }
    for field, text in said.items():
        require(text.strip() and "\n" not in text, f"{field}: expected one line of text, found {text!r}.")
    require(
        re.fullmatch(r"[a-z0-9][a-z0-9._-]*", asset.name),
        f"name: {asset.name!r} becomes a folder and a word on the command line; use small letters, digits and dashes.",
    )
    require(asset.licence.url.startswith("http"), f"licence.url: {asset.licence.url!r} is no address of the terms.")
    require(
        asset.licence.commercial in get_args(Commercial),
        f"licence.commercial: expected one of {', '.join(get_args(Commercial))}, found {asset.licence.commercial!r}.",
    )


def files_can_be_verified(case: AssetCase) -> None:
    """There is at least one file; sizes are bounded, and checksums are those of SHA-256."""
    asset = case.made()
    require(asset.files, "files: name at least one, as its authors hand it out.")
    for file in asset.files:
        plain = file.name and "/" not in file.name and "\\" not in file.name
        require(plain, f"files: {file.name!r} is no plain file name.")
        require(file.most_bytes > 0, f"{file.name}: most_bytes must be positive, found {file.most_bytes}.")
        require(
            file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256),
            f"{file.name}: sha256 must be 64 small hexadecimal digits or None, found {file.sha256!r}.",
        )


def hostile_files_run_no_code(case: AssetCase) -> None:
    """A pickle that runs code when it is loaded, given as the files, is refused by a typed error that names one."""
    with TemporaryDirectory() as folder:
        marker = Path(folder, "code_ran")
        for protocol in (0, 2):
            problem = _converted(case, Path(folder), pickle.dumps(Hostile(marker), protocol=protocol))
            require(
                not marker.exists(),
                "convert() ran code that a pickle brought along! Read pickles with anifacediff.assets.pickles, torch "
                "files with weights_only=True.",
            )
            _require_named(case, "a hostile pickle", problem)


def damaged_files_are_refused(case: AssetCase) -> None:
    """Empty files and files of noise raise an error of the library that names a file."""
    for what, content in (("an empty file", b""), ("a file of noise", bytes(range(256)) * 8)):
        with TemporaryDirectory() as folder:
            _require_named(case, what, _converted(case, Path(folder), content))


CHECKS: tuple[CheckFunction, ...] = (
    description_is_complete,
    files_can_be_verified,
    hostile_files_run_no_code,
    damaged_files_are_refused,
)


def _converted(case: AssetCase, folder: Path, content: bytes) -> Exception | None:
    """What converting files with the given content raises."""
    asset = case.made()
    convert = asset.convert
    if convert is None:
        raise NotApplicable("the files are kept as they are, nothing reads them here")
    paths = tuple(folder / name for name in _names(asset))
    for path in paths:
        path.write_bytes(content)
    return raised(lambda: convert(paths))


def _names(asset: Asset) -> tuple[str, ...]:
    return tuple(file.name.replace("*", "x").replace("?", "x") for file in asset.files)


def _require_named(case: AssetCase, what: str, problem: Exception | None) -> None:
    require(
        isinstance(problem, AniFaceDiffError),
        f"{what} raised {'nothing' if problem is None else repr(problem)}; expected an AssetError that names the file.",
    )
    require(
        any(name in str(problem) for name in _names(case.made())),
        f"{what} raised {problem!r:.200}, which names no file; say which one is to be got again.",
    )
