from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.tracking import read_motion

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
AVATAR = SAMPLES / "avatar.png"


def run(*arguments: object) -> tuple[int, str]:
    """The exit code and what was told."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of four frames, and its motion."""
    made = tmp_path_factory.mktemp("motion")
    with VideoWriter(made / "clip.mp4", 24) as writer:
        for frame in islice(VideoSource(SAMPLES / "driving.mp4"), 4):
            writer.write(frame)
    code, told = run("track", made / "clip.mp4", "-o", made / "clip.safetensors")
    assert code == 0, told
    assert "face found in 4 of 4 frames" in told
    return made


def test_a_motion_draws_what_its_clip_does(folder: Path, tmp_path: Path):
    for name in ("clip.mp4", "clip.safetensors"):
        code, told = run("animate", AVATAR, folder / name, "-o", tmp_path / name.partition(".")[2], "--steps", 1)
        assert code == 0, told
    clip, motion = (np.stack(list(VideoSource(tmp_path / name))).astype(int) for name in ("mp4", "safetensors"))
    assert clip.shape == (4, 128, 128, 3)
    assert abs(clip - motion).max() <= 1  # the fit to landmarks may round differently
    assert read_motion(folder / "clip.safetensors").fps == 24


def test_side_by_side_shows_no_driver(folder: Path, tmp_path: Path):
    motion = folder / "clip.safetensors"
    code, told = run("animate", AVATAR, motion, "-o", tmp_path / "alone", "--compare", "--steps", 1)
    assert code == 0, told
    assert VideoSource(tmp_path / "alone").size == (256 + 18, 3 * 256 + 2 * 2)
    code, told = run("align", AVATAR, motion, "-o", tmp_path / "maps", "--size", 64)
    assert code == 0, told
    assert VideoSource(tmp_path / "maps").size == (64, 64)


def test_a_motion_of_another_face_model_is_refused(folder: Path, tmp_path: Path):
    command = ("align", AVATAR, folder / "clip.safetensors", "-o", tmp_path / "maps", "--size", 64)
    code, told = run(*command, "--morphable-model", "parametric")
    assert (code, "clip.safetensors: The motion is of the face model 'expressive'" in told) == (3, True), told
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_tracked_is_told(folder: Path, tmp_path: Path):
    clip = folder / "clip.mp4"
    cases = {
        ("track", clip, "-o", tmp_path / "out.mp4"): (4, "ends in .safetensors"),
        ("track", clip, "-o", tmp_path / "none" / "out.safetensors"): (4, "Create it first"),
        ("track", tmp_path / "none.mp4", "-o", tmp_path / "out.safetensors"): (3, "no such file"),
        ("track", folder / "clip.safetensors", "-o", tmp_path / "out.safetensors"): (3, "a motion already"),
        ("animate", AVATAR, folder / "clip.safetensors", "-o", tmp_path / "a.mp4", "--smooth", 2): (3, "is a motion"),
        ("align", AVATAR, folder / "clip.safetensors", "-o", tmp_path / "a.mp4", "--fps", 5): (3, "is a motion"),
        ("align", AVATAR, folder / "clip.safetensors", "-o", tmp_path / "a.mp4", "--missing", "hold"): (
            3,
            "is a motion",
        ),
        ("track", folder / "clip.safetensors", "-o", folder / "clip.safetensors"): (4, "the input itself"),
        ("animate", AVATAR, tmp_path / "none.safetensors", "-o", tmp_path / "out.mp4"): (3, "no such file"),
    }
    for arguments, (code, message) in cases.items():
        found, told = run(*arguments)
        assert (found, message in told) == (code, True), (arguments, told)
    assert list(tmp_path.iterdir()) == []
