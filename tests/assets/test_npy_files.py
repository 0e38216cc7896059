import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assets.mutate import touch

from anifacediff.assets.npy_files import read_npy, read_npz
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


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_wanted_arrays_of_an_archive(tmp_path: Path, save: Any):
    path, witness = tmp_path / "smirk.npz", tmp_path / "witness"
    save(path, jaw=np.eye(3), names=np.array([touch(witness)], object), eyes=np.arange(3))
    found = read_npz(path, ("jaw", "eyes", "absent"))
    assert sorted(found) == ["eyes", "jaw"]
    assert np.array_equal(found["jaw"], np.eye(3))
    with pytest.raises(AssetError, match=r"smirk\.npz: names: refused.*system"):
        read_npz(path, ("names",))
    assert not witness.exists()


def test_damaged_archives_are_named(tmp_path: Path):
    path = tmp_path / "smirk.npz"
    np.savez_compressed(path, jaw=np.random.default_rng(0).normal(size=(50, 50)))
    whole = path.read_bytes()
    spoilt = bytes(255 - byte if 500 <= place < 520 else byte for place, byte in enumerate(whole))
    for content in (b"", whole[:100], whole[:-30], spoilt):
        path.write_bytes(content)
        with pytest.raises(AssetError, match=r"smirk\.npz: no readable \.npz"):
            read_npz(path, ("jaw",))
    path.write_bytes(whole)
    with pytest.raises(AssetError, match="unpacks to more than 19999 bytes"):
        read_npz(path, ("jaw",), most_bytes=19999)


def test_an_archive_declares_no_more_than_it_holds(tmp_path: Path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**11, 50)})
    with zipfile.ZipFile(tmp_path / "smirk.npz", "w") as archive:
        archive.writestr("jaw.npy", header.getvalue())
    with pytest.raises(AssetError, match=r"smirk\.npz: jaw: .*0 bytes for an array"):
        read_npz(tmp_path / "smirk.npz", ("jaw",))
