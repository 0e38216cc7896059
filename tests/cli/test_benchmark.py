import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.cli.report import BAD_INPUT, BAD_OUTPUT

QUICK = ("--frames", "2", "--steps", "1", "--device", "cpu")
SMALL = ("--assembly", "anifacediff", "--image-size", "64")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["benchmark", *QUICK, *(str(argument) for argument in arguments)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_figures_are_printed_and_written(tmp_path: Path):
    code, out, told = run(*SMALL, "-o", tmp_path / "figures")
    assert code == 0, told
    for stage in ("tracking", "reference pass", "control maps", "denoiser", "VAE decode", "write"):
        assert stage in out
    figures = json.loads((tmp_path / "figures" / "benchmark.json").read_text())
    assert figures["clip"]["image_size"] == 64
    assert figures["clip"]["frames"] == 2
    assert figures["machine"]["threads"] >= 1
    assert Image.open(tmp_path / "figures" / "benchmark.png").width > 500


def test_programs_get_json_in_the_precision_asked_for():
    code, out, told = run(*SMALL, "--dtype", "bfloat16", "--guidance", "1", "--json")
    assert code == 0, told
    assert json.loads(out)["clip"] == {
        "assembly": "AniFaceDiffPipeline",
        "model": "small, random weights",
        "frames": 2,
        "steps": 1,
        "image_size": 64,
        "guidance": 1.0,
        "dtype": "bfloat16",
        "compiled": False,
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--image-size", "64"), "has its own"),
        (("--model", "folder", "--size", "full"), "has its own"),
        (("--size", "full", "--assembly", "unheard"), "at full size there are anifacediff"),
    ],
)
def test_what_cannot_be_made_is_told(wrong: tuple[str, ...], says: str):
    code, _, told = run(*wrong)
    assert (code, says in told) == (BAD_INPUT, True), told


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    code, _, told = run("-o", tmp_path / "file" / "figures")
    assert code == BAD_OUTPUT, told
