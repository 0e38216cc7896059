from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anifacediff.errors import MediaError
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.media.timing import Pace, steady_speed

CODECS = {".mp4": "libx264", ".webm": "libvpx-vp9", ".mkv": "libx264"}


def record(path: Path, times: list[int], *, last: int = 100, sound: bool = False) -> Path:
    """A clip whose pictures appear at ``times`` in milliseconds, each a grey of its own, the last for ``last``."""
    with av.open(path, "w") as container:
        video = cast(VideoStream, container.add_stream(CODECS[path.suffix], rate=1000))
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
        for index, (time, until) in enumerate(pairwise([*times, times[-1] + last])):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey(index), np.uint8), format="rgb24")
            picture.pts, picture.time_base, picture.duration = time, Fraction(1, 1000), until - time
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        seconds = (times[-1] + last) / 1000 if sound else 0.1
        samples = av.AudioFrame.from_ndarray(
            np.zeros((1, int(48000 * seconds)), np.float32), format="flt", layout="mono"
        )
        samples.sample_rate = 48000
        container.mux(tone.encode(samples))
        container.mux(tone.encode(None))
    return path


def grey(index: int) -> int:
    return 20 + 28 * index


def shown(path: Path) -> list[int]:
    """Which picture each frame is."""
    return [round((float(frame.mean()) - 20) / 28) for frame in VideoSource(path)]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_a_clip_of_changing_speed_keeps_its_times(tmp_path: Path, suffix: str):
    times = [0, 100, 200, 500, 600, 650, 700, 800]  # waits, then hurries
    source = VideoSource(record(tmp_path / f"a{suffix}", times))
    assert source.fps == 10
    assert shown(source.path) == [0, 1, 2, 2, 2, 3, 4, 6, 7]
    assert source.num_frames == 9


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_jitter_of_less_than_half_a_frame_changes_nothing(tmp_path: Path, suffix: str):
    source = VideoSource(record(tmp_path / f"a{suffix}", [0, 110, 190, 310, 395, 500]))
    assert shown(source.path) == [0, 1, 2, 3, 4, 5]
    assert float(source.fps) == pytest.approx(10, abs=0.3)


def test_pictures_stay_with_their_sound_in_the_result(tmp_path: Path):
    clip = record(tmp_path / "a.mp4", [0, 40, 80, 120, 520, 560, 600, 640, 680], last=40, sound=True)
    source = VideoSource(clip)
    with VideoWriter(tmp_path / "out.mp4", source.fps, audio_from=clip) as writer:
        for frame in source:
            writer.write(frame)
    with av.open(tmp_path / "out.mp4") as container:
        long = [float(stream.duration * stream.time_base) for stream in container.streams]  # pyright: ignore[reportOperatorIssue]
    assert long == pytest.approx([0.72, 0.72], abs=0.04)


def test_an_animation_of_changing_speed_keeps_its_times(tmp_path: Path):
    pictures = [Image.new("L", (8, 8), grey(index)) for index in range(4)]
    for suffix in (".gif", ".webp", ".png"):
        path = tmp_path / f"a{suffix}"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 100, 300, 100], lossless=True)
        source = VideoSource(path)
        assert (source.fps, source.num_frames) == (10, 6)
        assert shown(path) == [0, 1, 2, 2, 2, 3], suffix


def test_a_picture_that_stands_for_minutes_is_refused_at_once(tmp_path: Path):
    path = record(tmp_path / "a.mkv", [0, 100, 200, 3_600_000])
    with pytest.raises(MediaError, match=r"a\.mkv: picture 2 stands still for 3600 s, more than 60 s"):
        VideoSource(path)


def seconds(*times: float) -> list[Fraction]:
    return [Fraction(str(time)) for time in times]


def test_steady_clips_need_no_pace():
    for starts in ([], [0], [0, 1], [5, 6, 7], [0, 0, 0]):
        assert Pace.of(seconds(*starts)) is None
    assert Pace.of(seconds(0, 1, 2), Fraction(3)) is None
    assert Pace.of(seconds(0, 1, 2), Fraction(5)) == Pace(Fraction(1), 5)


def test_a_wrong_speed_in_the_file_is_not_believed():
    ntsc = Fraction(30000, 1001)
    starts = [number / ntsc for number in range(100)]
    rounded = [Fraction(round(1000 * start), 1000) for start in starts]
    assert steady_speed(rounded, ntsc) == ntsc
    assert float(steady_speed(rounded, Fraction(1000)) or 0) == pytest.approx(float(ntsc), rel=1e-3)
    assert float(steady_speed(rounded, None) or 0) == pytest.approx(float(ntsc), rel=1e-3)
    assert steady_speed(starts[:1], Fraction(1000)) is None
    assert steady_speed([], ntsc) == steady_speed(starts[:1], ntsc) == steady_speed([Fraction(0)] * 3, ntsc) == ntsc


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 900), min_size=2, max_size=25))
def test_every_frame_is_the_picture_of_its_moment(gaps: list[int]):
    starts = [Fraction(sum(gaps[:index]), 1000) for index in range(len(gaps) + 1)]
    pace = Pace.of(starts)
    if pace is None:
        return
    found = list(pace.steadied(((start + 3, number) for number, start in enumerate(starts))))
    assert len(found) == pace.num_frames
    assert found == sorted(found)
    for frame, number in enumerate(found):
        assert starts[number] <= (frame + Fraction(1, 2)) / pace.fps  # never early by more than half a frame
        if number + 1 < len(starts):
            assert starts[number + 1] * pace.fps > frame - Fraction(3, 2)  # nor late by more than a frame and a half
