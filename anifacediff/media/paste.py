"""Animated squares back into the picture they were cut from, with soft edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, hypot

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.media.crop import SquareCrop
from anifacediff.media.images import check_picture

Picture = UInt8[np.ndarray, "_ _ 3"]

FEATHER = 0.1
"""Width of the soft edge over the side of the square, unless told."""


class PasteBack:
    """Lays animated squares over the picture they were cut from, at its full resolution.

    A square counts fully in its middle, and less and less within ``feather`` of its edges. Beyond its edges every
    pixel is that of the picture, in every bit. Where two squares overlap, the line half-way between their centres
    parts them, with a soft edge too, so that neither covers the other's face.

    Args:
        picture: h w 3, RGB, what the squares were cut from.
        crops: where they lie in it, at least one.
        feather: width of the soft edges over the side of a square, above 0 and at most 0.5.

    Raises:
        InputError: if there are no crops, a crop shows nothing of the picture, two have the same centre, or
            ``feather`` is out of range.
        ShapeError: if the picture is not h w 3 bytes.

    Source: the edges are smoothstep, 3 t^2 - 2 t^3.
    """

    def __init__(self, picture: Picture, crops: Sequence[SquareCrop], *, feather: float = FEATHER) -> None:
        check_picture("picture", picture)
        if not crops:
            raise InputError("crops: there are none; give the square of each face.")
        if not 0 < feather <= 0.5:
            raise InputError(f"feather: expected a share of the square's side, above 0 to 0.5, found {feather}.")
        self._picture = picture
        self._patches = [
            _Patch.of(crop, [*crops[:index], *crops[index + 1 :]], picture.shape[:2], feather)
            for index, crop in enumerate(crops)
        ]

    def __call__(self, squares: Sequence[Picture]) -> UInt8[np.ndarray, "h w 3"]:
        """Make one frame.

        Args:
            squares: one for each crop, square and of any size.

        Raises:
            InputError: if there are not as many as crops.
            ShapeError: if one is not h w 3 bytes.
        """
        if len(squares) != len(self._patches):
            raise InputError(f"squares: found {len(squares)} for {len(self._patches)} crops; give one for each.")
        frame = self._picture.copy()
        for patch, square in zip(self._patches, squares, strict=True):
            check_picture("square", square)
            patch.add(frame, self._picture, square)
        return frame


@dataclass(frozen=True, eq=False)
class _Patch:
    """Where one square lands.

    Attributes:
        region: rows and columns of the picture whose pixels lie whole inside the square.
        inside: left, top, right, bottom of the region as shares of the square.
        weight: h w 1, how much the square counts there, 0 to 1.
    """

    region: tuple[slice, slice]
    inside: tuple[float, float, float, float]
    weight: Float32[np.ndarray, "h w 1"]

    @classmethod
    def of(cls, crop: SquareCrop, others: Sequence[SquareCrop], size: tuple[int, ...], feather: float) -> "_Patch":
        rows, columns = _covered(crop.y, crop.side, size[0]), _covered(crop.x, crop.side, size[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise InputError(f"crops: {crop} shows no whole pixel of the picture of {size[1]} x {size[0]} pixels.")
        y, x = (np.arange(part.start, part.stop) + 0.5 for part in (rows, columns))
        width = feather * crop.side
        weight = np.outer(_faded(y, crop.y, crop.side, width), _faded(x, crop.x, crop.side, width))
        for other in others:
            weight *= _own_side(crop, other, x[None], y[:, None], width)
        left, top = crop.x - crop.side / 2, crop.y - crop.side / 2
        edges = (columns.start - left, rows.start - top, columns.stop - left, rows.stop - top)
        return cls((rows, columns), tuple(edge / crop.side for edge in edges), weight.astype(np.float32)[..., None])

    def add(self, frame: Picture, picture: Picture, square: Picture) -> None:
        """Add to a frame, in place, what the square changes of the picture."""
        under = picture[self.region].astype(np.float32)
        size = (under.shape[1], under.shape[0])
        left, top, right, bottom = (share * square.shape[0] for share in self.inside)
        over = Image.fromarray(square).resize(size, Image.Resampling.BICUBIC, box=(left, top, right, bottom))
        frame[self.region] = np.rint(frame[self.region] + self.weight * (np.asarray(over) - under)).clip(0, 255)


def _covered(center: float, side: float, length: int) -> slice:
    """The pixels along one axis that lie whole inside an interval."""
    return slice(max(0, ceil(center - side / 2)), min(length, floor(center + side / 2)))


def _faded(positions: NDArray[np.float64], center: float, side: float, width: float) -> NDArray[np.float64]:
    """1 in the middle of an interval, 0 at its ends."""
    return _smoothstep((side / 2 - abs(positions - center)) / width)


def _own_side(
    crop: SquareCrop, other: SquareCrop, x: NDArray[np.float64], y: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """1 on this square's side of the line half-way to another one, 0 on the other's."""
    across, down = other.x - crop.x, other.y - crop.y
    distance = hypot(across, down)
    if distance == 0:
        raise InputError(f"crops: two have the same centre ({crop.x:g}, {crop.y:g}); give the square of each face.")
    beyond = ((x - (crop.x + other.x) / 2) * across + (y - (crop.y + other.y) / 2) * down) / distance
    return _smoothstep(0.5 - beyond / width)


def _smoothstep(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = share.clip(0, 1)
    return share * share * (3 - 2 * share)
