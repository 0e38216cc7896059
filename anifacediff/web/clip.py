"""A visitor's clip, refused before work begins if it is too large or too long."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from anifacediff.errors import InputError
from anifacediff.media import VideoSource
from anifacediff.media.images import identify_image

LARGEST_FRAME = 4096 * 4096
"""Pixels of the largest frame that is taken."""

_MOST_A_SECOND = 1920 * 1080 * 60
"""Pixels of the longest clip, for each of its seconds."""

_LEAST = 256 * 256
"""Pixels that every frame counts for: small ones take time, too."""


def open_clip(path: Path, longest: float, watch: Callable[[], object]) -> VideoSource:
    """Open a clip that is small enough.

    Args:
        path: the file.
        longest: seconds that are taken.
        watch: called while the clip is opened, and whenever it is read; what it raises ends that.

    Raises:
        InputError: if it has more frames, or more pixels, than are taken.
        MediaError: if it cannot be read.
    """
    pixels = _pixels_of_image(path)

    def watched(number: int) -> None:
        _check_total(number, pixels, longest)
        watch()

    clip = VideoSource(path, watch=watched)
    _check_frame(clip.size)
    total = clip.num_frames or 0
    _check_total(total, clip.size[0] * clip.size[1], longest)
    _check_length(total, clip, longest)
    return clip


def frames_within(clip: VideoSource, longest: float) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a clip, which may be longer than its file says.

    Args:
        clip: what is read.
        longest: seconds that are taken.

    Yields:
        h w 3, RGB.

    Raises:
        InputError: once there are more of them than are taken.
    """
    for number, frame in enumerate(clip, 1):
        _check_length(number, clip, longest)
        yield frame


def _pixels_of_image(path: Path) -> int:
    """The size of a picture, which is known before any of an animation is decoded; 0 for a video."""
    image = identify_image(path)
    if image is None:
        return 0
    with image:
        _check_frame((image.height, image.width))
        return image.height * image.width


def _check_frame(size: tuple[int, int]) -> None:
    if size[0] * size[1] > LARGEST_FRAME:
        raise InputError(
            f"the frames of the clip have {size[1]} x {size[0]} pixels, more than the {LARGEST_FRAME:,} taken here; "
            "scale it down first."
        )


def _check_total(frames: int, pixels: int, longest: float) -> None:
    if frames * max(pixels, _LEAST) > longest * _MOST_A_SECOND:
        raise InputError(
            f"the clip has more pixels than {longest:g} seconds of 1920 x 1080 at 60 frames per second, the most that "
            "is taken here; scale it down or cut it first."
        )


def _check_length(frames: int, clip: VideoSource, longest: float) -> None:
    if frames > int(longest * clip.fps):
        raise InputError(f"the clip is longer than the {longest:g} seconds taken here; cut it first.")
