"""A square cut out of an image at a chosen resolution, and the way back."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.geometry.faces import Similarity

Rectangle = tuple[float, float, float, float]
Resampling = Literal["antialiased", "bilinear"]

_FILTERS = {"antialiased": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
_REACH = 3  # pixels of the coarser grid that the widest filter looks at on either side


@dataclass(frozen=True)
class SquareCrop:
    """An upright square in an image; it may reach over the image's edges.

    Convention: pixels, x right, y down, the centre of the top-left pixel at (0.5, 0.5), in the image as
    in the crop. So the square's edges fall on the crop's edges: ``crop = (image - left) * size / side``.
    skimage and DECA count the centre of the top-left pixel as (0, 0); add 0.5 to their coordinates.

    Attributes:
        x: of the centre, pixels of the image.
        y: of the centre, pixels of the image.
        side: pixels of the image.

    Raises:
        InputError: if a value is not finite or the side is not positive.
    """

    x: float
    y: float
    side: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.side))) or self.side <= 0:
            raise InputError(f"SquareCrop: needs a finite centre and a positive side, found {self}.")

    @classmethod
    def around(cls, box: Rectangle, *, margin: float = 1.25, enlarge: float = 1.1, lower: float = 0.0) -> "SquareCrop":
        """The square around the extent of 68 landmarks, as DECA measures it.

        ``size = enlarge (width + height) / 2``; the square has side ``margin size`` and lies ``lower size``
        below the box's centre. DECA's rule for a detector's box is ``enlarge=1, lower=0.12``.

        Args:
            box: left, top, right, bottom in pixels.
            margin: of the square over the face's size; DECA uses 1.25, and 1.4 to 1.8 in training.
            enlarge: from the extent of landmarks, which stop at the brows, to the size of a face.
            lower: shift of the centre, in sizes of the face.

        Source: Feng et al. 2021 (DECA), crop of the published code.
        """
        left, top, right, bottom = box
        size = enlarge * (right - left + bottom - top) / 2
        return cls((left + right) / 2, (top + bottom) / 2 + lower * size, margin * size)

    @classmethod
    def as_deca(cls, box: Rectangle, *, size: int, margin: float = 1.25, from_detector: bool = False) -> "SquareCrop":
        """The crop that DECA's published code makes at a resolution, to the last digit.

        It differs from :meth:`around` in two roundings: the side is cut to whole pixels, and it spans the
        *centres* of the outer pixels of the crop instead of their edges.

        Args:
            box: left, top, right, bottom in pixels.
            size: height and width of the crop in pixels; the encoder reads 224.
            margin: DECA's ``scale``.
            from_detector: the box is a face detector's, not the extent of 68 landmarks.
        """
        enlarge, lower = (1.0, 0.12) if from_detector else (1.1, 0.0)
        square = cls.around(box, margin=margin, enlarge=enlarge, lower=lower)
        return cls(square.x, square.y, int(square.side) * size / (size - 1))

    def within(self, height: int, width: int, *, smallest: float) -> "SquareCrop":
        """The square shrunk and moved so that it reaches over the image's edges as little as possible.

        Args:
            height: of the image in pixels.
            width: of the image in pixels.
            smallest: side in pixels below which it is not shrunk.
        """
        side = float(min(self.side, max(height, smallest), max(width, smallest)))
        return SquareCrop(_between(self.x, side, float(width)), _between(self.y, side, float(height)), side)

    def to_crop(self, size: int) -> Similarity:
        """The similarity from pixels of the image to pixels of the crop, one frame, float32.

        Args:
            size: height and width of the crop in pixels.
        """
        scale = size / self.side
        corner = (self.x - self.side / 2, self.y - self.side / 2)
        translation = [[-corner[0] * scale, -corner[1] * scale]]
        return Similarity(torch.tensor([scale]), torch.tensor(translation))

    def from_crop(self, size: int) -> Similarity:
        """The similarity from pixels of the crop back to pixels of the image."""
        return self.to_crop(size).inverse()

    def apply(
        self, image: UInt8[np.ndarray, "h w 3"], size: int, *, resampling: Resampling = "antialiased"
    ) -> UInt8[np.ndarray, "{size} {size} 3"]:
        """Cut the square out of an image; beyond the image its outermost pixels are repeated.

        Args:
            image: h w 3, RGB.
            size: height and width of the crop in pixels.
            resampling: ``"antialiased"`` (Lanczos), or ``"bilinear"`` (a triangle, widened when shrinking).
        """
        edges = np.array([self.x, self.y, self.x, self.y]) + np.array([-1, -1, 1, 1]) * self.side / 2
        reach = _REACH * math.ceil(max(1.0, self.side / size))
        first = np.floor(edges[:2]).astype(int) - reach
        last = np.ceil(edges[2:]).astype(int) + reach
        columns = np.clip(np.arange(first[0], last[0]), 0, image.shape[1] - 1)
        rows = np.clip(np.arange(first[1], last[1]), 0, image.shape[0] - 1)
        window = Image.fromarray(image[rows[:, None], columns])
        left, top, right, bottom = (edges - np.tile(first, 2)).tolist()
        return np.asarray(window.resize((size, size), _FILTERS[resampling], box=(left, top, right, bottom)))

    def warp(self, image: Float[torch.Tensor, "c h w"], size: int) -> Float[torch.Tensor, "c {size} {size}"]:
        """Sample an image at the crop's pixel centres, bilinearly, black beyond the image; differentiable.

        This is the resampling of DECA's published code; it aliases when it shrinks. Use :meth:`apply` for pictures.

        Args:
            image: c h w, any range.
            size: height and width of the crop in pixels.
        """
        centers = (torch.arange(size, dtype=image.dtype, device=image.device) + 0.5) * (
            self.side / size
        ) - self.side / 2
        height, width = image.shape[1:]
        across = (centers + self.x) * (2 / width) - 1
        down = (centers + self.y) * (2 / height) - 1
        grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)
        sampled = torch.nn.functional.grid_sample(image[None], grid[None], mode="bilinear", align_corners=False)
        return sampled[0]


def _between(center: float, side: float, length: float) -> float:
    """The centre nearest to ``center`` of an interval inside 0 to ``length``; the middle if it does not fit."""
    return length / 2 if side > length else min(max(center, side / 2), length - side / 2)
