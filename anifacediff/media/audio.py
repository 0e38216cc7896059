"""The sound of one clip laid beside the pictures of another, as they are written."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from anifacediff.errors import MediaError

if TYPE_CHECKING:
    _Packet = Packet[AudioStream]
else:
    _Packet = Packet  # not generic at run time

_SAMPLE_RATE = 48_000
"""Samples a second of sound that is encoded anew: the one rate that every encoder takes."""


class AudioTrack:
    """Lays the first sound track of a clip into a container under way, no further than its pictures.

    Packets are copied as they are where the container takes their codec, else encoded anew. The sound
    keeps its offset to the pictures it was recorded with.

    Args:
        path: the clip, for messages.
        source: the clip, opened; closed with this.
        container: what is being written; its header must not be written yet.
        codecs: names of the codecs that are copied; others are encoded to ``encoder``.
        encoder: name of an encoder.
    """

    def __init__(
        self, path: Path, source: InputContainer, container: OutputContainer, codecs: frozenset[str], encoder: str
    ) -> None:
        self._path = path
        self._source = source
        self._container = container
        self._input = next(filter(has_decoder, source.streams.audio))
        self._offset = _pictures_start(source)
        if self._input.codec_context.name in codecs:
            self._output = container.add_stream_from_template(self._input)
            self._packets = self._copied()
        else:
            self._output = _encoded_stream(container, encoder, self._input)
            self._packets = self._encoded()
        self._waiting = self._following()

    @classmethod
    def open(cls, path: Path, container: OutputContainer, codecs: frozenset[str], encoder: str) -> "AudioTrack | None":
        """The track of the clip at ``path``, or None if it has no sound.

        Raises:
            MediaError: if the clip cannot be opened, or its sound not be decoded.
        """
        if path.is_dir():
            return None
        try:
            source = av.open(path, metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            raise MediaError(f"{path}: the sound cannot be read ({error.strerror}).") from error
        if not any(map(has_decoder, source.streams.audio)):
            coded = bool(source.streams.audio)
            source.close()
            if coded:
                raise MediaError(f"{path}: the sound is of a kind that the installed FFmpeg cannot read. Remove it.")
            return None
        return cls(path, source, container, codecs, encoder)

    def write_until(self, seconds: Fraction) -> None:
        """Write the sound that begins before ``seconds``.

        Raises:
            MediaError: if the sound is damaged.
        """
        while self._waiting is not None and _start(self._waiting) < seconds:
            self._container.mux(self._waiting)
            self._waiting = self._following()

    def close(self) -> None:
        """Close the clip that the sound comes from."""
        self._source.close()

    def _following(self) -> _Packet | None:
        try:
            return next(self._packets, None)
        except FFmpegError as error:
            raise MediaError(
                f"{self._path}: the sound is damaged ({error.strerror}). Export the clip again, or remove its sound."
            ) from error

    def _copied(self) -> Iterator[_Packet]:
        for packet in self._source.demux(self._input):
            if not packet.size or packet.pts is None:
                continue
            shift = round(self._offset / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._output
            yield packet

    def _encoded(self) -> Iterator[_Packet]:
        for frame in self._source.decode(self._input):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._offset / frame.time_base)
            yield from self._output.encode(frame)
        yield from self._output.encode(None)


def has_decoder(stream: Stream) -> bool:
    """Whether the installed FFmpeg knows how a stream is coded."""
    return getattr(stream, "codec_context", None) is not None


def _encoded_stream(container: OutputContainer, encoder: str, sound: AudioStream) -> AudioStream:
    stream = cast(AudioStream, container.add_stream(encoder, rate=_SAMPLE_RATE))
    stream.layout = "mono" if sound.channels == 1 else "stereo"
    return stream


def _start(packet: _Packet) -> Fraction:
    """When the sound of a packet begins, in seconds."""
    return (packet.pts or 0) * packet.time_base


def _pictures_start(source: InputContainer) -> Fraction:
    """When the first picture is shown, in seconds on the clip's clock."""
    if not source.streams.video:
        return Fraction(0)
    stream = source.streams.video[0]
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))
