import gc
import os
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import jaxtyping
import numpy as np
import psutil
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image

from anifacediff.errors import MediaError, OutputError, ShapeError
from anifacediff.media import video
from anifacediff.media.video import VideoSource
from anifacediff.media.writer import VideoWriter, check_writable

HEIGHT, WIDTH = 48, 64


def frame(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth picture whose colours tell its number and its orientation."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 4 * index % 256)], -1).astype(
        np.uint8
    )


def noise(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write(path: Path, frames: int = 20, fps: Fraction | int = 10, *, audio_from: Path | None = None) -> Path:
    return save(path, [frame(index) for index in range(frames)], fps, audio_from=audio_from)


def save(path: Path, frames: Iterable[np.ndarray], fps: Fraction | int = 10, *, audio_from: Path | None = None) -> Path:
    with VideoWriter(path, fps, audio_from=audio_from) as writer:
        for picture in frames:
            writer.write(picture)
    return path


def record(path: Path, *, seconds: float = 2, sound: str | None = None, rotation: int = 0, noisy: bool = False) -> Path:
    """A clip made with PyAV alone: 10 frames a second, a tone of 440 Hz if ``sound`` names an encoder."""
    with av.open(path, "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        video = container.add_stream("libx264" if path.suffix == ".mp4" else "libvpx-vp9", rate=10)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        tone = cast(AudioStream, container.add_stream(sound, rate=48000)) if sound else None
        for index in range(round(seconds * 10)):
            picture = noise(index) if noisy else frame(index)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if tone is not None:
            wave = np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48000)) / 48000).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
            samples.sample_rate = 48000
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def sound_of(path: Path) -> tuple[str, np.ndarray, int]:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        samples = [decoded.to_ndarray().astype(np.float64) for decoded in container.decode(stream)]
        return stream.codec_context.name, np.concatenate([s[0] for s in samples]), stream.rate


def packets_of(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(("name", "tolerance"), [("a.mp4", 4), ("a.mov", 4), ("a.webm", 6), ("a.gif", 6), ("a", 0)])
def test_round_trip(tmp_path: Path, name: str, tolerance: float) -> None:
    path = write(tmp_path / name)
    source = VideoSource(path, fps=Fraction(10))
    frames = list(source)
    assert (source.size, source.fps, source.num_frames, source.has_audio) == ((HEIGHT, WIDTH), 10, 20, False)
    assert len(frames) == 20
    for index, read in enumerate(frames):
        assert np.abs(read.astype(float) - frame(index)).mean() <= tolerance, index


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_flat_colors_come_back_without_a_tint(tmp_path: Path, suffix: str) -> None:
    colors = [(200, 40, 30), (30, 180, 60), (50, 60, 210), (128, 128, 128)]
    path = save(tmp_path / f"a{suffix}", [np.full((HEIGHT, WIDTH, 3), color, dtype=np.uint8) for color in colors])
    for color, read in zip(colors, VideoSource(path), strict=True):
        assert np.abs(read.mean((0, 1)) - color).max() < 3


def test_reading_twice_gives_the_same_frames(tmp_path: Path) -> None:
    source = VideoSource(write(tmp_path / "a.mp4"))
    for first, second in zip(source, source, strict=True):
        assert np.array_equal(first, second)


def test_ntsc_speed_is_exact(tmp_path: Path) -> None:
    assert VideoSource(write(tmp_path / "a.mp4", fps=Fraction(30000, 1001))).fps == Fraction(30000, 1001)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_of_phone_videos_is_applied(tmp_path: Path, rotation: int) -> None:
    stored = list(VideoSource(record(tmp_path / "stored.mp4")))
    source = VideoSource(record(tmp_path / "turned.mp4", rotation=rotation))
    turned = list(source)
    assert source.size == turned[0].shape[:2]
    assert np.abs(turned[3].astype(float) - np.rot90(stored[3], rotation // 90)).mean() < 2


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    (read,) = VideoSource(save(tmp_path / "a.mp4", [frame(0, 47, 63)]))
    assert read.shape == (48, 64, 3)
    padded = np.pad(frame(0, 47, 63), ((0, 1), (0, 1), (0, 0)), mode="edge")
    assert np.abs(read.astype(float) - padded).mean() < 4


def test_folder_in_natural_order_ignores_other_files(tmp_path: Path) -> None:
    for index in (1, 2, 10):
        Image.fromarray(frame(index)).save(tmp_path / f"frame{index}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_text("no frame")
    source = VideoSource(tmp_path)
    assert [int(read[0, 0, 2]) for read in source] == [4, 8, 40]
    assert (source.fps, source.num_frames) == (25, 3)


def test_still_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    Image.fromarray(frame(7)).save(tmp_path / "a.png")
    source = VideoSource(tmp_path / "a.png", fps=Fraction(12))
    assert (source.fps, source.num_frames) == (12, 1)
    (read,) = source
    assert np.array_equal(read, frame(7))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animated_images(tmp_path: Path, suffix: str) -> None:
    pictures = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    path = tmp_path / f"a{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    source = VideoSource(path)
    assert (source.fps, source.num_frames) == (20, 3)
    assert [int(read[4, 4].argmax()) for read in source] == [0, 1, 2]


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "a"])
def test_what_a_watch_raises_ends_the_reading(tmp_path: Path, name: str) -> None:
    told = list[int]()

    def watch(number: int) -> None:
        told.append(number)
        if number == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(VideoSource(write(tmp_path / name), watch=watch))
    assert max(told) == 3


def test_suffix_may_lie(tmp_path: Path) -> None:
    record(tmp_path / "a.mp4").rename(tmp_path / "a.gif")
    assert len(list(VideoSource(tmp_path / "a.gif"))) == 20


def test_copied_sound_is_the_same_and_as_long_as_the_pictures(tmp_path: Path) -> None:
    driving = record(tmp_path / "driving.mp4", sound="aac")
    whole = write(tmp_path / "whole.mp4", 20, audio_from=driving)
    half = write(tmp_path / "half.mp4", 10, audio_from=driving)
    assert VideoSource(whole).has_audio
    assert packets_of(whole) == packets_of(driving)[: len(packets_of(whole))]
    name, samples, rate = sound_of(half)
    assert name == "aac"
    assert abs(len(samples) / rate - 1.0) < 0.05
    steady = np.abs(np.fft.rfft(samples[rate // 5 : rate * 4 // 5]))
    assert abs(steady.argmax() * rate / (rate * 3 // 5) - 440) < 5


@pytest.mark.parametrize(("recorded", "written", "codec"), [(".webm", ".mp4", "aac"), (".mp4", ".webm", "opus")])
def test_sound_is_encoded_anew_where_the_container_needs_it(
    tmp_path: Path, recorded: str, written: str, codec: str
) -> None:
    driving = record(tmp_path / f"driving{recorded}", sound="libopus" if recorded == ".webm" else "aac")
    name, samples, rate = sound_of(write(tmp_path / f"out{written}", 10, audio_from=driving))
    assert name == codec
    assert abs(len(samples) / rate - 1.0) < 0.05
    assert np.abs(samples).max() > 0.5


def test_silent_sources_give_silent_videos(tmp_path: Path) -> None:
    driving = record(tmp_path / "driving.mp4")
    Image.fromarray(frame(0)).save(tmp_path / "still.png")
    folder = write(tmp_path / "folder")
    for source in (driving, tmp_path / "still.png", folder):
        assert not VideoSource(write(tmp_path / "out.mp4", audio_from=source)).has_audio


def test_sound_into_a_gif_or_folder_is_left_out(tmp_path: Path) -> None:
    driving = record(tmp_path / "driving.mp4", sound="aac")
    assert len(list(VideoSource(write(tmp_path / "out.gif", audio_from=driving)))) == 20
    assert len(list(VideoSource(write(tmp_path / "out", audio_from=driving)))) == 20


def cut_end(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def cut_middle(data: bytes) -> bytes:
    return data[: len(data) // 2] + data[len(data) // 2 + 1000 :]


def blank_middle(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 3000 :]


@pytest.mark.parametrize("damage", [cut_end, cut_middle, blank_middle])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_damage_is_noticed_and_located(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]) -> None:
    path = record(tmp_path / f"a{suffix}", seconds=4, noisy=True)
    path.write_bytes(damage(path.read_bytes()))
    source = VideoSource(path)
    read: list[np.ndarray] = []
    with pytest.raises(MediaError, match=rf"a\{suffix}: truncated or damaged: \d+ frames could be read") as caught:
        read.extend(source)
    assert f" {len(read)} frames could be read ({len(read) / 10:.2f} s)" in str(caught.value)
    assert 5 < len(read) < 35


@pytest.mark.parametrize("keep", [0.55, 0.99])
def test_truncated_gif_is_refused(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "a.gif")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(MediaError, match="truncated"):
        list(VideoSource(path))


def test_video_without_its_end_where_the_index_is(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.mp4")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(MediaError, match=r"plain\.mp4.*truncated or damaged"):
        VideoSource(path)


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "folder").mkdir()
    (tmp_path / "mixed").mkdir()
    Image.fromarray(frame(0)).save(tmp_path / "mixed" / "0.png")
    Image.fromarray(frame(0, 10, 12)).save(tmp_path / "mixed" / "1.png")
    cases = {
        "none.mp4": "no such file",
        "empty.mp4": "empty",
        "text.mp4": "neither an image nor a video",
        "folder": "no images",
        "mixed": r"12 x 10 pixels, but 0\.png has 64 x 48",
    }
    for name, message in cases.items():
        with pytest.raises(MediaError, match=message):
            VideoSource(tmp_path / name)


def encode(path: Path, codec: str, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """A clip of five frames made with PyAV alone."""
    with av.open(path, "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=10))
        stream.width, stream.height = width, height
        stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        for index in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(index, height, width), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.mov", "png")])
def test_bombs_are_refused_before_a_frame_is_decoded(
    tmp_path: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    path = encode(tmp_path / name, codec)
    monkeypatch.setattr(video, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    monkeypatch.setattr(video, "_Reading", never)
    with pytest.raises(MediaError, match="the frames have more than 3,071 pixels"):
        VideoSource(path)


def test_a_bomb_that_follows_small_frames_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = encode(tmp_path / "1.h264", "libx264"), encode(tmp_path / "2.h264", "libx264", 480, 640)
    (tmp_path / "a.h264").write_bytes(small.read_bytes() + large.read_bytes())
    monkeypatch.setattr(video, "MAX_PIXELS", HEIGHT * WIDTH)
    with pytest.raises(MediaError, match=r"frames could be read .* then: Invalid data"):
        list(VideoSource(tmp_path / "a.h264"))


def test_animations_are_not_read_into_memory_as_a_whole(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, 256, (300, 300), np.uint8)) for _ in range(30)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=50)
    size = (tmp_path / "a.gif").stat().st_size
    tracemalloc.start()
    VideoSource(tmp_path / "a.gif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 2_500_000
    assert peak < 0.6 * size


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.m4a", "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="flt", layout="mono")
        samples.sample_rate = 48000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="no video track"):
        VideoSource(tmp_path / "a.m4a")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a"])
@pytest.mark.parametrize("frames", [0, 1, 15])
def test_nothing_is_left_after_an_exception(tmp_path: Path, name: str, frames: int) -> None:
    def interrupted() -> Iterator[np.ndarray]:
        yield from (frame(index) for index in range(frames))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / name, interrupted())
    assert list(tmp_path.iterdir()) == []


def test_an_old_result_survives_a_failed_new_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    before = path.read_bytes()
    with pytest.raises(ShapeError, match=r"expected shape \(h, w, 3\) = \(48, 64, 3\).*found \(10, 12, 3\)"):
        save(path, [frame(0), frame(1, 10, 12)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frames"):
        save(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_damaged_sound_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "driving.mp4").write_text("no video")
    with pytest.raises(MediaError, match="the sound cannot be read"):
        write(tmp_path / "out.mp4", audio_from=tmp_path / "driving.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["driving.mp4"]


def test_unwritable_outputs_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.png").touch()
    (tmp_path / "in.mp4").touch()
    os.symlink(tmp_path / "in.mp4", tmp_path / "link.mp4")
    cases = {
        "a.xyz": r"unknown suffix '\.xyz'.*\.mp4",
        "missing/a.mp4": "Create it first",
        "folder.mp4": "in the way",
        "full": "not an empty folder",
        "file": "not an empty folder",
        "in.mp4": "input itself",
        "link.mp4": "input itself",
    }
    for name, message in cases.items():
        with pytest.raises(OutputError, match=message):
            check_writable(tmp_path / name, inputs=[tmp_path / "in.mp4"])
    check_writable(tmp_path / "new.mp4", inputs=[tmp_path / "in.mp4"])
    assert not (tmp_path / "new.mp4").exists()


@pytest.mark.parametrize("fps", [0, -5])
def test_a_video_needs_frames_per_second(tmp_path: Path, fps: int):
    with pytest.raises(OutputError, match=f"more than zero frames per second, found {fps}"):
        VideoWriter(tmp_path / "a.mp4", fps)


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "x" * 300, "a\0.mp4", "file/a.mp4"])
def test_names_that_no_file_can_have_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="nothing can be written there"):
        check_writable(tmp_path / name, inputs=[tmp_path / "in.mp4"])
    with pytest.raises(MediaError, match="there is no such file"):
        VideoSource(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 245 + ".mp4", "x" * 251 + ".mp4", "x" * 255])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    assert len(list(VideoSource(write(tmp_path / name, 3)))) == 3


def test_a_folder_that_vanished_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    writer = VideoWriter(tmp_path / "folder" / "a.mp4", 10)
    (tmp_path / "folder").rmdir()
    with pytest.raises(OutputError, match="writing failed"):
        writer.__enter__()


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
@pytest.mark.parametrize(
    "wrong", [frame(0) / 255, frame(0)[..., 0], np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)]
)
def test_frames_that_are_no_pictures_are_refused(
    tmp_path: Path, name: str, wrong: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    with pytest.raises(ShapeError, match=r"frame: expected uint8 pixels \(h w 3\) in RGB, found"):
        save(tmp_path / name, [wrong])
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to() -> None:
    with pytest.raises(OutputError, match="cannot be written to"):
        check_writable("/proc/out.mp4")


def test_gif_has_a_top_speed(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at most 50"):
        VideoWriter(tmp_path / "a.gif", 60)


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        gc.collect()
        tracemalloc.start()
        path = save(tmp_path / f"{frames}.mp4", (frame(index) for index in range(frames)))
        for _ in VideoSource(path):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(20)
    process = psutil.Process()
    few, before = peak(100), process.memory_info().rss
    many, after = peak(800), process.memory_info().rss
    assert many < few * 1.05 + 10_000
    assert after - before < 3_000_000  # 700 frames are 6 MB
