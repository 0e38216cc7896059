"""The shots of a clip: each has a crop of its own, and nothing is carried over from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.contracts import extent

_TIGHTEST = 1.25  # the margin of DECA, down to which a crop is shrunk before it reaches over the image's edges
_RISE = 0.15  # of the crop's centre over that of the landmarks, in sizes of the face: hair needs room


@dataclass(frozen=True)
class Shot:
    """A part of a clip between two scene cuts.

    Attributes:
        first: the number of its first frame.
        crop: where the crop lies in its frames.
    """

    first: int
    crop: SquareCrop


def shot_spans(seen: Sequence[bool], cuts: Sequence[int]) -> list[slice]:
    """The frames of each shot; one that shows no face is counted to the shot before it, else to the one after it.

    Args:
        seen: whether a frame has a face; at least one has.
        cuts: numbers of the frames that begin a new shot, in ascending order, without 0.
    """
    firsts = [0]
    for first, last in pairwise([*cuts, len(seen)]):
        if any(seen[first:last]) and any(seen[:first]):
            firsts.append(first)
    return [slice(first, last) for first, last in pairwise([*firsts, len(seen)])]


def shot_crops(
    landmarks: Sequence[Float[Tensor, "_ 68 2"]], margin: float, frame_size: tuple[int, int] | None
) -> list[SquareCrop]:
    """One square for each shot.

    That of the first is DECA's square around a face of the median size, raised a little to show the hair, and grown by
    how much the box of all frames exceeds that face. Those of later shots lie by the same rule, and are as large as
    makes the face of their first frame as large in them as that of the clip's first frame: so sizes that are measured
    against the first frame hold in every shot.

    Args:
        landmarks: of each shot, in pixels of the frames.
        margin: side of the crop over the face's size, see :meth:`SquareCrop.around`.
        frame_size: height and width of the frames in pixels, from beyond whose edges as little as possible is shown.
    """
    crops = [_crop(marks, margin, frame_size) for marks in landmarks]
    share = crops[0].side / _face_size(landmarks[0])
    later = zip(crops[1:], landmarks[1:], strict=True)
    return [crops[0], *(SquareCrop(crop.x, crop.y, share * _face_size(marks)) for crop, marks in later)]


def _face_size(landmarks: Float[Tensor, "f 68 2"]) -> float:
    """The mean of width and height of the first frame's face."""
    left, top, right, bottom = extent(landmarks[0].numpy())
    return (right - left + bottom - top) / 2


def _crop(landmarks: Float[Tensor, "f 68 2"], margin: float, frame_size: tuple[int, int] | None) -> SquareCrop:
    points = landmarks.numpy()
    left, top, right, bottom = extent(points.reshape(-1, 2))
    width, height = np.median(points.max(axis=1) - points.min(axis=1), axis=0).tolist()
    x, y = (left + right) / 2, (top + bottom) / 2
    face = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    square, tight = (SquareCrop.around(face, margin=each, lower=-_RISE) for each in (margin, _TIGHTEST))
    growth = max(right - left - width, bottom - top - height)
    crop = SquareCrop(square.x, square.y, square.side + growth)
    return crop if frame_size is None else crop.within(*frame_size, smallest=tight.side + growth)
