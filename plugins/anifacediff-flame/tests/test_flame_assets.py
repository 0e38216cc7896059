"""The files of FLAME and DECA, written here in their published layouts, become models; spoilt ones are refused."""

import io
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flame_synth
import numpy as np
import pytest
import rule
import torch
from anifacediff_flame import assets
from anifacediff_flame.loading import deca_tracker, flame_model
from flame_parts import ARRAYS, SLIDING
from scipy import sparse

from anifacediff.assets.contracts import Asset
from anifacediff.assets.store import place
from anifacediff.errors import AniFaceDiffError, AssetError, CheckpointError, InputError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.registry import registry
from anifacediff.tracking.contracts import ManualTracker, ParameterTracker

Content = dict[str, Any]


def flame_content() -> Content:
    """What a published pickle holds, of a smaller mesh."""
    data, _, _ = flame_synth.build(level=2)
    return {
        "v_template": data["v_template"],
        "f": data["f"].astype(np.uint32),
        "shapedirs": data["shapedirs"],
        "posedirs": data["posedirs"],
        "J_regressor": sparse.csc_matrix(data["J_regressor"]),
        "kintree_table": data["kintree_table"].astype(np.uint32),
        "weights": data["weights"],
        "bs_style": "lbs",
        "bs_type": "lrotmin",
        "J": np.zeros((5, 3)),
    }


def write_flame(folder: Path, content: Content, name: str = "generic_model.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def write_landmarks(folder: Path, **spoilt: Any) -> Path:
    _, embedding, _ = flame_synth.build(level=2)
    static = {
        "lmk_face_idx": embedding["static_lmk_faces_idx"].astype(np.uint32),
        "lmk_b_coords": embedding["static_lmk_bary_coords"],
    }
    dynamic = {
        "lmk_face_idx": list(embedding["dynamic_lmk_faces_idx"].astype(np.uint32)),
        "lmk_b_coords": list(embedding["dynamic_lmk_bary_coords"]),
    }
    (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static | spoilt, protocol=2))
    np.save(folder / "flame_dynamic_embedding.npy", np.array(dynamic, dtype=object), allow_pickle=True)
    return folder


def write_deca_landmarks(path: Path, **spoilt: Any) -> Path:
    """As DECA has it: what slides is made of tensors."""
    _, embedding, _ = flame_synth.build(level=2)
    content = {
        name: torch.from_numpy(array) if name.startswith("dynamic") else array for name, array in embedding.items()
    }
    np.save(path, np.array(content | spoilt, dtype=object), allow_pickle=True)
    return path


def deca_weights() -> dict[str, torch.Tensor]:
    """Weights by the published keys, drawn by the rule of the goldens."""
    import golden

    shapes = golden.read("deca/encoder").shapes
    return {name.removeprefix("E_flame."): torch.from_numpy(rule.weight(name, shape)) for name, shape in shapes.items()}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The folder of all assets, with FLAME 2020 and the landmarks in place."""
    files = tmp_path / "files"
    files.mkdir()
    folder = tmp_path / "assets"
    place(assets.flame_2020(), [write_flame(files, flame_content())], folder)
    place(assets.flame_landmarks(), write_landmarks(files), folder)
    return folder


def test_a_published_model_is_converted_and_read_back(stored: Path):
    model = flame_model(assets.flame_2020(), folder=stored)
    assert isinstance(model, LandmarkedModel)
    assert (model.num_shape, model.num_expression) == (100, 50)
    expected = type(model)(ARRAYS, SLIDING)
    shape, expression, pose = torch.randn(2, 100), torch.randn(2, 50), 0.3 * torch.randn(2, 5, 3)
    vertices = model(shape, expression, pose)
    torch.testing.assert_close(vertices, expected(shape, expression, pose), rtol=0, atol=1e-6)
    torch.testing.assert_close(model.landmarks(vertices, pose), expected.landmarks(vertices, pose), rtol=0, atol=1e-6)


def test_more_coefficients_come_from_the_same_file(stored: Path):
    model = flame_model(assets.flame_2020(), num_shape=300, num_expression=100, folder=stored)
    shape, expression = torch.zeros(1, 300), torch.zeros(1, 100)
    shape[0, 299], expression[0, 99] = 1.0, 1.0
    moved = model(shape, expression, torch.zeros(1, 5, 3)) - model(
        torch.zeros(1, 300), torch.zeros(1, 100), torch.zeros(1, 5, 3)
    )
    expected = ARRAYS.basis[..., 299] + ARRAYS.basis[..., 399]
    torch.testing.assert_close(moved[0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["flame-2020", "flame-2023", "flame-2023-open"])
def test_every_edition_is_registered_and_says_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path))
    asset = registry.assets[name]()
    assert asset.name == name
    with pytest.raises(AssetError, match=rf"{asset.files[0].name} from .*flame\.is\.tue\.mpg\.de.*commercial use: "):
        registry.morphable_models[name]()


def test_the_registered_model_is_that_of_the_folder(stored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(stored))
    model = registry.morphable_models["flame-2020"](num_shape=10)
    assert model.num_shape == 10


def cut(name: str, part: Any) -> Callable[[Content], None]:
    def spoil(content: Content) -> None:
        content[name] = content[name][part]

    return spoil


def put(name: str, value: Any) -> Callable[[Content], None]:
    def spoil(content: Content) -> None:
        content[name] = value

    return spoil


def cyclic(content: Content) -> None:
    content["kintree_table"][0] = [4294967295, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut("weights", slice(0, 100)), "skinning_weights"),
        (cut("v_template", slice(0, 100)), "basis"),
        (cut("shapedirs", (..., slice(0, 150))), "basis"),
        (cut("posedirs", (..., slice(0, 9))), "pose_basis"),
        (put("J_regressor", sparse.csc_matrix((4, 162))), "joint_regressor"),
        (put("J_regressor", sparse.csc_matrix((5, 2**20))), "J_regressor"),
        (cyclic, "parents"),
        (put("f", np.array([[0, 1, 5000]], np.uint32)), "triangles"),
        (put("shapedirs", None), "'shapedirs'"),
        (put("weights", "none"), "'weights'"),
        (put("kintree_table", np.float64(1.0)), "kintree_table"),
    ],
    ids=[
        "weights",
        "template",
        "basis",
        "poses",
        "joints",
        "zeros",
        "cyclic tree",
        "triangles",
        "none",
        "text",
        "a number",
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path, spoil: Callable[[Content], None], said: str):
    content = flame_content()
    spoil(content)
    with pytest.raises(AssetError, match=rf"generic_model\.pkl.*({said})"):
        place(assets.flame_2020(), [write_flame(tmp_path, content)], tmp_path / "assets")
    assert not (tmp_path / "assets" / "flame-2020").exists()


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("/tmp/anifacediff-hostile",)


def test_a_hostile_pickle_is_not_run(tmp_path: Path):
    path = write_flame(tmp_path, flame_content() | {"J": Hostile()})
    with pytest.raises(AssetError, match=r"generic_model\.pkl.*posix\.mkdir"):
        place(assets.flame_2020(), [path], tmp_path / "assets")
    assert not Path("/tmp/anifacediff-hostile").exists()


def test_nan_in_a_model_is_refused(tmp_path: Path):
    content = flame_content()
    content["v_template"][3, 1] = np.nan
    with pytest.raises(AssetError, match="template holds NaN"):
        place(assets.flame_2020(), [write_flame(tmp_path, content)], tmp_path / "assets")


def test_landmarks_of_another_mesh_are_refused(tmp_path: Path):
    write_landmarks(tmp_path, lmk_face_idx=np.full(51, 10_000, np.uint32))
    with pytest.raises(AssetError, match=r"flame_static_embedding.*10000.*9976 triangles"):
        place(assets.flame_landmarks(), tmp_path, tmp_path / "assets")
    write_landmarks(tmp_path, lmk_b_coords=np.zeros((51, 3)))
    with pytest.raises(AssetError, match="sum to one"):
        place(assets.flame_landmarks(), tmp_path, tmp_path / "assets")


def test_the_landmarks_of_deca_take_the_place_of_those_of_ringnet(stored: Path, tmp_path: Path):
    expected = flame_model(assets.flame_2020(), folder=stored)
    shutil.rmtree(stored / "flame-landmarks")
    with pytest.raises(AssetError, match=r"flame-landmarks-deca.*flame_static_embedding\.pkl"):
        flame_model(assets.flame_2020(), folder=stored)
    path = write_deca_landmarks(tmp_path / "landmark_embedding.npy")
    assert b"_load_from_bytes" in path.read_bytes()
    place(assets.flame_landmarks_deca(), [path], stored)
    found = flame_model(assets.flame_2020(), folder=stored)
    for name in ("contour_triangles", "contour_barycentric", "inner_triangles", "inner_barycentric"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


def test_spoilt_landmarks_of_deca_are_refused(tmp_path: Path):
    for spoilt, said in (
        ({"dynamic_lmk_faces_idx": torch.full((79, 17), 10_000)}, "9976 triangles"),
        ({"static_lmk_bary_coords": torch.zeros(51, 3)}, "sum to one"),
        ({"dynamic_lmk_bary_coords": None}, "'dynamic_lmk_bary_coords'"),
        ({"full_lmk_faces_idx": Hostile()}, r"posix\.mkdir"),
    ):
        path = write_deca_landmarks(tmp_path / "landmark_embedding.npy", **spoilt)
        with pytest.raises(AssetError, match=rf"landmark_embedding\.npy.*{said}"):
            place(assets.flame_landmarks_deca(), [path], tmp_path / "assets")


def test_too_many_coefficients_and_none_are_refused(stored: Path):
    for options in ({"num_shape": 301}, {"num_expression": 101}, {"num_shape": 0}):
        with pytest.raises(InputError, match=next(iter(options))):
            flame_model(assets.flame_2020(), folder=stored, **options)  # pyright: ignore[reportArgumentType]


def test_another_sign_of_yaw_is_refused(stored: Path):
    with pytest.raises(InputError, match=r"yaw: expected one of deca, smplx; found 'left'"):
        flame_model(assets.flame_2020(), folder=stored, yaw="left")  # pyright: ignore[reportArgumentType]


def test_deca_is_built_from_its_published_checkpoint(stored: Path, tmp_path: Path):
    path = tmp_path / "deca_model.tar"
    weights = deca_weights()
    torch.save({"E_flame": weights, "E_detail": {"layers.0.weight": torch.zeros(2)}}, path)
    place(assets.deca(), [path], stored)
    tracker = deca_tracker(ManualTracker(()), folder=stored)
    assert isinstance(tracker, ParameterTracker)
    assert (tracker.model.num_shape, tracker.model.num_expression) == (100, 50)
    stem = tracker._encoder.state_dict()["backbone.network.embedder.embedder.convolution.weight"]  # pyright: ignore[reportPrivateUsage]
    assert torch.equal(stem, weights["encoder.conv1.weight"])


@pytest.mark.parametrize(
    ("content", "error"),
    [({"E_detail": {}}, AssetError), ({"E_flame": {"layers.0.weight": torch.zeros(2)}}, CheckpointError)],
    ids=["no encoder", "another encoder"],
)
def test_another_checkpoint_is_refused(tmp_path: Path, content: Content, error: type[AniFaceDiffError]):
    path = tmp_path / "deca_model.tar"
    torch.save(content, path)
    with pytest.raises(error, match=r"deca_model\.tar"):
        place(assets.deca(), [path], tmp_path / "assets")


@pytest.mark.parametrize(
    ("describe", "commercial"),
    [
        (assets.flame_2020, "ask"),
        (assets.flame_2023, "ask"),
        (assets.flame_2023_open, "yes"),
        (assets.flame_landmarks, "no"),
        (assets.flame_landmarks_deca, "no"),
        (assets.deca, "no"),
    ],
)
def test_licences_are_told(describe: Callable[[], Asset], commercial: str):
    asset = describe()
    assert asset.licence.commercial == commercial
    assert asset.licence.url.startswith("https://")
    assert registry.assets[asset.name]().name == asset.name


def test_a_truncated_model_is_refused(tmp_path: Path):
    path = write_flame(tmp_path, flame_content())
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(io.BytesIO(whole).read(size))
        with pytest.raises(AssetError, match=r"generic_model\.pkl"):
            place(assets.flame_2020(), [path], tmp_path / "assets")
