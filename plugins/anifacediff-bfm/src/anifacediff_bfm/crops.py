"""How the published systems cut a face out of a picture: five points tell where it is."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch.nn import functional as F

from anifacediff.shapes import Float, Tensor, check_shape
from anifacediff_bfm.alignment import Alignment, check_extent

_MOST_ENLARGED = 4.0  # times, of a whole picture; the crops of larger enlargements are sampled alone
_CORNERS = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))

TEMPLATE = (
    (92.5892, 103.3926),
    (163.0636, 103.0028),
    (128.0504, 143.4732),
    (99.0986, 184.731),
    (157.4598, 184.4082),
)
"""Where MIMAFace puts the five points in 256 x 256 pixels, the first of which it counts as (0, 0)."""

STANDARD_FACE = (
    (-0.31148657, 0.29036078, 0.13377953),
    (0.30979887, 0.28972036, 0.13179526),
    (0.0032534988, -0.046179324, 0.55244243),
    (-0.25216928, -0.38133916, 0.22405732),
    (0.24846619, -0.38128236, 0.22235769),
)
"""The five points on the average face, y up, of ``similarity_Lm3D_all.mat`` in Deep3DFaceRecon_pytorch (MIT)."""

SQUARE = ((80.0, 80.0), (80.0, 432.0), (432.0, 432.0), (432.0, 80.0))
"""Where MIMAFace puts the corners of a face's square box in 512 x 512 pixels, counted as in :data:`TEMPLATE`."""


@runtime_checkable
class FaceCrop(Protocol):
    """Finds the crop of a face, and cuts it out."""

    def align(self, points: Float[Tensor, "f 5 2"], *, canvas: tuple[int, int]) -> Alignment:
        """Find the crop of each picture.

        Args:
            points: f 5 2, pixels, see :func:`five_points`.
            canvas: height and width of the pictures in pixels.
        """
        ...

    def sample(
        self, images: Float[Tensor, "f 3 h w"], crops: Alignment, *, size: int
    ) -> Float[Tensor, "f 3 {size} {size}"]:
        """Cut the crops out; black beyond the pictures.

        Args:
            images: f 3 h w, RGB in [0, 1].
            crops: as :meth:`align` found them.
            size: height and width of the crops in pixels.
        """
        ...


@dataclass(frozen=True)
class TemplateCrop:
    """MIMAFace's crop: the similarity, turn included, that brings the five points nearest to :data:`TEMPLATE`.

    The published code goes through an intermediate picture of 512 pixels; the similarity is the same without it, and
    the picture is sampled once, bilinearly.

    Source: MIMAFace 8787c56, ``dataset/face_util.py``.
    """

    def align(self, points: Float[Tensor, "f 5 2"], *, canvas: tuple[int, int]) -> Alignment:
        check_shape("points", points, "f 5 2", None, 5, 2)
        return Alignment.between(points, (points.new_tensor(TEMPLATE) + 0.5).expand_as(points))

    def sample(
        self, images: Float[Tensor, "f 3 h w"], crops: Alignment, *, size: int
    ) -> Float[Tensor, "f 3 {size} {size}"]:
        return _sampled(images, crops, size)


@dataclass(frozen=True)
class PoseCrop:
    """Deep3DFaceRecon's crop: scaled so that :data:`STANDARD_FACE`, posed like the five points, has one size; upright.

    It lies on whole pixels of the scaled picture, as published. There the scaled picture's sides are cut to whole
    pixels and the scale with them, by less than one pixel of the crop; here the scale stays what it is.
    Where the picture would be enlarged more than fourfold, the crop is sampled bilinearly instead.

    Attributes:
        unit: pixels of the crop for one unit of the standard face.
        size: height and width of the crop in pixels.

    Source: ``util/preprocess.py`` of Deep3DFaceRecon_pytorch (``POS``, ``align_img``, ``resize_n_crop_img``).
    """

    unit: float = 102.0
    size: int = 224

    def align(self, points: Float[Tensor, "f 5 2"], *, canvas: tuple[int, int]) -> Alignment:
        check_shape("points", points, "f 5 2", None, 5, 2)
        check_extent(points)
        height, width = canvas
        standard = F.pad(points.new_tensor(STANDARD_FACE), (0, 1), value=1.0)
        # Indices of pixels, y up.
        target = torch.stack([points[..., 0] - 0.5, height - 0.5 - points[..., 1]], dim=-1)
        solved = torch.linalg.lstsq(standard.expand(len(points), -1, -1), target).solution
        scale = self.unit / solved[:, :3].norm(dim=1).mean(1)
        offset_x = (solved[:, 3, 0] - width / 2) * scale
        offset_y = (height / 2 - solved[:, 3, 1]) * scale
        left = ((width * scale).floor() / 2 - self.size / 2 + offset_x).trunc()
        top = ((height * scale).floor() / 2 - self.size / 2 + offset_y).trunc()
        return Alignment(torch.diag_embed(scale[:, None].expand(-1, 2)), -torch.stack([left, top], dim=1))

    def sample(
        self, images: Float[Tensor, "f 3 h w"], crops: Alignment, *, size: int
    ) -> Float[Tensor, "f 3 {size} {size}"]:
        return torch.cat([_resampled(images[i : i + 1], crops[i : i + 1], size) for i in range(len(images))])


def _sampled(images: Tensor, crops: Alignment, size: int) -> Tensor:
    """Sample pictures bilinearly at the centres of the crops' pixels."""
    centers = torch.arange(size, dtype=crops.shift.dtype, device=crops.shift.device) + 0.5
    grid = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), dim=-1).flatten(0, 1)
    there = crops.inverse()(grid.expand(len(crops), -1, -1)).unflatten(1, (size, size)).to(images)
    height, width = images.shape[2:]
    across = there * (2 / there.new_tensor((width, height))) - 1
    return F.grid_sample(images, across, mode="bilinear", align_corners=False)


def _resampled(image: Tensor, crop: Alignment, size: int) -> Tensor:
    """Scale one picture with antialiasing, and cut whole pixels out of it.

    A face of a few pixels is sampled where it is: enlarged as a whole, a picture in full HD would take gigabytes.
    """
    scale = float(crop.scale)
    if scale > _MOST_ENLARGED:
        return _sampled(image, crop, size)
    scaled = F.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True, recompute_scale_factor=False)
    left, top = (-round(shift) for shift in crop.shift[0].tolist())
    right, bottom = left + size - scaled.shape[3], top + size - scaled.shape[2]
    return F.pad(scaled.clamp(0, 1), (-left, right, -top, bottom))


def five_points(landmarks: Float[np.ndarray, "f 68 2"]) -> Float[Tensor, "f 5 2"]:
    """The middles of the eyes' corners, the tip of the nose and the corners of the mouth, left to right, top to bottom.

    Args:
        landmarks: f 68 2, the iBUG landmarks in pixels.
    """
    return torch.from_numpy(np.asarray(landmarks)[:, np.array(_CORNERS)].mean(2))


def square_crop(box: Float[Tensor, "f 2 2"]) -> Alignment:
    """MIMAFace's first crop, to 512 x 512 pixels: the square around a box's longer side comes to :data:`SQUARE`.

    Args:
        box: f 2 2, left top and right bottom, in pixels.
    """
    centre, side = box.mean(1), (box[:, 1] - box[:, 0]).amax(1)
    square = torch.as_tensor(SQUARE, dtype=box.dtype, device=box.device) + 0.5
    unit = (square - square.mean(0)) / (square[:, 0].max() - square[:, 0].min())
    corners = centre[:, None] + side[:, None, None] * unit
    return Alignment.between(corners, square.expand(len(box), -1, -1))
