import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import anifacediff
from anifacediff.assets import Asset, AssetFile, Converted, Licence
from anifacediff.assets.description import check_asset
from anifacediff.assets.places import assets_folder, is_in_place
from anifacediff.assets.store import find, load, place
from anifacediff.errors import AssetError, InputError, OutputError

LICENCE = Licence("FLAME licence", "no", "https://flame.is.tue.mpg.de")
ARRAYS = {
    "vertices": np.arange(6.0).reshape(2, 3).T,
    "triangles": np.array([[0, 1, 2]], ">i4"),
    "scale": np.array(2, np.float32),
}
SHAPES: dict[str, tuple[int | None, ...]] = {"vertices": (3, None), "triangles": (1, 3), "scale": ()}


HEADS = Asset(
    "heads-2020",
    "the face model heads",
    "https://heads.example",
    LICENCE,
    (AssetFile("model*.pkl"), AssetFile("landmarks.npy")),
)


def asset(convert: Any = None, **changes: Any) -> Asset:
    return replace(HEADS, convert=convert, **changes)


def _convert(_: tuple[Path, ...]) -> Converted:
    return Converted(ARRAYS, {"joints": ["neck", "jaw"], "fps": 25.0})


def giving(**tensors: Any) -> Any:
    """A conversion that gives arrays."""
    return lambda _: Converted(tensors)  # pyright: ignore[reportUnknownLambdaType]


def failing(_: tuple[Path, ...]) -> Converted:
    raise KeyError("v_template")


def converting(**changes: Any) -> Asset:
    return replace(HEADS, convert=_convert, **changes)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "Model_v1.PKL").write_bytes(b"first")
    (folder / "landmarks.npy").write_bytes(b"second")
    (folder / "readme.txt").write_bytes(b"other")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "assets"


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")] if folder.exists() else []


def test_what_is_placed_is_loaded(sources: Path, folder: Path):
    placed = place(converting(), sources, folder)
    assert placed == folder / "heads-2020" == find(converting(), folder)
    stored = load(converting(), SHAPES, folder)
    assert stored.facts == {"joints": ["neck", "jaw"], "fps": 25.0}
    for name, array in ARRAYS.items():
        assert np.array_equal(stored.tensors[name].numpy(), array)
    assert stored.tensors["vertices"].dtype == torch.float64
    assert {path.name for path in placed.iterdir()} == {"asset.json", "model.safetensors"}
    assert hidden(folder) == []


def test_the_description_says_where_it_comes_from(sources: Path, folder: Path):
    placed = place(converting(), sources, folder)
    told = json.loads((placed / "asset.json").read_text())
    assert told["name"] == "heads-2020"
    assert told["version"] == anifacediff.__version__
    assert told["licence"] == {"name": LICENCE.name, "commercial": "no", "url": LICENCE.url}
    assert told["sources"] == {
        "Model_v1.PKL": hashlib.sha256(b"first").hexdigest(),
        "landmarks.npy": hashlib.sha256(b"second").hexdigest(),
    }
    weights = (placed / "model.safetensors").read_bytes()
    assert told["files"] == {"model.safetensors": hashlib.sha256(weights).hexdigest()}


def test_the_conversion_gets_the_files_in_their_order(sources: Path, folder: Path):
    seen: list[tuple[Path, ...]] = []

    def convert(paths: tuple[Path, ...]) -> Converted:
        seen.append(paths)
        return Converted(ARRAYS)

    expected = (sources / "Model_v1.PKL", sources / "landmarks.npy")
    place(asset(convert), sources, folder)
    place(asset(convert), tuple(reversed(expected)), folder)
    assert seen == [expected, expected]


def test_files_that_are_not_converted_are_kept(sources: Path, folder: Path):
    placed = place(asset(), sources, folder)
    assert (placed / "Model_v1.PKL").read_bytes() == b"first"
    assert (placed / "landmarks.npy").read_bytes() == b"second"
    check_asset(asset(), folder)


def test_a_single_file_may_have_any_name(sources: Path, folder: Path):
    single = asset(files=(AssetFile("face.task"),))
    placed = place(single, [sources / "readme.txt"], folder)
    assert (placed / "face.task").read_bytes() == b"other"


def test_placing_again_replaces_all(sources: Path, folder: Path):
    place(asset(), sources, folder)
    placed = place(converting(), sources, folder)
    assert {path.name for path in placed.iterdir()} == {"asset.json", "model.safetensors"}
    assert hidden(folder) == []


def test_a_missing_asset_is_explained(folder: Path):
    assert not is_in_place(asset(), folder)
    with pytest.raises(AssetError) as told:
        find(asset(), folder)
    for word in ("model*.pkl", "landmarks.npy", "https://heads.example", LICENCE.name, LICENCE.url, "use: no"):
        assert word in str(told.value)
    assert f"`anifacediff assets convert heads-2020 model*.pkl landmarks.npy -o {folder}`" in str(told.value)


def test_the_folder_of_all_assets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path / "mine"))
    assert assets_folder() == tmp_path / "mine"
    monkeypatch.delenv("ANIFACEDIFF_ASSETS")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert assets_folder() == tmp_path / "anifacediff" / "assets"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["landmarks.npy"], r"no file is called 'model\*\.pkl' among landmarks\.npy"),
        (["Model_v1.PKL", "landmarks.npy", "readme.txt"], r"no file 'readme\.txt'"),
        (["Model_v1.PKL", "none/landmarks.npy"], "cannot be read"),
        (["readme.txt"], "consists of"),
    ],
)
def test_other_sources_are_refused(sources: Path, folder: Path, given: list[str], says: str):
    with pytest.raises(AssetError, match=says):
        place(converting(), [sources / name for name in given], folder)
    assert not folder.exists()


def test_two_files_of_one_name_are_refused(sources: Path, folder: Path):
    shutil.copy(sources / "Model_v1.PKL", sources / "model_v2.pkl")
    with pytest.raises(AssetError, match="several files are called"):
        place(converting(), sources, folder)


def test_another_version_is_refused(sources: Path, folder: Path):
    known = AssetFile("model*.pkl", hashlib.sha256(b"first").hexdigest().upper())
    place(asset(files=(known,)), [sources / "Model_v1.PKL"], folder)
    (sources / "Model_v1.PKL").write_bytes(b"changed")
    with pytest.raises(AssetError, match=r"Model_v1\.PKL: has the sha256 .* another version"):
        place(asset(files=(known,)), [sources / "Model_v1.PKL"], folder)
    assert (find(asset(), folder) / "Model_v1.PKL").read_bytes() == b"first"


def test_a_large_file_is_not_even_read(sources: Path, folder: Path):
    with pytest.raises(AssetError, match="has 5 bytes, but"):
        place(asset(files=(AssetFile("*.pkl", most_bytes=4),)), [sources / "Model_v1.PKL"], folder)


@pytest.mark.parametrize(
    ("convert", "says"),
    [
        (giving(v=np.array([np.nan])), "v holds NaN"),
        (giving(v=np.array(["a"])), "v holds <U1"),
        (giving(v=np.array([None])), "v holds object"),
        (failing, r"landmarks\.npy: not laid out .*KeyError: 'v_template'"),
    ],
)
def test_a_conversion_that_fails_leaves_what_was_there(sources: Path, folder: Path, convert: Any, says: str):
    place(converting(), sources, folder)
    with pytest.raises(AssetError, match=says):
        place(asset(convert), sources, folder)
    assert load(converting(), SHAPES, folder).facts["fps"] == 25
    assert hidden(folder) == []


def test_an_error_of_the_plugin_stays_what_it_is(sources: Path, folder: Path):
    def convert(_: tuple[Path, ...]) -> Converted:
        raise InputError("a cyclic joint tree")

    with pytest.raises(InputError, match="cyclic"):
        place(asset(convert), sources, folder)


def test_writing_is_whole_or_not_at_all(sources: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    place(asset(), sources, folder)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("anifacediff.assets.store.save_file", full)
    with pytest.raises(OutputError, match="no space left"):
        place(converting(), sources, folder)
    check_asset(asset(), folder)
    assert hidden(folder) == []


def test_the_old_one_comes_back_if_the_new_one_cannot_take_its_place(
    sources: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    place(asset(), sources, folder)
    rename = Path.rename

    def stubborn(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(KeyboardInterrupt):
        place(converting(), sources, folder)
    check_asset(asset(), folder)
    assert hidden(folder) == []


def test_a_folder_of_something_else_is_not_replaced(sources: Path, folder: Path):
    (folder / "heads-2020").mkdir(parents=True)
    (folder / "heads-2020" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match="in the way"):
        place(converting(), sources, folder)
    assert (folder / "heads-2020" / "thesis.tex").exists()


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "a\\b", "a*"])
def test_a_name_that_is_no_folder(name: str, folder: Path):
    with pytest.raises(AssetError, match="cannot be called"):
        find(asset(name=name), folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vertices": None}, "vertices is missing"),
        ({"extra": np.zeros(1)}, "extra is unexpected"),
        ({"vertices": np.zeros((2, 3))}, r"vertices has shape \(2, 3\) instead of \(3, None\)"),
        ({"scale": np.zeros(1)}, "scale has shape"),
        ({"vertices": np.full((3, 2), np.inf)}, "vertices holds NaN or infinity"),
    ],
)
def test_loading_is_strict(sources: Path, folder: Path, changes: dict[str, Any], says: str):
    path = place(converting(), sources, folder) / "model.safetensors"
    arrays = {name: array for name, array in (load_file(path) | changes).items() if array is not None}
    save_file(arrays, path)
    with pytest.raises(AssetError, match=says):
        load(converting(), SHAPES, folder)
    with pytest.raises(AssetError, match="sha256"):
        check_asset(converting(), folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"name": 1}', b'{"a": NaN'],
)
def test_a_damaged_description_is_named(sources: Path, folder: Path, content: bytes):
    placed = place(converting(), sources, folder)
    (placed / "asset.json").write_bytes(content)
    with pytest.raises(AssetError, match=r"asset\.json: cannot be read"):
        load(converting(), SHAPES, folder)


def test_a_description_of_other_kinds_of_values_is_named(sources: Path, folder: Path):
    path = place(converting(), sources, folder) / "asset.json"
    sound = json.loads(path.read_text())
    for key, value in (
        ("name", 1),
        ("files", {"a": 1}),
        ("files", 3),
        ("facts", {"a": None}),
        ("x", 1),
    ):
        path.write_text(json.dumps(sound | {key: value}))
        with pytest.raises(AssetError, match=r"asset\.json"):
            check_asset(converting(), folder)


def test_checking_finds_what_was_damaged(sources: Path, folder: Path):
    placed = place(asset(), sources, folder)
    check_asset(asset(), folder)
    newer = asset(files=(AssetFile("model*.pkl", "0" * 64), AssetFile("landmarks.npy")))
    with pytest.raises(AssetError, match="another version"):
        check_asset(newer, folder)
    (placed / "landmarks.npy").write_bytes(b"secomd")
    with pytest.raises(AssetError, match=r"landmarks\.npy: has the sha256"):
        check_asset(asset(), folder)
    (placed / "landmarks.npy").unlink()
    with pytest.raises(AssetError, match=r"landmarks\.npy: is missing"):
        check_asset(asset(), folder)


def test_truncated_tensors_are_named(sources: Path, folder: Path):
    path = place(converting(), sources, folder) / "model.safetensors"
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 10):
        path.write_bytes(content[:size])
        with pytest.raises(AssetError, match=r"model\.safetensors"):
            load(converting(), SHAPES, folder)
