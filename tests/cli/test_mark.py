"""``anifacediff mark``: what it finds, what it tells, and its exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.provenance import ModelFacts, Record, marked

RECORD = Record(
    ModelFacts("AniFaceDiffPipeline", "ab" * 32), {"driving": "cd" * 32}, {"seed": 7}, {"torch": "2.13"}, "spread"
)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["mark", *map(str, arguments)])
    return result.exit_code, " ".join(result.stdout.split()), " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip without a mark, and the same with mark and record."""
    folder = tmp_path_factory.mktemp("clips")
    coarse = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    picture = np.array(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))
    frames = [np.roll(picture, shift, axis=1) for shift in range(4)]
    with VideoWriter(folder / "plain.mp4", 8) as plain, VideoWriter(folder / "made.mp4", 8, notes=RECORD) as made:
        for frame, after in zip(frames, marked(frames), strict=True):
            plain.write(frame)
            made.write(after)
    return folder


def test_marked_files_are_told_with_score_false_alarms_and_record(clips: Path):
    code, told, _ = run("detect", clips / "made.mp4")
    assert code == 0
    for part in (
        "made.mp4: marked, score",
        "marked from 5 on",
        "at most 1 in 100,000",
        "generated (trainedAlgorithmicMedia)",
        "seed 7",
    ):
        assert part in told, told


def test_one_file_without_a_mark_gives_exit_code_7(clips: Path):
    code, told, _ = run("detect", clips / "made.mp4", clips / "plain.mp4")
    assert code == 7
    assert "plain.mp4: no mark found, score" in told


def test_json_for_other_programs(clips: Path):
    code, told, _ = run("detect", "--json", clips / "made.mp4", clips / "plain.mp4")
    made, plain = json.loads(told)
    assert (code, made["marked"], plain["marked"]) == (7, True, False)
    assert made["score"] >= made["threshold"] > plain["score"]
    assert made["record"]["settings"] == {"seed": 7}
    assert (plain["record"], plain["record_trouble"]) == (None, None)


def test_a_record_of_another_clip_is_told_and_not_believed(clips: Path, tmp_path: Path):
    (tmp_path / "copy.mp4").write_bytes((clips / "plain.mp4").read_bytes())
    (tmp_path / "copy.mp4.json").write_text((clips / "made.mp4.json").read_text())
    code, told, _ = run("detect", tmp_path / "copy.mp4")
    assert code == 7
    assert "another version of copy.mp4" in told
    assert "generated" not in told


def test_a_clip_that_was_made_otherwise_is_marked(clips: Path, tmp_path: Path):
    code, _, told = run("add", clips / "plain.mp4", "-o", tmp_path / "marked.mp4")
    assert (code, "Wrote" in told) == (0, True), told
    assert [file.name for file in tmp_path.iterdir()] == ["marked.mp4"]
    assert VideoSource(tmp_path / "marked.mp4").fps == 8
    assert run("detect", tmp_path / "marked.mp4")[0] == 0


def test_bad_input_is_told(clips: Path, tmp_path: Path):
    (tmp_path / "text.mp4").write_text("hello")
    for arguments, code in (
        (("detect", tmp_path / "none.mp4"), 3),
        (("detect", tmp_path / "text.mp4"), 3),
        (("detect", clips / "plain.mp4", tmp_path / "none.mp4"), 3),
        (("detect", clips / "plain.mp4", "--mark", "nothing"), 5),
        (("add", clips / "plain.mp4", "-o", clips / "plain.mp4"), 4),
        (("add", clips / "plain.mp4", "-o", tmp_path / "none" / "out.mp4"), 4),
    ):
        assert run(*arguments)[0] == code, arguments
