from pathlib import Path

import numpy as np
import pytest
import torch
from anifacediff_flame.smirk import SmirkExpression, read_smirk
from safetensors.numpy import save_file

from anifacediff.errors import AssetError, InputError, ShapeError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective

FRAMES = 4


def arrays() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    sizes = {"expression_params": 50, "jaw_params": 3, "eyelid_params": 2, "pose_params": 3}
    return {name: chance.uniform(0, 1, (FRAMES, size)).astype(np.float32) for name, size in sizes.items()}


def face(frames: int = FRAMES, expressions: int = 50) -> FaceParameters:
    camera = WeakPerspective(torch.ones(frames), torch.zeros(frames, 2))
    return FaceParameters(
        torch.randn(frames, 100),
        torch.randn(frames, expressions),
        torch.randn(frames, 5, 3),
        camera,
        Box(torch.tensor([[0.0, 0, 9, 9]]).expand(frames, 4)),
        (64, 64),
    )


def test_a_file_of_either_kind_replaces_expression_jaw_and_eyelids(tmp_path: Path):
    save_file(arrays(), tmp_path / "smirk.safetensors")
    np.savez(tmp_path / "smirk.npz", **arrays())  # pyright: ignore[reportArgumentType]
    before = face()
    for name in ("smirk.safetensors", "smirk.npz"):
        after = read_smirk(tmp_path / name).put_into(before)
        np.testing.assert_array_equal(after.expression.numpy(), arrays()["expression_params"])
        np.testing.assert_array_equal(after.pose[:, 2].numpy(), arrays()["jaw_params"])
        assert after.eyelids is not None
        np.testing.assert_array_equal(after.eyelids.numpy(), arrays()["eyelid_params"])
        assert after.expression_code.shape == (FRAMES, 52)
        assert torch.equal(after.pose[:, [0, 1, 3, 4]], before.pose[:, [0, 1, 3, 4]])
        assert torch.equal(after.shape, before.shape)


def test_the_face_given_is_left_as_it_is(tmp_path: Path):
    before = face()
    kept = before.pose.clone()
    SmirkExpression(torch.zeros(FRAMES, 50), torch.zeros(FRAMES, 3), torch.zeros(FRAMES, 2)).put_into(before)
    assert torch.equal(before.pose, kept)


@pytest.mark.parametrize(("name", "size"), [("expression_params", 100), ("jaw_params", 6), ("eyelid_params", 1)])
def test_wrong_sizes_are_named_with_the_file(tmp_path: Path, name: str, size: int):
    path = tmp_path / "smirk.safetensors"
    save_file({**arrays(), name: np.zeros((FRAMES, size), np.float32)}, path)
    with pytest.raises(ShapeError, match=rf"smirk\.safetensors.*{name.split('_')[0]}.*{size}"):
        read_smirk(path)


def test_another_number_of_frames_is_refused(tmp_path: Path):
    path = tmp_path / "smirk.safetensors"
    save_file({**arrays(), "jaw_params": np.zeros((FRAMES + 1, 3), np.float32)}, path)
    with pytest.raises(ShapeError, match="jaw"):
        read_smirk(path)
    save_file(arrays(), path)
    with pytest.raises(InputError, match=r"5 frames.*4"):
        read_smirk(path).put_into(face(FRAMES + 1))


def test_nan_is_refused_and_placed(tmp_path: Path):
    broken = arrays()
    broken["jaw_params"][2, 1] = np.nan
    np.savez(tmp_path / "smirk.npz", **broken)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"smirk\.npz.*jaw.*\(2, 1\)"):
        read_smirk(tmp_path / "smirk.npz")


def test_parameters_of_another_model_are_refused():
    smirk = SmirkExpression(torch.zeros(FRAMES, 50), torch.zeros(FRAMES, 3), torch.zeros(FRAMES, 2))
    with pytest.raises(ShapeError, match=r"face\.expression"):
        smirk.put_into(face(expressions=64))


def test_missing_arrays_and_unreadable_files_are_named(tmp_path: Path):
    path = tmp_path / "smirk.safetensors"
    short = arrays()
    del short["eyelid_params"]
    save_file(short, path)
    with pytest.raises(AssetError, match=r"eyelid_params.*expression_params"):
        read_smirk(path)
    np.savez(tmp_path / "truncated.npz", **arrays())  # pyright: ignore[reportArgumentType]
    whole = (tmp_path / "truncated.npz").read_bytes()
    spoilt = bytes(255 - byte if 100 <= place < 140 else byte for place, byte in enumerate(whole))
    contents = {
        "empty.npz": b"",
        "spoilt.npz": spoilt,
        "truncated.npz": whole[:-40],
        "text.npz": b"no arrays here",
        "text.safetensors": b"no arrays here",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "absent.npz", "absent.safetensors"):
        with pytest.raises(AssetError, match=name):
            read_smirk(tmp_path / name)


def test_a_lone_number_is_no_expression(tmp_path: Path):
    save_file({**arrays(), "expression_params": np.array(1.0, np.float32)}, tmp_path / "smirk.safetensors")
    with pytest.raises(ShapeError, match="expression"):
        read_smirk(tmp_path / "smirk.safetensors")


def test_objects_in_a_file_of_numpy_are_not_unpickled(tmp_path: Path):
    np.savez(tmp_path / "smirk.npz", **{**arrays(), "jaw_params": np.array([print], dtype=object)})  # pyright: ignore
    with pytest.raises(AssetError, match=r"smirk\.npz"):
        read_smirk(tmp_path / "smirk.npz")
