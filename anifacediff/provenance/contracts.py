"""What a mark must offer, and what its detector says; plugins implement :class:`Mark`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from anifacediff.errors import InputError
from anifacediff.shapes import UInt8

Region: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels; right and bottom are the first that are outside."""


@dataclass(frozen=True)
class MarkEvidence:
    """What was found in a clip.

    Attributes:
        score: how surprising the clip would be without a mark: an unmarked clip scores ``s`` or more with a
            probability of at most ``10 ** -s``, over all places that were looked at.
        threshold: the score from which on the mark counts as found.
        place: left, top, right and bottom, in pixels of the frames, where the evidence is strongest.
    """

    score: float
    threshold: float
    place: tuple[float, float, float, float]

    @property
    def found(self) -> bool:
        """Whether the mark counts as found."""
        return self.score >= self.threshold

    @property
    def false_alarms(self) -> float:
        """At most this share of unmarked clips is taken for marked."""
        return 10**-self.threshold


@runtime_checkable
class Mark(Protocol):
    """Something invisible in pictures that can be found again."""

    def embed(self, frames: UInt8[np.ndarray, "f h w 3"], region: Region | None = None) -> UInt8[np.ndarray, "f h w 3"]:
        """Mark the frames of a clip; what comes back is a new array.

        Args:
            frames: f h w 3, RGB; how a clip is divided into calls makes no difference.
            region: what is marked; everything outside stays as it is. All of the frame if None.

        Raises:
            InputError: if the region is empty or reaches over the edges of the frames.
        """
        ...

    def detect(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> MarkEvidence:
        """Look for the mark in a clip.

        Args:
            frames: RGB, of one size; read once, not kept.

        Raises:
            InputError: if there are no frames, or they differ in size.
        """
        ...


def check_region(region: Region, height: int, width: int) -> None:
    """Raise :class:`InputError` unless a region is a part of frames of a size in pixels, and not empty."""
    left, top, right, bottom = region
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"region: left {left}, top {top}, right {right}, bottom {bottom} is empty or not inside of frames of "
            f"{width} x {height} pixels; give whole pixels, the right and bottom ones not included."
        )
