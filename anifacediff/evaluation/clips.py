"""Folders of clips, and frames spread evenly over a clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anifacediff.errors import InputError, MediaError
from anifacediff.media.video import VideoSource
from anifacediff.shapes import UInt8


@dataclass(frozen=True)
class LabelledClip:
    """A clip of which is known what it is.

    Attributes:
        path: a video, GIF, image or folder of images.
        generated: or real.
    """

    path: Path
    generated: bool


def labelled_clips(real: Path, generated: Path) -> tuple[LabelledClip, ...]:
    """List the clips of two folders by name: files and folders of images; records beside clips are passed over.

    Args:
        real: folder of clips that were recorded.
        generated: folder of clips that were generated.

    Raises:
        MediaError: if one is no folder.
        InputError: if one holds no clips.
    """
    return (*_clips_in(real, False), *_clips_in(generated, True))


def spread_frames(path: Path, most: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Read at most so many frames, evenly spread over a clip from its first one on.

    Args:
        path: the clip.
        most: frames.

    Raises:
        MediaError: if the clip cannot be read.
    """
    source = VideoSource(path)
    total = sum(1 for _ in source)  # which files declare wrongly now and then
    wanted = {index * total // most for index in range(most)} if total > most else set(range(total))
    yield from (frame for number, frame in enumerate(source) if number in wanted)


def _clips_in(folder: Path, generated: bool) -> Iterator[LabelledClip]:
    if not folder.is_dir():
        raise MediaError(f"{folder}: there is no such folder.")
    places = sorted(each for each in folder.iterdir() if not each.name.startswith(".") and each.suffix != ".json")
    if not places:
        raise InputError(f"{folder}: holds no clips.")
    return (LabelledClip(place, generated) for place in places)
