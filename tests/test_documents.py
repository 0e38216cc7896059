"""What the documents show is run as it stands there."""

import re
from itertools import islice
from pathlib import Path

import pytest

from anifacediff.media import VideoSource, VideoWriter

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, shown = ROOT / "examples" / "media", tmp_path / "examples" / "media"
    shown.mkdir(parents=True)
    (shown / "avatar.png").symlink_to(samples / "avatar.png")
    clip = VideoSource(samples / "driving.mp4")
    with VideoWriter(shown / "driving.mp4", clip.fps) as short:  # the whole one takes half a minute
        for frame in islice(clip, 6):
            short.write(frame)
    monkeypatch.chdir(tmp_path)
    whole, parts = blocks("README.md", "python")
    names: dict[str, object] = {}
    exec(whole, names)
    exec(parts, names)
    assert len(list(VideoSource("animated.mp4"))) == 6


def test_documents_name_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake (setup|demo|docs|test|check|clean)\b", (ROOT / document).read_text()))
        assert named <= targets
        assert {"demo", "test"} <= named
