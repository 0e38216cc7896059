"""Frames on their way get a mark."""

from collections.abc import Iterable, Iterator

import numpy as np

from anifacediff.provenance.contracts import Mark, Region
from anifacediff.provenance.spread import SpreadMark
from anifacediff.shapes import UInt8


def marked(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]], mark: Mark | None = None, *, region: Region | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Mark frame after frame, as they come.

    Example:
        >>> images = marked(frame.image for frame in pipe.stream(avatar, driver))  # doctest: +SKIP

    Args:
        frames: RGB.
        mark: which one; the open :class:`SpreadMark` if None.
        region: what is marked in every frame; all of it if None.

    Raises:
        InputError: while iterating, if the region is not inside of a frame.
    """
    mark = mark or SpreadMark()
    for frame in frames:
        yield mark.embed(frame[None], region)[0]
