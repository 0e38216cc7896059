"""What the documents show is run as it stands there."""

import re
from pathlib import Path

import pytest

from anifacediff.media import VideoSource

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


def test_documents_name_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake (setup|demo|docs|test|check|clean)\b", (ROOT / document).read_text()))
        assert named <= targets
        assert {"demo", "test"} <= named
