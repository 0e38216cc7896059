import json
from pathlib import Path

import pytest
from suites import make_pipeline
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.cli.report import BAD_INPUT, BAD_OUTPUT

QUICK = ("--identities", "2", "--frames", "2", "--steps", "1")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", *(str(argument) for argument in arguments)])
    return result.exit_code, " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    make_pipeline().save_pretrained(folder)
    return folder


def test_a_folder_has_figures_table_and_pictures(tmp_path: Path, model: Path):
    folder = tmp_path / "out"
    code, told = run("-o", folder, "--model", model, *QUICK, "--arms", "truth, model", "--metrics", "psnr,ssim")
    assert code == 0, told
    assert "UNTRAINED: unet" in told
    rows = json.loads((folder / "results.json").read_text())
    assert [(row["task"], row["arm"], row["metric"]) for row in rows] == [
        (task, arm, metric) for task in ("same", "cross") for arm in ("truth", "model") for metric in ("psnr", "ssim")
    ]
    for name in ("table.md", "index.html"):
        text = (folder / name).read_text()
        assert "UNTRAINED: unet." in text
        assert "2 avatars drawn" in text
        assert "1 steps from noise, seed 0" in text
    assert {path.name for path in (folder / "pictures").iterdir()} == {
        *("same.webp", "same-0.png", "same-1.png"),
        *("cross.webp", "cross-0.png", "cross-1.png"),
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--arms", "perfect"), "arms: expected some of truth, vae"),
        (("--metrics", "beauty"), "metrics: expected some of psnr, psnr-eyes"),
        (("--suite", "mega"), "suite: expected one of nano, found 'mega'"),
    ],
)
def test_unknown_names_are_told_with_those_there_are(tmp_path: Path, model: Path, wrong: tuple[str, str], says: str):
    code, told = run("-o", tmp_path / "out", "--model", model, *QUICK, *wrong)
    assert code == BAD_INPUT
    assert says in told
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused_before_the_work(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    assert run("-o", tmp_path)[0] == BAD_OUTPUT
