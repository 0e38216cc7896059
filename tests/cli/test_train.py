from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.cli import app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_step_finds_what_the_one_before_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HELD_OUT", "HELD_OUT_CLIPS", "CLIPS"):
        monkeypatch.setattr(import_module("anifacediff.cli.train"), name, 2)
    run("data", "-o", tmp_path, "--identities", 2)
    for step in ("vae", "stage1", "decoder", "stage2"):
        run(step, "-o", tmp_path, "--steps", 1)
    run("export", "-o", tmp_path, "--temporal")
    pipe = AniFaceDiffPipeline.from_pretrained(tmp_path / "pipeline")
    assert "motion_max_seq_length" in pipe.unet.config
    assert pipe.untrained_parts == ()
    told = [path.read_text() for path in (tmp_path / "pipeline").rglob("*.json")]
    assert not any(str(tmp_path) in text for text in told)


def test_a_step_says_what_it_lacks(tmp_path: Path):
    result = CliRunner().invoke(app, ["train", "stage1", "-o", str(tmp_path)])
    assert result.exit_code != 0
    assert "anifacediff train data" in result.output
