"""When the pictures of a clip are shown, and a steady stream of frames that keeps those times."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median_low
from typing import TypeVar

from anifacediff.errors import InputError

T = TypeVar("T")

LONGEST_STILL = 60
"""Seconds for which a picture may stand still; more are taken for damage, since every moment becomes a frame."""

_FASTEST = 120  # frames per second to which a clip of changing speed is brought
_STEADY = (Fraction(1, 2), Fraction(3, 2))  # of the usual time between frames: less than half a frame off


@dataclass(frozen=True)
class Pace:
    """The steady speed of a clip whose own speed changes.

    Attributes:
        fps: frames per second.
        num_frames: so many frames last as long as the clip.
    """

    fps: Fraction
    num_frames: int

    @classmethod
    def of(cls, starts: Sequence[Fraction], end: Fraction | None = None) -> "Pace | None":
        """Find the pace from the times at which pictures appear; None if they come steadily already.

        The speed is that of the usual time between pictures: the median, and the mean of those near to it.

        Args:
            starts: seconds, ascending.
            end: when the last picture goes; after the usual time if not given.

        Raises:
            InputError: if a picture stands still for more than a minute.
        """
        times = [*starts] if end is None else [*starts, end]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        usual = median_low([gap for gap in gaps if gap > 0] or [Fraction(0)])
        regular = [gap for gap in gaps if _STEADY[0] * usual < gap < _STEADY[1] * usual]
        if usual == 0 or len(regular) == len(gaps):
            return None
        if (longest := max(gaps)) > LONGEST_STILL:
            raise InputError(
                f"picture {gaps.index(longest)} stands still for {float(longest):.0f} s, more than {LONGEST_STILL} s: "
                "the times in the file are damaged, or it is no clip of a face"
            )
        fps = min(len(regular) / sum(regular, Fraction(0)), Fraction(_FASTEST)).limit_denominator(1001)
        whole = times[-1] - times[0] + (usual if end is None else 0)
        return cls(fps, max(1, round(whole * fps)))

    def steadied(self, pictures: Iterable[tuple[Fraction, T]]) -> Iterator[T]:
        """Repeat and leave out pictures so that each frame is what is shown at its moment.

        Args:
            pictures: with the times at which they appear, in seconds.
        """
        frame, begin, shown = 0, Fraction(0), list[T]()
        for start, picture in pictures:
            begin = begin if shown else start
            due = min(ceil((start - begin) * self.fps - Fraction(1, 2)), self.num_frames)
            for _ in range(frame, due):
                yield shown[0]
            frame = max(frame, due)
            shown = [picture]
            if frame == due < self.num_frames:
                yield picture
                frame += 1
        for _ in range(frame, self.num_frames if shown else frame):
            yield shown[0]


def steady_speed(starts: Sequence[Fraction], declared: Fraction | None) -> Fraction | None:
    """Frames per second of a clip whose pictures come steadily.

    Args:
        starts: when they appear, in seconds, ascending; may be empty if that is not known.
        declared: what the file says; believed unless it is off by more than half a frame at the clip's end, or too
            fast where there are no times to compare with.
    """
    if len(starts) < 2 or starts[0] == starts[-1]:
        return declared if declared and declared <= _FASTEST else None
    measured = min((len(starts) - 1) / (starts[-1] - starts[0]), Fraction(_FASTEST))
    if declared and abs((len(starts) - 1) * (measured / declared - 1)) <= Fraction(1, 2):
        return declared
    return measured.limit_denominator(1001)
