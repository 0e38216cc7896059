"""Moving pictures as a stream of RGB frames, whatever they are kept in."""

import errno
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from anifacediff.errors import InputError, MediaError
from anifacediff.media.audio import has_decoder
from anifacediff.media.images import BOMB, MAX_PIXELS, decode_image, identify_image, open_image, oriented_size, to_rgb
from anifacediff.media.timing import Pace, steady_speed

DEFAULT_FPS = Fraction(25)
"""Frames per second of what has no speed of its own: a folder of images, a still."""

FRAME_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Suffixes of the files that count as frames in a folder."""

_SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""FFmpeg's quick colour conversion darkens a picture by one level; this one does not."""

_GIF_PADDING = 4096
"""Bytes at the end of a GIF among which its end mark is looked for: some writers pad with zeros."""

_ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})

_Watch: TypeAlias = Callable[[int], object]


class VideoSource:
    """A clip that can be read again and again, one frame at a time; memory does not grow with its length.

    What is read is decided by the content: a video (whatever the installed FFmpeg reads), an animated
    GIF, WebP or PNG, a folder of equally large images in natural order (``2.png`` before ``10.png``),
    or a still image, which is a clip of one frame. Transparent parts are laid on white. The rotation
    that phones write beside a video is applied. A clip of changing speed is read at its usual speed,
    with pictures repeated and left out so that it keeps its times, and stays with its sound.

    Iterating yields h w 3 arrays of bytes, RGB, row 0 at the top.

    Args:
        path: the file or folder.
        fps: the speed of a folder of images or a still, :data:`DEFAULT_FPS` if not given; other
            clips have their own, and this is ignored.
        watch: called with the number of a picture before it is read, here too: an animation is read
            as a whole to learn its times. What it raises ends the reading.

    Attributes:
        path: as given.
        fps: frames per second, exact.
        size: height and width of every frame in pixels, upright.
        has_audio: whether the file has a sound track.

    Raises:
        MediaError: if nothing can be read, or, while iterating, if the clip is truncated or corrupted:
            the message says how many frames could be read. A container that declares neither a number
            of frames nor a duration (live WebM) can end anywhere, so there a cut between two frames goes
            unnoticed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: Fraction | None = None,
        watch: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.path = Path(path)
        self._reader = _open_reader(self.path, fps or DEFAULT_FPS, watch)
        self.fps = self._reader.fps
        self.size = self._reader.size
        self.has_audio = isinstance(self._reader, _Video) and self._reader.has_audio
        self._counted: int | None = None

    @property
    def num_frames(self) -> int | None:
        """The number of frames: counted once the clip has been read, else declared by the file, else None."""
        return self._reader.num_frames if self._counted is None else self._counted

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        counted = 0
        for frame in self._reader:
            if frame.shape[:2] != self.size:
                raise MediaError(
                    f"{self.path}: frame {counted} has {_pixels(frame.shape[:2])} pixels, the frames before it "
                    f"{_pixels(self.size)}. Scale the frames to one size first."
                )
            yield frame
            counted += 1
        self._counted = counted


@runtime_checkable
class _Reader(Protocol):
    """One way of keeping a clip."""

    fps: Fraction
    size: tuple[int, int]
    num_frames: int | None

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]: ...


def _open_reader(path: Path, fps: Fraction, watch: _Watch) -> _Reader:
    if os.path.isdir(path):
        return _Images(_frame_files(path), fps, watch)
    image = identify_image(path)
    if image is None:
        return _Video(path, watch)
    with image:
        if image.format in _ANIMATED_FORMATS and getattr(image, "is_animated", False):
            return _Animation(path, watch)
    return _Images([path], fps, watch)


class _Images:
    """A folder of images, or one image."""

    def __init__(self, files: list[Path], fps: Fraction, watch: _Watch) -> None:
        self.fps = fps
        self._watch = watch
        self.num_frames: int | None = len(files)
        self._files = files
        self.size = _image_size(files[0])
        for file in files[1:]:
            if (size := _image_size(file)) != self.size:
                raise MediaError(
                    f"{file}: has {_pixels(size)} pixels, but {files[0].name} has {_pixels(self.size)}. "
                    "The frames of a folder must have one size."
                )

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for number, file in enumerate(self._files):
            self._watch(number)
            with open_image(file) as image:
                yield decode_image(image, file)


class _Animation:
    """An animated image, read by Pillow."""

    def __init__(self, path: Path, watch: _Watch) -> None:
        self._path = path
        self._watch = watch
        self._require_trailer()
        starts = [start for start, _ in self._decode()]
        total = self._end
        self.num_frames: int | None = len(starts)
        self.fps = (len(starts) / total).limit_denominator(1001) if total else DEFAULT_FPS
        self._pace = _pace(path, starts, total)
        if self._pace is not None:
            self.fps, self.num_frames = self._pace.fps, self._pace.num_frames
        with open_image(path) as image:
            self.size = oriented_size(image)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        return _timed(self._decode(), self._pace)

    def _decode(self) -> Iterator[tuple[Fraction, UInt8[np.ndarray, "h w 3"]]]:
        """Yield when a picture appears, in seconds, and the picture."""
        self._end = Fraction(0)
        with open_image(self._path) as image:
            for index in count():  # to ask a GIF for its number of pictures would read all of it, unwatched
                self._watch(index)
                try:
                    image.seek(index)
                    frame = decode_image(image, self._path)
                except EOFError as error:
                    if index >= getattr(image, "n_frames", 1):
                        return
                    raise _broken(self._path, index, self._end, "a picture is missing") from error
                except (OSError, SyntaxError, *BOMB) as error:
                    raise _broken(self._path, index, self._end, "the data of a picture are damaged") from error
                yield self._end, frame
                self._end += Fraction(image.info.get("duration") or 0).limit_denominator(1000) / 1000

    def _require_trailer(self) -> None:
        with self._path.open("rb") as file:
            start = file.read(3)
            file.seek(max(0, self._path.stat().st_size - _GIF_PADDING))
            end = file.read()
        if start == b"GIF" and not end.rstrip(b"\0").endswith(b";"):
            raise MediaError(f"{self._path}: the GIF has no end mark, so it is truncated. Copy or export it again.")


class _Video:
    """A video file, read by FFmpeg."""

    def __init__(self, path: Path, watch: _Watch) -> None:
        self._path = path
        self._watch = watch
        with self._opened() as (container, stream):
            self.has_audio = bool(container.streams.audio)
            self.num_frames: int | None = _declared_packets(container, stream) or None
            times = _packet_times(container, stream, watch)
            self.fps = steady_speed(times, stream.average_rate or stream.guessed_rate) or DEFAULT_FPS
            self._pace = _pace(path, times)
        if self._pace is not None:
            self.fps, self.num_frames = self._pace.fps, self._pace.num_frames
        self.size = self._first_size()

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        return _timed(((_time(frame), _upright_rgb(frame)) for frame in self._decode()), self._pace)

    def _first_size(self) -> tuple[int, int]:
        for frame in self._decode():
            turned = frame.rotation % 180 != 0
            return (frame.width, frame.height) if turned else (frame.height, frame.width)
        raise MediaError(f"{self._path}: the video has no frames. Export it again.")

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield the decoded frames; raise where the clip breaks off."""
        with self._opened() as (container, stream):
            stream.thread_type = "SLICE"  # with frame threads the mark of a damaged frame is sometimes lost
            reading = _Reading(container, stream, self._watch)
            try:
                yield from reading
            except FFmpegError as error:
                raise self._broken(reading, error.strerror or str(error)) from error
            if missing := reading.missing():
                raise self._broken(reading, missing)

    def _broken(self, reading: "_Reading", reason: str) -> MediaError:
        return _broken(self._path, reading.frames, reading.frames / self.fps, reason)

    @contextmanager
    def _opened(self) -> Generator[tuple[InputContainer, VideoStream]]:
        limits = {"max_pixels": str(MAX_PIXELS)}  # opening a file decodes its first frames, if only to learn their size
        try:
            container = av.open(self._path, options=limits, metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            raise MediaError(
                f"{self._path}: neither an image nor a video that can be read ({error.strerror}). "
                "If it is one, it is truncated or damaged: copy or export it again."
            ) from error
        with container:
            streams = [
                stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
            ]
            if not streams:
                raise MediaError(f"{self._path}: the file has no video track.")
            stream = streams[0]
            if not has_decoder(stream):
                raise MediaError(
                    f"{self._path}: the pictures are coded in a way that the installed FFmpeg does not know. "
                    "Convert the video, to H.264 for instance."
                )
            if not 0 < stream.width * stream.height <= MAX_PIXELS:
                raise MediaError(
                    f"{self._path}: the frames have more than {MAX_PIXELS:,} pixels, or no size that can be read: "
                    "scale the video down first."
                )
            stream.codec_context.options = limits
            yield container, stream


class _Reading:
    """One reading of a video, which knows how far it came and how far it should come."""

    def __init__(self, container: InputContainer, stream: VideoStream, watch: _Watch) -> None:
        self.frames = 0
        self._watch = watch
        self._packets = 0
        self._end = Fraction(0)
        self._container = container
        self._stream = stream

    def __iter__(self) -> Iterator[VideoFrame]:
        for packet in self._container.demux():
            if packet.pts is not None:
                self._end = max(self._end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != self._stream.index:
                continue
            self._watch(self._packets)
            self._packets += packet.size > 0
            for frame in self._stream.codec_context.decode(packet if packet.size else None):
                if frame.is_corrupt:
                    raise InvalidDataError(errno.EIO, "the data of a frame are damaged")
                frame.time_base = self._stream.time_base  # which the last frames lack
                yield frame
                self.frames += 1

    def missing(self) -> str | None:
        """What is missing at the end of the file, or None."""
        if declared := _declared_packets(self._container, self._stream):
            short = declared - self._packets
            return f"{short} of {declared} declared frames are missing" if short > 0 else None
        duration = Fraction(self._container.duration or 0, av.time_base)
        tolerance = max(Fraction(1, 4), 3 / (self._stream.average_rate or DEFAULT_FPS))
        ends_early = self._end < duration - tolerance
        return f"the file ends, though it declares {float(duration):.2f} s" if ends_early else None


def _declared_packets(container: InputContainer, stream: VideoStream) -> int:
    """How many packets of the stream the file should hold; 0 if it does not say.

    The sample table of MP4 is read with its edit list, which the plain frame count leaves out.
    """
    if stream.frames and "mp4" in container.format.name:
        return len(stream.index_entries)
    return stream.frames


def _packet_times(container: InputContainer, stream: VideoStream, watch: _Watch) -> list[Fraction]:
    """When the pictures of a stream appear, in ascending order; none if the file does not say, or is damaged."""
    times: list[Fraction] = []
    try:
        for packet in container.demux(stream):
            watch(len(times))
            if packet.size and not packet.is_discard:
                if packet.pts is None:
                    return []
                times.append(packet.pts * packet.time_base)
    except FFmpegError:
        return []
    return sorted(times)


def _pace(path: Path, starts: list[Fraction], end: Fraction | None = None) -> Pace | None:
    try:
        return Pace.of(starts, end)
    except InputError as error:
        raise MediaError(f"{path}: {error}.") from error


def _timed(
    pictures: Iterator[tuple[Fraction, UInt8[np.ndarray, "h w 3"]]], pace: Pace | None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    return (picture for _, picture in pictures) if pace is None else pace.steadied(pictures)


def _time(frame: VideoFrame) -> Fraction:
    return (frame.pts or 0) * (frame.time_base or Fraction(0))


def _upright_rgb(frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    if any(component.is_alpha for component in frame.format.components):
        transparent = frame.to_ndarray(format="rgba", interpolation=_SCALER)
        pixels = np.asarray(to_rgb(Image.fromarray(transparent.astype(np.uint8, copy=False))))
    else:
        pixels = frame.to_ndarray(format="rgb24", interpolation=_SCALER)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90))).astype(np.uint8, copy=False)


def _frame_files(folder: Path) -> list[Path]:
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in FRAME_SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise MediaError(f"{folder}: the folder holds no images ({', '.join(sorted(FRAME_SUFFIXES))}).")
    return sorted(files, key=_natural_order)


def _natural_order(file: Path) -> list[tuple[int, str]]:
    """Numbers inside a name compare as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", file.name.lower())]


def _image_size(file: Path) -> tuple[int, int]:
    with open_image(file) as image:
        return oriented_size(image)


def _pixels(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"


def _broken(path: Path, frames: int, seconds: Fraction, reason: str) -> MediaError:
    return MediaError(
        f"{path}: truncated or damaged: {frames} frames could be read ({float(seconds):.2f} s), then: {reason}. "
        "Copy or export the file again, or cut it to the part that plays."
    )
