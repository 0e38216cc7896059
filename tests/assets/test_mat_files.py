import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from anifacediff.assets.mat_files import read_mat
from anifacediff.errors import AssetError

PACKED = pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
NUMBERS: dict[str, Any] = {
    "meanshape": np.random.default_rng(0).normal(size=(1, 12)).astype(np.float32),
    "idBase": np.random.default_rng(1).normal(size=(3, 4)),
    "tri": np.arange(12, dtype=np.int32).reshape(4, 3),
    "small": np.arange(3, dtype=np.uint8),
    "large": np.array([2**63 + 1, 5], np.uint64),
    "negative": np.array([-(2**62)], np.int64),
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "empty": np.zeros((0, 3)),
    "a_name_that_is_rather_long": 3.5,
}
OTHERS: dict[str, Any] = {
    "text": "abc",
    "cells": np.array([1, "x"], object),
    "record": {"field": 1},
    "sparse": scipy.sparse.csc_matrix(np.eye(2)),
    "waves": 1j * np.ones(2),
}


def write(path: Path, content: dict[str, Any], packed: bool) -> Path:
    scipy.io.savemat(path, content, do_compression=packed)
    return path


@PACKED
def test_numbers_are_those_of_scipy(tmp_path: Path, packed: bool):
    path = write(tmp_path / "BFM.mat", NUMBERS | OTHERS, packed)
    found, expected = (
        read_mat(path, list(NUMBERS)),
        scipy.io.loadmat(path, mat_dtype=True, variable_names=list(NUMBERS)),
    )
    assert list(found) == list(NUMBERS)
    for name, array in found.items():
        assert np.array_equal(array, expected[name])
        assert array.shape == expected[name].shape
        assert array.dtype == np.asarray(NUMBERS[name]).dtype
        assert array.flags.writeable


@PACKED
def test_logical_arrays(tmp_path: Path, packed: bool):
    path = write(tmp_path / "BFM.mat", {"mask": np.array([[True, False]])}, packed)
    found = read_mat(path, ["mask"])["mask"]
    assert found.dtype == bool
    assert found.tolist() == [[True, False]]


def test_doubles_that_matlab_kept_as_small_integers_in_either_byte_order(tmp_path: Path):
    """MATLAB stores whole numbers in fewer bytes; scipy reads such files, but writes none."""
    for order, mark in (("<", b"\x00\x01IM"), (">", b"\x01\x00MI")):
        parts = [
            (6, struct.pack(f"{order}II", 6, 0)),
            (5, struct.pack(f"{order}ii", 1, 3)),
            (1, b"n"),
            (4, struct.pack(f"{order}3H", 7, 0, 999)),
        ]
        body = b"".join(
            struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in parts
        )
        path = tmp_path / "n.mat"
        path.write_bytes(b"MATLAB 5.0".ljust(124) + mark + struct.pack(f"{order}II", 14, len(body)) + body)
        found = read_mat(path, ["n"])["n"]
        assert found.dtype == np.float64
        assert found.tolist() == scipy.io.loadmat(path)["n"].tolist() == [[7, 0, 999]]


@PACKED
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("text", "is text"),
        ("cells", "a cell array"),
        ("record", "a struct"),
        ("sparse", "a sparse matrix"),
        ("waves", "complex"),
        ("shapeBase", "no variable 'shapeBase'"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(tmp_path: Path, packed: bool, name: str, says: str):
    path = write(tmp_path / "BFM.mat", OTHERS, packed)
    with pytest.raises(AssetError, match=rf"BFM\.mat: .*{says}"):
        read_mat(path, [name])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), r"v7\.3 \(HDF5\).*-v7"),
        (b"\x89HDF\r\n\x1a\n" + bytes(400), r"v7\.3"),
        (bytes(400), "no MATLAB file of version 5"),
        (b"", "no MATLAB file"),
        (b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"\xff" * 16, "damaged"),
    ],
)
def test_other_versions_are_refused_by_name(tmp_path: Path, content: bytes, says: str):
    path = tmp_path / "BFM.mat"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=rf"BFM\.mat: .*{says}"):
        read_mat(path, ["a"])


def test_dimensions_are_held_against_the_data(tmp_path: Path):
    path = write(tmp_path / "BFM.mat", {"a": np.arange(4.0).reshape(2, 2)}, packed=False)
    content = path.read_bytes()
    sound = struct.pack("<ii", 2, 2)
    assert sound in content
    for wrong in ((2, 3), (2**31 - 1, 2**31 - 1), (-2, -2), (4, 0)):
        path.write_bytes(content.replace(sound, struct.pack("<ii", *wrong)))
        with pytest.raises(AssetError, match="dimensions"):
            read_mat(path, ["a"])


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path):
    packed = zlib.compress(bytes(2**24))
    path = tmp_path / "BFM.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(AssetError, match="takes more than 1048576 bytes"):
        read_mat(path, ["a"], most_bytes=2**20)


@PACKED
def test_truncated_files_are_named(tmp_path: Path, packed: bool):
    path = write(tmp_path / "BFM.mat", NUMBERS, packed)
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:size])
        with pytest.raises(AssetError, match=r"BFM\.mat"):
            read_mat(path, list(NUMBERS))


def test_a_missing_or_large_file_is_named(tmp_path: Path):
    with pytest.raises(AssetError, match=r"BFM\.mat: cannot be read"):
        read_mat(tmp_path / "BFM.mat", ["a"])
    path = write(tmp_path / "BFM.mat", {"a": np.zeros(100)}, packed=False)
    with pytest.raises(AssetError, match="larger than 500"):
        read_mat(path, ["a"], most_bytes=500)


def test_a_small_file_does_not_unpack_to_a_large_one(tmp_path: Path):
    path = write(tmp_path / "BFM.mat", {"zeros": np.zeros(2**22), "a": np.ones(2)}, packed=True)
    assert path.stat().st_size < 2**16
    with pytest.raises(AssetError, match=r"BFM\.mat: .*takes more than \d+ bytes"):
        read_mat(path, ("a",))
    path = write(path, {"zeros": np.zeros(2**16), "a": np.ones(2)}, packed=True)
    assert read_mat(path, ("a",))["a"].tolist() == [[1, 1]]
