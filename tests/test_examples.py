"""The examples run, write something to look at, and stay short."""

import ast
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anifacediff.media import VideoSource

EXAMPLES = Path(__file__).parents[1] / "examples"
WRITES = {
    "animatediff": "gif",
    "expression_adapter": "png",
    "facial_alignment": "png",
    "head": "png",
    "image_tokens": "png",
    "mixture_continued": "png",
    "mixture_guidance": "png",
    "mixture_multilevel_pose": "png",
    "paste_back": "png",
    "pipeline": "gif",
    "plane_sweep": "png",
    "plugin": "png",
    "pose_encoder": "png",
    "rasterizer": "png",
    "reference_net": "png",
    "reference_warp": "png",
    "sampling": "png",
    "temporal_modules": "gif",
    "webcam": "mp4",
}
LONGEST = 30
BESIDE = {"tiny"}  # what the examples import


def code_lines(source: str) -> int:
    """Count the lines that are neither empty, nor comments alone, nor the module's docstring."""
    docstring = ast.parse(source).body[0].end_lineno or 0
    lines = (line.strip() for line in source.splitlines()[docstring:])
    return sum(1 for line in lines if line and not line.startswith("#"))


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == WRITES.keys() | BESIDE


def test_every_example_is_explained():
    page = (EXAMPLES.parent / "docs" / "components.md").read_text()
    assert [name for name in sorted(WRITES.keys() | BESIDE) if f"(../examples/{name}.py)" not in page] == []


@pytest.mark.parametrize("name", WRITES)
def test_an_example_is_short_and_says_what_it_shows(name: str):
    source = (EXAMPLES / f"{name}.py").read_text()
    assert ast.get_docstring(ast.parse(source))
    assert 5 < code_lines(source) <= LONGEST


def test_the_components_on_a_stock_pipeline_take_less_than_thirty_lines():
    assert code_lines((EXAMPLES / "animatediff.py").read_text()) < 30


@pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")
@pytest.mark.parametrize("name", WRITES)
def test_an_example_writes_something_to_look_at(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = run(name, [str(tmp_path / f"mine.{WRITES[name]}")], tmp_path, monkeypatch)
    assert written.name == f"mine.{WRITES[name]}"
    frames = list(VideoSource(written))
    assert all(frame.std() > 10 for frame in frames), "a picture of one colour shows nothing"
    if WRITES[name] != "png":
        assert len(frames) > 1
        assert not np.array_equal(frames[0], frames[-1])


def test_without_an_argument_an_example_writes_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert run("rasterizer", [], tmp_path, monkeypatch).name == "rasterizer.png"


@pytest.mark.parametrize("name", ["expression_adapter", "reference_net", "pose_encoder"])
def test_the_pictures_of_an_example_differ(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sheet = np.array(Image.open(run(name, [], tmp_path, monkeypatch)).convert("RGB")).astype(int)
    size = 128
    first, last = sheet[-size:, -2 * size - 2 : -size - 2], sheet[-size:, -size:]
    assert np.abs(first - last).mean() > 0.5


def run(name: str, arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run an example in this process; returns the one file that it wrote."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    (written,) = folder.iterdir()
    return written
