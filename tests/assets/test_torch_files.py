import io
import pickle
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from assets.mutate import Call, touch

from anifacediff.assets.torch_files import read_torch
from anifacediff.errors import AssetError

ARCHIVE = pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])


def save(path: Path, content: object, archive: bool) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


def with_pickle(path: Path, change: Any) -> Path:
    """Replace the pickle of an archive by what ``change`` makes of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry.filename.endswith("data.pkl") else content)
    path.write_bytes(buffer.getvalue())
    return path


@ARCHIVE
def test_what_checkpoints_hold(tmp_path: Path, archive: bool):
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(4, 3)).sum().backward()
    adam.step()
    base = torch.arange(24.0).reshape(6, 4)
    content: dict[str, Any] = {
        "net": net.state_dict(),
        "adam": adam.state_dict(),
        "part": base[2:4].T,
        "empty": torch.zeros(0, 3),
        "single": torch.tensor(3),
        "kinds": [base.to(kind) for kind in (torch.float16, torch.bfloat16, torch.int16, torch.uint8, torch.bool)],
        "parameter": torch.nn.Parameter(base),
        "size": torch.Size([2]),
        "milestones": Counter([3]),
        "epoch": 20,
    }
    path = save(tmp_path / "deca_model.tar", content, archive)
    found: Any = read_torch(path)
    expected = torch.load(path, weights_only=True)
    assert list(found) == list(content)
    for name in ("part", "empty", "single", "parameter"):
        assert torch.equal(found[name], expected[name])
    for ours, theirs in zip(found["kinds"], content["kinds"], strict=True):
        assert torch.equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert found["net"].keys() == net.state_dict().keys()
    assert torch.equal(found["net"]["0.weight"], net.state_dict()["0.weight"])
    assert (found["epoch"], found["milestones"]) == (20, Counter([3]))


@ARCHIVE
def test_a_name_that_is_not_on_the_list_is_shown_and_nothing_runs(tmp_path: Path, archive: bool):
    witness = tmp_path / "witness"
    path = save(tmp_path / "net.pth", {"state": torch.ones(2), "extra": touch(witness)}, archive)
    with pytest.raises(AssetError, match=r"net\.pth: refused.*posix\.system.*nothing of it was run"):
        read_torch(path)
    assert not witness.exists()
    with pytest.raises(AssetError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_torch(save(path, {"net": torch.nn.Linear(2, 2)}, archive))


@ARCHIVE
def test_what_torch_allows_and_takes_memory_is_refused(tmp_path: Path, archive: bool):
    with pytest.raises(AssetError, match="bytearray"):
        read_torch(save(tmp_path / "net.pth", {"big": Call(bytearray, 2**40)}, archive))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"K\x04\x85q\x08K\x01\x85", b"J\x00\x00\x00\x40\x85q\x08K\x01\x85"),  # a size that is not there
        (b"K\x04\x85q\x08K\x01\x85", b"J\x00\x00\x00\x40\x85q\x08K\x00\x85"),  # the same number again and again
        (b"K\x04\x85q\x08K\x01\x85", b"J\xff\xff\xff\xff\x85q\x08K\x01\x85"),
        (b"K\x00K\x04\x85", b"K\x02K\x04\x85"),  # beyond the end
        (b"K\x04tq\x07Q", b"J\x00\x00\x00\x40tq\x07Q"),  # a storage that is not there
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009"),
        (b"ctorch\nFloatStorage", b"ctorch\nDoubleStorage"),
        (b"ctorch\nFloatStorage", b"ctorch\nUntypedStorage"),
    ],
)
def test_tensors_lie_within_what_the_file_holds(tmp_path: Path, old: bytes, new: bytes):
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=True)

    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    with pytest.raises(AssetError, match=r"net\.pth: (no readable|refused)"):
        read_torch(with_pickle(path, change))


def test_a_legacy_storage_is_not_larger_than_the_file(tmp_path: Path):
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=False)
    content = path.read_bytes()
    assert b"K\x04Nt" in content
    path.write_bytes(content.replace(b"K\x04Nt", b"J\x00\x00\x00\x40Nt"))
    with pytest.raises(AssetError, match="not in the file"):
        read_torch(path)


def test_a_compressed_archive_is_refused(tmp_path: Path):
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(AssetError, match="compressed"):
        read_torch(path)


@pytest.mark.parametrize("name", ["DATA.PKL", "Data.pkl"])
def test_torch_finds_no_other_pickle_than_the_one_that_was_checked(tmp_path: Path, name: str):
    """It looks for ``data.pkl`` in any case; with ``weights_only`` it makes ``bytearray``, of any size."""
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/{name}", pickle.dumps({"a": Call(bytearray, 2**10)}, 2))
    assert isinstance(torch.load(path, weights_only=True)["a"], bytearray)
    with pytest.raises(AssetError, match="two parts of one name"):
        read_torch(path)


def test_there_is_one_pickle_in_all_folders(tmp_path: Path):
    """torch takes the folder of the first part, and the name in any case."""
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename.replace("net/", "first/").replace("data.pkl", "DATA.PKL"), old.read(entry))
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(AssetError, match="ValueError"):
        read_torch(path)


def test_an_archive_is_all_of_the_file(tmp_path: Path):
    path = save(tmp_path / "net.pth", {"a": torch.zeros(4)}, archive=True)
    whole = path.read_bytes()
    path.write_bytes(b"PK\3\4" + whole)
    with pytest.raises(AssetError, match="before or after"):
        read_torch(path)
    path.write_bytes(whole[:-2] + b"\4\0more")
    with pytest.raises(AssetError, match="before or after"):
        read_torch(path)


@ARCHIVE
def test_truncated_files_are_named(tmp_path: Path, archive: bool):
    path = save(tmp_path / "net.pth", {"a": torch.arange(100.0)}, archive)
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:size])
        with pytest.raises(AssetError, match=r"net\.pth"):
            read_torch(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [([torch.ones(2)], "holds a list"), (torch.ones(2), "holds a Tensor"), ({1: torch.ones(2)}, "by name")],
)
def test_anything_but_a_dictionary_by_name_is_refused(tmp_path: Path, content: object, says: str):
    with pytest.raises(AssetError, match=says):
        read_torch(save(tmp_path / "net.pth", content, archive=True))


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(AssetError, match=r"none\.pth"):
        read_torch(tmp_path / "none.pth")
    path = save(tmp_path / "net.pth", OrderedDict(a=torch.zeros(100)), archive=True)
    with pytest.raises(AssetError, match="larger than 50 bytes"):
        read_torch(path, most_bytes=50)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(AssetError, match=r"net\.pth"):
        read_torch(path)
