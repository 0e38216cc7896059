import json
from pathlib import Path

import pytest
from prepared_clips import small_pipeline, write_prepared
from typer.testing import CliRunner

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.cli import app


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_pipeline().save_pretrained(folder)
    return folder


def test_prepare_reports_what_it_leaves_out(model: Path, tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    options = ["-o", str(tmp_path / "data"), "--model", str(model), "--tracker", "drawn"]
    result = CliRunner().invoke(app, ["prepare", str(tmp_path / "videos"), *options])
    assert result.exit_code == 0, result.output
    assert "broken.mp4: left out (unreadable)" in result.output
    report = json.loads((tmp_path / "data" / "report.json").read_text())
    assert report["refused"] == {"unreadable": ["broken.mp4"]}
    ninth = CliRunner().invoke(app, ["prepare", str(tmp_path / "videos"), *options, "--share", "8", "--shares", "8"])
    assert ninth.exit_code == 3
    assert "share" in ninth.output
    again = CliRunner().invoke(app, ["prepare", str(tmp_path / "videos"), *options, "--pose", "30"])
    assert again.exit_code == 3
    assert "another folder" in again.output


def test_train_full_ends_in_a_pipeline_and_goes_on_from_there(model: Path, tmp_path: Path):
    data = write_prepared(tmp_path / "data", "", latents=False)
    options = ["-o", str(tmp_path / "run"), "--model", str(model), "--workers", "0", "--no-checkpointing"]
    for steps in (1, 2):
        result = CliRunner().invoke(app, ["train", "full", str(data), *options, "--steps", str(steps)])
        assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert "pose_encoder" not in AniFaceDiffPipeline.from_pretrained(tmp_path / "run" / "pipeline").untrained_parts
    refused = CliRunner().invoke(app, ["train", "full", str(data), *options, "--untold", "0.5"])
    assert refused.exit_code == 3


def test_train_full_says_what_it_lacks(model: Path, tmp_path: Path):
    result = CliRunner().invoke(
        app, ["train", "full", str(tmp_path), "-o", str(tmp_path / "run"), "--model", str(model)]
    )
    assert result.exit_code == 3
    assert "anifacediff prepare" in result.output
