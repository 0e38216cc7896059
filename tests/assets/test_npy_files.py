from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assets.mutate import touch

from anifacediff.assets.npy_files import read_npy
from anifacediff.errors import AssetError


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.eye(3, 2)),
        np.array(3, ">i4"),
        np.zeros((0, 2)),
        np.array([True]),
    ],
)
def test_arrays_are_those_of_numpy(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    found = read_npy(tmp_path / "a.npy")
    assert np.array_equal(found, array)
    assert (found.shape, found.dtype) == (array.shape, array.dtype.newbyteorder("="))


def test_a_dictionary_of_arrays(tmp_path: Path):
    content = {"static_lmk_faces_idx": np.arange(51), "dynamic_lmk_bary_coords": [np.eye(3), np.ones((2, 3))]}
    path = tmp_path / "landmark_embedding.npy"
    np.save(path, np.array(content, object), allow_pickle=True)
    found: Any = read_npy(path).item()
    assert found.keys() == content.keys()
    assert np.array_equal(found["static_lmk_faces_idx"], np.arange(51))
    assert np.array_equal(found["dynamic_lmk_bary_coords"][1], np.ones((2, 3)))


def test_objects_run_nothing(tmp_path: Path):
    path, witness = tmp_path / "landmark_embedding.npy", tmp_path / "witness"
    np.save(path, np.array([touch(witness)], object), allow_pickle=True)
    with pytest.raises(AssetError, match=r"landmark_embedding\.npy: refused.*posix\.system"):
        read_npy(path)
    assert not witness.exists()


def test_damaged_files_are_named(tmp_path: Path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0))
    content = path.read_bytes()
    damaged = [content[:size] for size in range(0, len(content), 9)]
    damaged += [content + b"x", content.replace(b"(6,)", b"(7,)"), content.replace(b"<f8", b"<M8"), b"PK\x03\x04"]
    for wrong in damaged:
        path.write_bytes(wrong)
        with pytest.raises(AssetError, match=r"a\.npy"):
            read_npy(path)
    with pytest.raises(AssetError, match=r"none\.npy"):
        read_npy(tmp_path / "none.npy")
