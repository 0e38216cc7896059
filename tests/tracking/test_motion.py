import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from anifacediff.errors import InputError, MediaError, OutputError
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.perspective import Perspective
from anifacediff.media import SquareCrop
from anifacediff.tracking import Motion, Shot, TrackedClip, TrackingReport, read_motion, write_motion

FRAMES = 5


def motion(*, perspective: bool = False, eyes: bool = True) -> Motion:
    generator = torch.Generator().manual_seed(0)

    def some(*size: int) -> torch.Tensor:
        return torch.randn(FRAMES, *size, generator=generator)

    camera = Perspective(some().exp(), some(2), some(3)) if perspective else WeakPerspective(some().exp(), some(2))
    face = FaceParameters(some(3), some(4), some(5, 3), camera, Box(some(4)), (256, 256))
    if eyes:
        face = replace(face, gaze=some(4), eyelids=some(2))
    report = TrackingReport((1, 3), "interpolate", some().abs())
    shots = (Shot(2, SquareCrop(0.1, 7.0, 30.0)),)
    return Motion(TrackedClip(SquareCrop(50.3, 1 / 3, 80.0), face, report, shots), Fraction(30000, 1001), "parametric")


def tensors(face: FaceParameters) -> dict[str, torch.Tensor]:
    named = {name: value for name, value in vars(face).items() if isinstance(value, torch.Tensor)}
    return {**named, "box": face.box.corners, **vars(face.camera)}


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("eyes", [False, True])
def test_what_is_read_is_what_was_written_in_every_bit(tmp_path: Path, perspective: bool, eyes: bool):
    written = motion(perspective=perspective, eyes=eyes)
    write_motion(tmp_path / "m.safetensors", written)
    read = read_motion(tmp_path / "m.safetensors")
    assert (read.fps, read.model, read.clip.crop) == (written.fps, written.model, written.clip.crop)
    assert read.clip.later_shots == written.clip.later_shots
    assert (read.clip.report.missing, read.clip.report.filled_by) == ((1, 3), "interpolate")
    assert torch.equal(read.clip.report.reprojection_error, written.clip.report.reprojection_error)
    found, expected = tensors(read.clip.parameters), tensors(written.clip.parameters)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.equal(found[name], values), name
    assert read.clip.parameters.canvas == (256, 256)
    assert type(read.clip.parameters.camera) is type(written.clip.parameters.camera)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_header_says_what_made_it_and_nothing_of_the_machine(tmp_path: Path):
    write_motion(tmp_path / "m.safetensors", motion())
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        header = file.metadata()
    facts = json.loads(header["anifacediff.motion"])
    assert facts["made_with"].keys() == {"anifacediff", "torch"}
    assert facts["fps"] == "30000/1001"
    assert str(tmp_path) not in json.dumps(header)


def rewrite(path: Path, facts: dict[str, Any] | None = None, values: dict[str, Any] | None = None) -> None:
    """Write a motion with other facts and tensors; None takes one away."""
    write_motion(path, motion())
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["anifacediff.motion"])
    said = {name: value for name, value in {**said, **(facts or {})}.items() if value is not None}
    held = {name: value for name, value in {**load_file(path), **(values or {})}.items() if value is not None}
    save_file(held, path, {"anifacediff.motion": json.dumps(said)})


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"format": 2}, "format is 2"),
        ({"format": None}, "format"),
        ({"fps": "1/0"}, ""),
        ({"fps": "0"}, "no sense"),
        ({"fps": "1e999999999"}, "no sense"),
        ({"fps": 24}, ""),
        ({"camera": "Fisheye"}, "Fisheye"),
        ({"camera": ["WeakPerspective"]}, ""),
        ({"camera": "Perspective"}, "camera.scale, which no motion has"),
        ({"canvas": [0, 256]}, "no sense"),
        ({"canvas": [256]}, ""),
        ({"crop": {"x": 1, "y": 2}}, ""),
        ({"crop": {"x": 1.0, "y": 2.0, "side": -3.0}}, "positive side"),
        ({"later_shots": [{"first": 9, "crop": {"x": 1.0, "y": 1.0, "side": 1.0}}]}, "ascending"),
        ({"later_shots": 3}, ""),
        ({"missing": [3, 1]}, "ascending"),
        ({"missing": ["1"]}, "ascending"),
        ({"filled_by": "magic"}, "magic"),
    ],
)
def test_impossible_facts_are_refused(tmp_path: Path, facts: dict[str, Any], says: str):
    rewrite(tmp_path / "m.safetensors", facts)
    with pytest.raises(MediaError, match=rf"m\.safetensors: the motion is damaged, or from another version: .*{says}"):
        read_motion(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"pose": None}, "pose"),
        ({"surprise": torch.zeros(1)}, "surprise, which no motion has"),
        ({"expression": torch.full((FRAMES, 4), torch.nan)}, "NaN"),
        ({"camera.scale": torch.full((FRAMES,), torch.inf)}, "infinite"),
        ({"camera.scale": -torch.ones(FRAMES)}, "positive"),
        ({"reprojection_error": torch.full((FRAMES,), torch.nan)}, "NaN"),
        ({"box": torch.zeros(FRAMES, 4, dtype=torch.int64)}, "int64"),
        ({"box": torch.zeros(FRAMES, 4, dtype=torch.float16)}, "float16"),
        ({"shape": torch.tensor(1.0)}, ""),
        ({"shape": torch.zeros(0, 3)}, "no frames"),
    ],
)
def test_impossible_numbers_are_refused(tmp_path: Path, values: dict[str, Any], says: str):
    rewrite(tmp_path / "m.safetensors", values=values)
    with pytest.raises(MediaError, match=rf"damaged, or from another version: .*{says}"):
        read_motion(tmp_path / "m.safetensors")


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    for name, size in {"pose": (FRAMES, 5), "box": (FRAMES - 1, 4), "camera.scale": (FRAMES + 1,)}.items():
        rewrite(tmp_path / "m.safetensors", values={name: torch.ones(size)})
        with pytest.raises(MediaError, match="expected shape"):
            read_motion(tmp_path / "m.safetensors")


def test_files_of_other_kinds_are_refused(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(MediaError, match="no such file"):
        read_motion(path)
    write_motion(path, motion())
    whole = path.read_bytes()
    for keep in (0, 5, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(MediaError, match="no readable motion"):
            read_motion(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(MediaError, match="but no motion"):
        read_motion(path)
    for header in ("[" * 5000, "null", "3", "{}", '"text"'):
        save_file({"weight": torch.zeros(3)}, path, {"anifacediff.motion": header})
        with pytest.raises(MediaError, match="damaged"):
            read_motion(path)


def test_another_face_model_is_told():
    motion().check_model("parametric")
    with pytest.raises(InputError, match="of the face model 'parametric', but 'flame' is drawn"):
        motion().check_model("flame")


def test_where_it_cannot_be_written_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OutputError, match=r"ends in \.safetensors"):
        write_motion(tmp_path / "m.mp4", motion())
    with pytest.raises(OutputError, match="there is no folder"):
        write_motion(tmp_path / "none" / "m.safetensors", motion())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anifacediff.tracking.motion_files.save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        write_motion(tmp_path / "m.safetensors", motion())
    assert list(tmp_path.iterdir()) == []
