"""What ``animate`` and ``batch`` leave about where a clip comes from."""

import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.cli.batch import name_of
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.provenance import SpreadMark, read_record

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
AVATAR = SAMPLES / "avatar.png"


def run(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("driver") / "driving.mp4"
    with VideoWriter(path, 12) as writer:
        for frame in islice(VideoSource(SAMPLES / "driving.mp4"), 2):
            writer.write(frame)
    return path


def frames_of(path: Path) -> np.ndarray:
    return np.stack(list(VideoSource(path)))


def test_animate_leaves_mark_and_record_unless_told_otherwise(tmp_path: Path, driving: Path):
    command = ("animate", AVATAR, driving, "--steps", 1, "--seed", 4)
    run(*command, "-o", tmp_path / "made")
    run(*command, "-o", tmp_path / "bare", "--no-provenance")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"made", "made.json", "bare"}
    made, bare = frames_of(tmp_path / "made"), frames_of(tmp_path / "bare")
    rounded_otherwise = made != SpreadMark().embed(bare)  # a few bytes, by one level, from run to run of the networks
    assert rounded_otherwise.mean() < 1e-3
    assert (made != bare).mean() > 0.3
    assert SpreadMark().detect(made).found
    assert not SpreadMark().detect(bare).found
    found = read_record(tmp_path / "made")
    assert found is not None
    record = found.record
    assert record.mark == "spread"
    assert record.inputs["driving"] == hashlib.sha256(driving.read_bytes()).hexdigest()
    assert record.inputs["reference"] == hashlib.sha256(AVATAR.read_bytes()).hexdigest()
    assert {name: record.settings[name] for name in ("seed", "steps", "start")} == {
        "seed": 4,
        "steps": 1,
        "start": "zeros",
    }
    assert len(record.model.weights or "") == 64
    assert record.digital_source_type.endswith("/trainedAlgorithmicMedia")
    assert read_record(tmp_path / "bare") is None


def test_what_is_made_of_other_pictures_too_is_a_composite(tmp_path: Path, driving: Path):
    run("animate", AVATAR, driving, "--steps", 1, "-o", tmp_path / "made.mp4", "--compare", "--mark", "none")
    found = read_record(tmp_path / "made.mp4")
    assert found is not None
    assert found.record.digital_source_type.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert found.record.mark is None
    assert not SpreadMark().detect(VideoSource(tmp_path / "made.mp4")).found


def test_clips_of_a_batch_have_mark_and_record(tmp_path: Path, driving: Path):
    (tmp_path / "clips.csv").write_text(f"reference,driving,output,seed,steps\n{AVATAR},{driving},a.mp4,3,1\n")
    run("batch", tmp_path / "clips.csv", "-o", tmp_path / "out")
    assert SpreadMark().detect(VideoSource(tmp_path / "out/a.mp4")).found
    found = read_record(tmp_path / "out/a.mp4")
    assert found is not None
    assert (found.record.settings["seed"], found.record.settings["dtype"]) == (3, "float32")
    with_it, without = (name_of(None, None, None, "float32", provenance=given) for given in (True, False))
    assert with_it != without  # so that clips are made anew
