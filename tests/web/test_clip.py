"""What is refused of a visitor's clip, and when."""

from pathlib import Path

import pytest
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.live import Closed
from anifacediff.media import VideoSource
from anifacediff.web import clip
from anifacediff.web.clip import frames_within, open_clip

PICTURES = 5


@pytest.fixture
def animation(tmp_path: Path) -> Path:
    first, *others = [Image.new("L", (8, 8), 40 * number) for number in range(PICTURES)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)
    return tmp_path / "a.gif"


def test_opening_and_reading_are_watched(animation: Path):
    calls = list[None]()
    source = open_clip(animation, 0.5, lambda: calls.append(None))
    assert len(calls) >= PICTURES
    calls.clear()
    assert len(list(frames_within(source, 0.5))) == PICTURES
    assert len(calls) >= PICTURES


def test_what_the_watch_raises_ends_the_opening(animation: Path):
    calls = list[None]()

    def watch() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Closed

    with pytest.raises(Closed):
        open_clip(animation, 0.5, watch)


def test_large_frames_are_refused_before_any_is_decoded(animation: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clip, "LARGEST_FRAME", 63)
    with pytest.raises(InputError, match="have 8 x 8 pixels, more than the 63"):
        open_clip(animation, 1.0, lambda: pytest.fail("a picture was decoded"))


def test_too_many_pixels_end_the_opening(animation: Path):
    calls = list[None]()
    with pytest.raises(InputError, match=r"more pixels than 0\.001 seconds of 1920 x 1080"):
        open_clip(animation, 0.001, lambda: calls.append(None))
    assert 0 < len(calls) < PICTURES


def test_a_clip_that_is_longer_than_it_says_is_refused_while_it_is_read(animation: Path):
    taken = list[object]()
    with pytest.raises(InputError, match=r"longer than the 0\.2 seconds"):
        taken.extend(frames_within(VideoSource(animation), 0.2))
    assert len(taken) == 2
