"""What the documents show is run as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

from anifacediff.media import VideoSource
from anifacediff.registry import PluginSource, Registry

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    whole, parts = blocks("README.md", "python")
    names: dict[str, object] = {}
    exec(whole, names)
    exec(parts, names)
    assert len(list(VideoSource("animated.mp4"))) == len(list(VideoSource("examples/media/driving.mp4")))


def test_the_plugin_of_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "anifacediff_middle"
    package.mkdir()
    hooks, tracker = blocks("CONTRIBUTING.md", "python")
    (package / "__init__.py").write_text(hooks)
    (package / "tracker.py").write_text(tracker)
    monkeypatch.syspath_prepend(tmp_path)
    import anifacediff_middle  # pyright: ignore[reportMissingImports]  # written above

    registry = Registry(lambda: [PluginSource("middle", "anifacediff-middle", "0.1.0", lambda: anifacediff_middle)])
    (face,) = registry.trackers["middle"]()(np.zeros((100, 80, 3), dtype=np.uint8))
    assert face.landmarks[:, 0].mean() == pytest.approx(40, abs=5)


def test_documents_name_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake (setup|demo|test|check|clean)\b", (ROOT / document).read_text()))
        assert named <= targets
        assert {"demo", "test"} <= named
