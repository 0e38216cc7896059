import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from anifacediff.errors import MediaError
from anifacediff.media import VideoSource, VideoWriter, read_image

SIZE = 32


def png_of_16_bits(path: Path, pixels: np.ndarray) -> Path:
    """A PNG of grey, grey and alpha, RGB, or RGBA, written by hand."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_images_keep_their_upper_bits(tmp_path: Path, channels: int):
    pixels = np.random.default_rng(0).integers(0, 1 << 16, (5, 7, channels)).astype(np.uint16)
    upper = (pixels >> 8).astype(np.uint8)
    if channels in (2, 4):
        pixels[..., -1] = 0xFFFF
        pixels[0, :, -1] = 0
        upper = upper[..., :-1]
        upper[0] = 255  # transparent: white
    read = read_image(png_of_16_bits(tmp_path / "a.png", pixels))
    assert (read == np.broadcast_to(upper, (5, 7, 3))).all()


def encode(path: Path, codec: str, pixels: np.ndarray, form: str) -> Path:
    """A clip of three equal frames."""
    with av.open(path, "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=10))
        stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], form
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=form)))
        container.mux(stream.encode(None))
    return path


def test_transparent_videos_lie_on_white(tmp_path: Path):
    pixels = np.full((SIZE, SIZE, 4), (200, 40, 0, 255), np.uint8)
    pixels[:, :10, 3], pixels[:, 10:20, 3] = 0, 51
    for codec in ("png", "qtrle"):
        form = "rgba" if codec == "png" else "argb"
        stored = pixels if codec == "png" else np.ascontiguousarray(np.roll(pixels, 1, axis=-1))
        first, *_ = VideoSource(encode(tmp_path / f"{codec}.mov", codec, stored, form))
        assert (first[:, :10] == 255).all()
        assert (first[:, 10:20] == (244, 212, 204)).all()
        assert (first[:, 20:] == (200, 40, 0)).all()


@pytest.mark.parametrize(("codec", "form"), [("ffv1", "gray"), ("ffv1", "gray16le")])
def test_grey_and_16_bit_videos_become_rgb(tmp_path: Path, codec: str, form: str):
    grey = np.full((SIZE, SIZE), 77 if form == "gray" else 77 * 257, np.uint8 if form == "gray" else np.uint16)
    frames = list(VideoSource(encode(tmp_path / "a.mkv", codec, grey, form)))
    assert len(frames) == 3
    assert all(abs(frame.astype(int) - 77).max() <= 1 for frame in frames)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("samples", [0, 100])
def test_sound_of_no_length_does_no_harm(tmp_path: Path, suffix: str, samples: int):
    clip = tmp_path / f"a{suffix}"
    with av.open(clip, "w") as container:
        video = container.add_stream("libx264" if suffix == ".mp4" else "libvpx-vp9", rate=10)
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        sound: AudioStream = container.add_stream("aac" if suffix == ".mp4" else "libopus", rate=48000)
        sound.layout = "mono"
        picture = av.VideoFrame.from_ndarray(np.full((SIZE, SIZE, 3), 99, np.uint8), format="rgb24")
        container.mux([packet for _ in range(5) for packet in video.encode(picture)])
        container.mux(video.encode(None))
        if samples:
            wave = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), format="flt", layout="mono")
            wave.sample_rate = 48000
            container.mux(sound.encode(wave))
            container.mux(sound.encode(None))
    source = VideoSource(clip)
    assert source.has_audio or not samples  # MP4 leaves the empty track out
    for name in ("out.mp4", "out.webm"):
        with VideoWriter(tmp_path / name, source.fps, audio_from=clip) as writer:
            for frame in source:
                writer.write(frame)
        assert len(list(VideoSource(tmp_path / name))) == 5


def clip_with_sound(path: Path) -> bytes:
    """A short MP4 with AAC sound."""
    with av.open(path, "w") as container:
        video, sound = container.add_stream("libx264", rate=10), container.add_stream("aac", rate=48000)
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((SIZE, SIZE, 3), 99, np.uint8), format="rgb24")
        container.mux([packet for _ in range(5) for packet in video.encode(picture)])
        container.mux(video.encode(None))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), format="flt", layout="mono")
        wave.sample_rate = 48000
        container.mux(sound.encode(wave))
        container.mux(sound.encode(None))
    return path.read_bytes()


def test_codecs_that_nobody_knows_are_told(tmp_path: Path):
    clip, out = tmp_path / "a.mp4", tmp_path / "out.mp4"
    whole = clip_with_sound(clip)
    clip.write_bytes(whole.replace(b"avc1", b"zzzz"))
    with pytest.raises(MediaError, match="coded in a way that the installed FFmpeg does not know"):
        VideoSource(clip)
    clip.write_bytes(whole.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    source = VideoSource(clip)
    with (
        pytest.raises(MediaError, match="the sound is of a kind that the installed FFmpeg cannot read"),
        VideoWriter(out, source.fps, audio_from=clip) as writer,
    ):
        writer.write(np.zeros((SIZE, SIZE, 3), np.uint8))
    assert not out.exists()


def test_words_in_the_file_may_be_in_any_encoding(tmp_path: Path):
    clip = tmp_path / "a.mkv"
    with av.open(clip, "w") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((SIZE, SIZE, 3), np.uint8), format="rgb24")
        container.mux([*stream.encode(picture), *stream.encode(None)])
    clip.write_bytes(clip.read_bytes().replace(b"TITLE", bytes(range(0xE0, 0xE5))))
    source = VideoSource(clip)
    with VideoWriter(tmp_path / "out.mp4", source.fps, audio_from=clip) as writer:
        for frame in source:
            writer.write(frame)
    assert len(list(VideoSource(tmp_path / "out.mp4"))) == 1


FULL = """
import resource, signal, sys
import numpy as np
from anifacediff.errors import OutputError
from anifacediff.media import VideoWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), dtype=np.uint8)
for name in ("a.mp4", "a.webm", "a.gif", "a"):
    try:
        with VideoWriter(f"{sys.argv[1]}/{name}", 10) as writer:
            for frame in noise:
                writer.write(frame)
    except OutputError as error:
        print(name, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path):
    """A limit to the size of files stands in for the disk: writing fails at the same places, with another number."""
    told = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True).stdout
    lines = told.splitlines()
    assert [line.split()[0] for line in lines] == ["a.mp4", "a.webm", "a.gif", "a"]
    for line in lines:
        assert line.endswith("writing failed (File too large). Is the disk full?"), line
    assert list(tmp_path.iterdir()) == []


def test_a_speed_is_kept_whatever_the_container(tmp_path: Path):
    for speed in (Fraction(24000, 1001), Fraction(25, 2), Fraction(50)):
        for suffix in (".mp4", ".webm"):
            with VideoWriter(tmp_path / f"a{suffix}", speed) as writer:
                for _ in range(12):
                    writer.write(np.zeros((16, 16, 3), np.uint8))
            assert float(VideoSource(tmp_path / f"a{suffix}").fps) == pytest.approx(float(speed), rel=0.005)
