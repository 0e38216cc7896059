"""A crop that may be turned: where it lies in a picture, and how faces read off it come back."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import Box, FaceParameters, PerFrame
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.geometry.perspective import Perspective
from anifacediff.shapes import Float, Tensor, check_finite
from anifacediff.tracking.rotations import axis_angle
from anifacediff_bfm.model import BfmModel


@dataclass(frozen=True)
class Alignment(PerFrame):
    """A uniform scale, a turn and a shift of the image plane, one per frame: from a picture to its crop.

    Pixels, x right, y down, the centre of the top-left pixel at (0.5, 0.5), in the picture as in the crop. OpenCV
    counts that centre as (0, 0): move its points by 0.5.

    Attributes:
        linear: f 2 2, ``scale * [[cos, -sin], [sin, cos]]``.
        shift: f 2, pixels of the crop.
    """

    linear: Float[Tensor, "f 2 2"]
    shift: Float[Tensor, "f 2"]

    @classmethod
    def between(cls, points: Float[Tensor, "f k 2"], targets: Float[Tensor, "f k 2"]) -> "Alignment":
        """The alignment that brings points nearest to where they should be, in least squares, without mirroring.

        Args:
            points: f k 2, pixels of the picture.
            targets: f k 2, pixels of the crop.

        Raises:
            InputError: if all points of a frame are one.

        Source: the closed form of the normal equations that MIMAFace solves (``get_affine_transform``), in complex
            numbers: ``a = sum(conj(p) q) / sum(|p|^2)`` about the two means.
        """
        check_extent(points)
        centre, target_centre = points.mean(1), targets.mean(1)
        p, q = points - centre[:, None], targets - target_centre[:, None]
        extent = p.square().sum((1, 2))
        along = (p * q).sum((1, 2)) / extent
        across = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / extent
        linear = torch.stack([along, -across, across, along], dim=-1).unflatten(-1, (2, 2))
        return cls(linear, target_centre - (linear @ centre[..., None])[..., 0])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Alignment":
        return replace(self, linear=change(self.linear), shift=change(self.shift))

    @property
    def scale(self) -> Float[Tensor, "f"]:
        """How many pixels of the crop one pixel of the picture spans."""
        return self.linear[:, :, 0].norm(dim=1)

    def __call__(self, points: Float[Tensor, "f n 2"]) -> Float[Tensor, "f n 2"]:
        """Move points from the picture to the crop."""
        return points @ self.linear.mT + self.shift[:, None]

    def inverse(self) -> "Alignment":
        """From the crop to the picture."""
        linear = self.linear.mT / self.scale.square()[:, None, None]
        return Alignment(linear, -(linear @ self.shift[..., None])[..., 0])


def check_extent(points: Float[Tensor, "f k 2"]) -> None:
    """Raise :class:`InputError` if the points of a frame are all the same, or not finite: they place nothing."""
    check_finite("points", points)
    if bool((points == points[:, :1]).all(dim=2).all(dim=1).any()):
        raise InputError("points: all points of a frame are the same, so they have no size. Check the landmarks.")


def in_picture(face: FaceParameters, crops: Alignment, model: BfmModel, *, canvas: tuple[int, int]) -> FaceParameters:
    """Bring faces that were read off crops back to the pictures.

    A pinhole camera cannot be turned about its own axis, but the world can: what the crop's turn does to the picture
    is done to the rotation and the translation of the head. Nothing is approximated.

    Args:
        face: in pixels of the crops, before a :class:`~anifacediff.geometry.Perspective` camera.
        crops: from the pictures to the crops.
        model: of the face; its landmarks make the box.
        canvas: height and width of the pictures in pixels.
    """
    camera = face.camera
    if not isinstance(camera, Perspective):
        raise InputError(f"face.camera: expected a Perspective camera, found {type(camera).__name__}.")
    back = crops.inverse()
    turn = _turn(back)
    pose = axis_angle(turn @ rotation_matrix(face.pose[:, 0]))[:, None]
    moved = Perspective(
        camera.focal * back.scale,
        back(camera.principal[:, None])[:, 0],
        (turn @ camera.translation[..., None])[..., 0],
    )
    landmarks = model.posed_landmarks(face.shape, face.expression, pose)
    box = Box.around(moved.project(landmarks)[..., :2])
    return replace(face, pose=pose, camera=moved, box=box, canvas=canvas)


def _turn(alignment: Alignment) -> Float[Tensor, "f 3 3"]:
    """The rotation about z that turns projections as the alignment turns pictures, whose y points down."""
    cosine, sine = (alignment.linear[:, :, 0] / alignment.scale[:, None]).unbind(1)
    zero = torch.zeros_like(sine)
    return rotation_matrix(torch.stack([zero, zero, -torch.atan2(sine, cosine)], dim=1))
