"""Frames become a video, an animation or a folder of images, which appears whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from anifacediff.errors import AniFaceDiffError, OutputError, ShapeError
from anifacediff.media.audio import AudioTrack
from anifacediff.media.comments import add_gif_comment
from anifacediff.media.images import check_picture, write_image
from anifacediff.media.notes import ClipNotes, check_place_of_record, remove_record, sidecar_of


@dataclass(frozen=True)
class _Format:
    """How a suffix is encoded.

    Attributes:
        codec: name of the video encoder.
        options: for the encoder.
        copied_sound: codecs of sound that players expect in this container.
        sound_encoder: what other sound is encoded with; None if the container has no sound.
        container_options: for the container.
    """

    codec: str
    options: dict[str, str]
    copied_sound: frozenset[str] = frozenset()
    sound_encoder: str | None = None
    container_options: dict[str, str] | None = None


_H264 = _Format(
    codec="libx264",
    options={"crf": "17", "preset": "medium", "rc-lookahead": "10", "threads": "2"},  # holds few frames
    copied_sound=frozenset({"aac", "mp3", "ac3"}),
    sound_encoder="aac",
    container_options={"movflags": "+faststart"},
)
_VP9 = _Format(
    codec="libvpx-vp9",
    options={"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "lag-in-frames": "10"},
    copied_sound=frozenset({"opus", "vorbis"}),
    sound_encoder="libopus",
)
_FORMATS = {".mp4": _H264, ".m4v": _H264, ".mov": _H264, ".webm": _VP9, ".gif": _Format(codec="gif", options={})}

SUFFIXES: Collection[str] = tuple(_FORMATS)
"""Suffixes of the files that can be written."""

_GIF_FPS = 50
"""GIF counts hundredths of a second, and players slow down what is shown for less than two."""


class VideoWriter:
    """Writes frames one by one; memory does not grow with their number.

    The suffix decides: ``.mp4``, ``.m4v``, ``.mov`` (H.264, yuv420p), ``.webm`` (VP9), ``.gif`` (at most
    50 frames per second, 256 colours a frame) or none (a folder of ``000000.png``, ``000001.png``, ...).
    H.264 and VP9 need even sizes: an odd height or width is made even by repeating the last row or
    column. The result is written beside ``path`` under a temporary name and takes its own name when the
    ``with`` block ends without an exception; otherwise nothing is left. With notes, the file of the same name and
    ``.json`` appears just before. A record of an earlier clip there is replaced, or removed if there are no notes;
    any other file is left as it is.

    Example:
        >>> with VideoWriter("out.mp4", source.fps, audio_from=source.path) as writer:  # doctest: +SKIP
        ...     for frame in source:
        ...         writer.write(frame)

    Args:
        path: the file or folder to write; an existing file is replaced, a folder must be empty.
        fps: frames per second.
        audio_from: a clip whose sound is laid under the pictures, cut to their length: copied where the
            container allows, else encoded anew. No sound there, or a GIF or folder here: no sound.
        notes: what is noted inside of the file, and beside it.

    Raises:
        OutputError: if ``path`` cannot be written, or is ``audio_from``; at the beginning of the ``with`` block, if a
            file that is no record has the name that the notes would get; or, later, if writing fails.
        MediaError: while writing, if the sound of ``audio_from`` cannot be read.
        ShapeError: while writing, if a frame is not h w 3 bytes, or has another size than the first one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: Fraction | int,
        *,
        audio_from: str | os.PathLike[str] | None = None,
        notes: ClipNotes | None = None,
    ) -> None:
        self.path = Path(path)
        self.notes = notes
        if fps <= 0:
            raise OutputError(f"{path}: expected more than zero frames per second, found {fps}.")
        self._fps = Fraction(fps)
        self._audio_from = None if audio_from is None else Path(audio_from)
        check_writable(self.path, inputs=() if self._audio_from is None else (self._audio_from,))
        if self.path.suffix.lower() == ".gif" and self._fps > _GIF_FPS:
            raise OutputError(f"{path}: a GIF shows at most {_GIF_FPS} frames per second, not {float(self._fps):g}.")

    def __enter__(self) -> "VideoWriter":
        if self.notes is not None:
            check_place_of_record(self.path)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=self.path.parent))
        except OSError as error:
            raise self._failed(error) from error
        self._partial = self._folder / f"result{self.path.suffix}"
        self._size: tuple[int, ...] | None = None
        try:
            self._sink = self._open_sink()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Append a frame: h w 3, RGB, row 0 at the top."""
        check_picture("frame", frame)
        if self._size is None:
            self._size = frame.shape
        if frame.shape != self._size:
            raise ShapeError(
                f"frame: expected shape (h, w, 3) = {self._size} as the first frame has, found {frame.shape}."
            )
        try:
            self._sink.write(frame)
        except (FFmpegError, OutputError) as error:
            raise self._failed(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with suppress(FFmpegError, OSError):  # on a full disk the end of a file cannot be written either
                self._sink.abandon()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self) -> None:
        if self._size is None:
            raise OutputError(f"{self.path}: no frames were written, so there is nothing to save.")
        try:
            self._sink.finish()
            if self.path.is_dir():
                self.path.rmdir()
            with self._noted():
                os.replace(self._partial, self.path)
        except (FFmpegError, OSError) as error:
            raise self._failed(error) from error

    @contextmanager
    def _noted(self) -> Generator[None]:
        """Put the notes beside the place of the clip, and take them away if the clip does not get there."""
        if self.notes is None:
            remove_record(self.path)
            yield
            return
        beside = sidecar_of(self.path)
        partial = sidecar_of(self._partial)
        partial.write_text(self.notes.sidecar(self._partial), encoding="utf-8")
        os.replace(partial, beside)
        try:
            yield
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def _open_sink(self) -> "_Sink":
        comment = None if self.notes is None else self.notes.comment
        try:
            if not self.path.suffix:
                return _Folder(self._partial, comment)
            form = _FORMATS[self.path.suffix.lower()]
            return _Container(self._partial, self._fps, form, self._audio_from, comment)
        except UnknownCodecError as error:
            raise OutputError(
                f"{self.path}: the installed PyAV has no encoder for {self.path.suffix} ({error}). Choose another "
                "suffix, or install the wheel of PyAV (pip install av)."
            ) from error
        except AniFaceDiffError:
            raise
        except (FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: FFmpegError | OSError) -> OutputError:
        first = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return OutputError(f"{self.path}: writing failed ({first.strerror or first}). Is the disk full?")


def check_writable(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    suffixes: Collection[str] = SUFFIXES,
) -> None:
    """Check, before long work, that a result can be written.

    Args:
        path: the file, or folder of images if it has no suffix.
        inputs: files and folders that must not be overwritten.
        suffixes: of files that can be written.

    Raises:
        OutputError: if the name is impossible (too long), the suffix is unknown, the folder around it is missing
            or not writable, something is in the way, or ``path`` is one of the inputs.
    """
    path = Path(path)
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: nothing can be written there ({error}). Choose another name.") from error
    suffix = path.suffix.lower()
    if suffix and suffix not in suffixes:
        raise OutputError(
            f"{path}: unknown suffix {suffix!r}. Use {', '.join(suffixes)}, or no suffix for a folder of PNG images."
        )
    for source in map(Path, inputs):
        if os.path.exists(source) and path.exists() and path.samefile(source):
            raise OutputError(f"{path}: this is the input itself, which would be overwritten. Choose another name.")
    if suffix and path.is_dir():
        raise OutputError(f"{path}: a folder of this name is in the way. Choose another name.")
    if not suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: exists and is not an empty folder. Choose a new name.")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}. Create it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OutputError(f"{path}: the folder {path.parent} cannot be written to ({error.strerror}).") from error


class _Sink(Protocol):
    """Where frames go."""

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None: ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def abandon(self) -> None:
        """Let go of everything that is open."""
        ...


class _Folder:
    """A folder of PNG images."""

    def __init__(self, path: Path, comment: str | None) -> None:
        self._path = path
        self._comment = comment
        self._count = 0
        path.mkdir()

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        write_image(self._path / f"{self._count:06d}.png", frame, comment=self._comment)
        self._count += 1

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class _Container:
    """A file with a video track and, if there is one, a sound track."""

    def __init__(self, path: Path, fps: Fraction, form: _Format, audio_from: Path | None, comment: str | None) -> None:
        self._path = path
        self._comment = comment
        self._fps = fps
        self._codec = form.codec
        self._count = 0
        self._container = av.open(path, "w", options=form.container_options or {})
        self._stream = cast(VideoStream, self._container.add_stream(form.codec, rate=fps, options=form.options))
        if comment is not None:
            self._container.metadata["comment"] = comment
        self._audio = None
        if audio_from is not None and form.sound_encoder is not None:
            self._audio = AudioTrack.open(audio_from, self._container, form.copied_sound, form.sound_encoder)

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        picture = _palette_frame(frame) if self._codec == "gif" else _yuv_frame(frame)
        if self._count == 0:
            self._describe(picture)
        picture.pts = self._count
        picture.time_base = 1 / self._fps
        self._container.mux(self._stream.encode(picture))
        self._count += 1
        if self._audio is not None:
            self._audio.write_until(self._count / self._fps)

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self.abandon()
        if self._codec == "gif" and self._comment is not None:  # FFmpeg writes no comment into a GIF
            add_gif_comment(self._path, self._comment)

    def abandon(self) -> None:
        self._container.close()
        if self._audio is not None:
            self._audio.close()

    def _describe(self, picture: VideoFrame) -> None:
        self._stream.width, self._stream.height = picture.width, picture.height
        self._stream.pix_fmt = picture.format.name
        if picture.format.name == "yuv420p":
            context = self._stream.codec_context
            context.colorspace = Colorspace.ITU709
            context.color_range = ColorRange.MPEG
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709


def _yuv_frame(frame: UInt8[np.ndarray, "h w 3"]) -> VideoFrame:
    """Bytes to BT.709 yuv420p of even size."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rgb = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return rgb.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _palette_frame(frame: UInt8[np.ndarray, "h w 3"]) -> VideoFrame:
    """Bytes to 256 colours chosen for this frame."""
    quantized = Image.fromarray(frame).quantize(256)
    colors = np.array(quantized.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    palette = np.full((256, 4), 255, dtype=np.uint8)
    palette[: len(colors), 1:] = colors
    picture = (np.array(quantized), palette)
    return VideoFrame.from_ndarray(picture, format="pal8")  # pyright: ignore[reportArgumentType]  # the stub lacks it
