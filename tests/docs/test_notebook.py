"""The notebook runs from its first cell to its last."""

import json
from pathlib import Path

import numpy as np
import pytest

from anifacediff.media import VideoSource

EXAMPLES = Path(__file__).parents[2] / "examples"
CELLS = [
    cell for cell in json.loads((EXAMPLES / "quickstart.ipynb").read_text())["cells"] if cell["cell_type"] == "code"
]


def test_the_notebook_is_kept_without_outputs() -> None:
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS)


def test_the_notebook_makes_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "media").symlink_to(EXAMPLES / "media")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "notebook"}
    for number, cell in enumerate(CELLS):
        exec(compile("".join(cell["source"]), f"code cell {number}", "exec"), names)
    frames = list(VideoSource(tmp_path / "quickstart.gif"))
    assert len(frames) == 8
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1, "it moves"
    assert "changed while attached: True | as before afterwards: True" in capsys.readouterr().out
