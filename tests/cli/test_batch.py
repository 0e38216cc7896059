"""``anifacediff batch``: what it tells, its exit codes, and real clips."""

import json
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from typer.testing import CliRunner

from anifacediff.batch import Batch, PipelineClips, Result, Row
from anifacediff.batch.animator import Animator
from anifacediff.cli import app
from anifacediff.cli.batch import name_of
from anifacediff.media import VideoSource, VideoWriter

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
FRAMES = 2


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["batch", *map(str, arguments)])
    return result.exit_code, " ".join(result.stderr.split())


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two clips that can be made, and one whose avatar has no face."""
    source = VideoSource(SAMPLES / "driving.mp4")
    with VideoWriter(tmp_path / "driving.mp4", source.fps) as writer:
        for frame in islice(source, FRAMES):
            writer.write(frame)
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "plain.png")
    path = tmp_path / "clips.csv"
    avatar = SAMPLES / "avatar.png"
    path.write_text(
        "reference,driving,output,seed,steps,preset\n"
        f"{avatar},driving.mp4,a.mp4,,1,\nplain.png,driving.mp4,b.mp4,,1,\n{avatar},talk.safetensors,c.gif,5,,preview\n"
    )
    return path


def test_clips_are_made_once_and_failures_told(tmp_path: Path, manifest: Path) -> None:
    out = tmp_path / "out"
    tracked = CliRunner().invoke(
        app, ["track", str(tmp_path / "driving.mp4"), "-o", str(tmp_path / "talk.safetensors")]
    )
    assert tracked.exit_code == 0, tracked.stderr
    code, told = run(manifest, "-o", out)
    assert code == 6, told
    assert "b.mp4: No face was found" in told
    assert "2 finished, 1 failed" in told
    assert [len(list(VideoSource(out / name))) for name in ("a.mp4", "c.gif")] == [FRAMES, FRAMES]
    report = json.loads((out / "report.json").read_text())
    assert (report["finished"], list(report["failed"])) == (["a.mp4", "c.gif"], ["b.mp4"])
    code, told = run(manifest, "-o", out)
    assert (code, "2 skipped, 1 failed" in told) == (6, True), told


def test_a_manifest_that_is_wrong_stops_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("reference,driving,output\na.png,b.mp4,../c.mp4\n")
    code, told = run(path, "-o", tmp_path / "out")
    assert (code, "line 2, column output" in told) == (3, True), told
    assert not (tmp_path / "out").exists()


def test_an_interruption_says_that_it_goes_on(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Animator, row: Row) -> Result:
        raise KeyboardInterrupt

    (tmp_path / "talk.safetensors").touch()
    monkeypatch.setattr(Animator, "animate", interrupted)
    code, told = run(manifest, "-o", tmp_path / "out")
    assert (code, "the same command goes on" in told) == (130, True), told
    assert len(json.loads((tmp_path / "out/report.json").read_text())["waiting"]) == 3


def test_workers_are_sent_what_was_asked_for(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []

    def record(self: Batch, execute: object, on_result: object) -> object:
        sent.append(execute)
        raise KeyboardInterrupt

    monkeypatch.setattr(Batch, "run", record)
    for options in ([], ["--workers", 3], ["--ray", "auto"]):
        run(manifest, "-o", tmp_path / "out", *options)
    here, three, cluster = map(repr, sent)
    assert "in_this_process" in here
    assert "workers=3, address=None" in three
    assert "workers=1, address='auto'" in cluster


def test_the_name_of_a_model_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    names = {name_of(None, None, None, "float32"), name_of(str(tmp_path), None, None, "float32")}
    (tmp_path / "weights").write_text("2")
    names |= {name_of(str(tmp_path), None, None, "float32"), name_of(str(tmp_path), None, None, "bfloat16")}
    names |= {name_of("someone/model", None, None, "float32"), name_of(None, "mimaface", None, "float32")}
    assert len(names) == 6


def test_an_untrained_pipeline_is_told_and_a_face_model_without_landmarks_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from anifacediff.assemblies import AniFaceDiffPipeline
    from anifacediff.assemblies.exchange import UntrainedWarning
    from anifacediff.errors import InputError

    pipe = AniFaceDiffPipeline.untrained()
    monkeypatch.setattr(pipe, "alignment", SimpleNamespace(morphable_model=object()))
    with pytest.raises(InputError, match="no landmarks"), pytest.warns(UntrainedWarning, match="vae"):
        PipelineClips(pipe)
