"""Media files, whole and damaged, for ``media_faults.py``."""

import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from anifacediff.media import VideoWriter

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER = 1500  # bytes at the beginning that hold most of what a file says about itself


def whole_files(folder: Path, frames: list[np.ndarray], picture: np.ndarray) -> list[Path]:
    """Write whole files of every kind, clips named ``driving``, pictures named ``reference``; a clip is the first."""
    folder.mkdir()
    sound = _sound(folder / "sound.m4a")
    for suffix in (".mp4", ".webm", ".gif"):
        with VideoWriter(folder / f"driving{suffix}", 12, audio_from=sound) as writer:
            for frame in frames:
                writer.write(frame)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    for suffix in (".png", ".webp"):
        first.save(folder / f"driving{suffix}", save_all=True, append_images=rest, duration=80)
    for suffix in (".png", ".jpg", ".webp", ".gif", ".tif"):
        Image.fromarray(picture).save(folder / f"reference{suffix}")
    sound.unlink()
    return sorted(folder.iterdir())


def _sound(path: Path) -> Path:
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        wave = np.sin(np.arange(48000, dtype=np.float32) / 20)[None]
        samples = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        samples.sample_rate = 48000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    return path


def damaged(data: bytes, other: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Damage a file in one of several ways; ``other`` is another file of any kind."""
    name, how = chance.choice(list(_DAMAGES.items()))
    return name, how(data, other, chance)


def _truncated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.choice((chance.randrange(len(data)), chance.randrange(min(64, len(data)))))]


def _flipped(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 30, 300))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _hostile(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Impossible numbers in the header, or at the end, where some files keep it."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 5))):
        size = chance.choice((1, 2, 4))
        number = (chance.choice(EXTREMES) & ((1 << 8 * size) - 1)).to_bytes(size, chance.choice(("big", "little")))
        place = chance.randrange(min(HEADER, len(changed) - size))
        place = place if chance.random() < 0.7 else len(changed) - size - place
        changed[place : place + size] = number
    return bytes(changed)


def _spliced(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A part cut out, doubled, blanked, or taken from another file."""
    first = chance.randrange(len(data))
    last = min(len(data), first + chance.choice((1, 16, 500, 5000)))
    start = chance.randrange(len(other))
    part = chance.choice((b"", data[first:last] * 2, bytes(last - first), other[start : start + last - first]))
    return data[:first] + part + data[last:]


_DAMAGES: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "hostile": _hostile,
    "spliced": _spliced,
}
