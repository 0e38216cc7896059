"""Every check of asset descriptions catches one that is broken in its way."""

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken import complaint, conforms, names

from anifacediff.assets import Asset, AssetFile, Converted, Licence
from anifacediff.errors import AssetError
from anifacediff.testing import AssetCase
from anifacediff.testing.assets import CHECKS


def careful(paths: tuple[Path, ...]) -> Converted:
    (path,) = paths
    try:
        return Converted({"points": np.load(path, allow_pickle=False)})
    except (OSError, ValueError, EOFError) as error:
        raise AssetError(f"{path}: not a file of points ({error}).") from error


GOOD = Asset(
    "points-1",
    "a model of points",
    "https://example.org/points",
    Licence("CC BY 4.0", "yes", "https://creativecommons.org/licenses/by/4.0"),
    (AssetFile("points*.npy"),),
    careful,
)


def trusting(paths: tuple[Path, ...]) -> Converted:
    return Converted({"points": pickle.loads(paths[0].read_bytes())})


def untyped(paths: tuple[Path, ...]) -> Converted:
    return Converted({"points": np.load(paths[0], allow_pickle=False)})


def lenient(paths: tuple[Path, ...]) -> Converted:
    return careful(paths) if paths[0].stat().st_size > 4096 else Converted({})


def silent(paths: tuple[Path, ...]) -> Converted:
    raise AssetError("this is no model of points")


def changed(**fields: Any) -> Asset:
    return replace(GOOD, **fields)


BROKEN: list[tuple[str, Asset, str]] = [
    ("description_is_complete", changed(purpose=""), "purpose: expected one line"),
    ("description_is_complete", changed(name="Points 1"), "word on the command line"),
    ("description_is_complete", changed(licence=replace(GOOD.licence, url="see README")), "no address"),
    ("files_can_be_verified", changed(files=()), "name at least one"),
    ("files_can_be_verified", changed(files=(AssetFile("a/b.npy"),)), "no plain file name"),
    ("files_can_be_verified", changed(files=(AssetFile("b.npy", "abc"),)), "64 small hexadecimal"),
    ("files_can_be_verified", changed(files=(AssetFile("b.npy", most_bytes=0),)), "most_bytes must be positive"),
    ("hostile_files_run_no_code", changed(convert=trusting), "ran code"),
    ("hostile_files_run_no_code", changed(convert=untyped), "a hostile pickle raised .*expected an AssetError"),
    ("damaged_files_are_refused", changed(convert=lenient), "an empty file raised nothing"),
    ("damaged_files_are_refused", changed(convert=silent), "an empty file raised .*which names no file"),
]


def test_a_description_without_faults_conforms():
    assert conforms(AssetCase("points", lambda: GOOD)) == []
    kept = conforms(AssetCase("kept", lambda: changed(convert=None)))
    assert kept == ["hostile_files_run_no_code", "damaged_files_are_refused"]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "asset", "message"), BROKEN, ids=[f"{b[0]}-{i}" for i, b in enumerate(BROKEN)])
def test_a_broken_description_is_caught(name: str, asset: Asset, message: str):
    found = complaint(AssetCase("asset", lambda: asset), name)
    assert re.search(message, found), found
