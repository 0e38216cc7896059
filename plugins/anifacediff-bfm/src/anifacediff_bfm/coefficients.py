"""What the networks give: the numbers of a face, and the parameters that they become."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from anifacediff.errors import ShapeError
from anifacediff.geometry.faces import Box, FaceParameters, PerFrame
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.rotations import axis_angle
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.setups import Setup

_SIZES = (80, 64, 80, 3, 27, 3)
_GAZE = 4


@dataclass(frozen=True)
class Coefficients(PerFrame):
    """A face as the D3DFR networks describe it.

    Attributes:
        shape: f 80, identity, in standard deviations.
        expression: f 64, in standard deviations.
        texture: f 80, in standard deviations.
        angles: f 3, radians about x, y and z; see :func:`rotation_of`.
        light: f 27, nine spherical harmonics for R, then for G, then for B.
        translation: f 3, decimetres, after the rotation.
        gaze: f 4, pupils as MIMAFace's network counts them; None for Deep3DFaceRecon's.
    """

    shape: Float[Tensor, "f 80"]
    expression: Float[Tensor, "f 64"]
    texture: Float[Tensor, "f 80"]
    angles: Float[Tensor, "f 3"]
    light: Float[Tensor, "f 27"]
    translation: Float[Tensor, "f 3"]
    gaze: Float[Tensor, "f 4"] | None = None

    @classmethod
    def split(cls, values: Float[Tensor, "f n"]) -> "Coefficients":
        """Take the columns of Deep3DFaceRecon's 257 coefficients, or of MIMAFace's 261, apart.

        Raises:
            ShapeError: if there are neither 257 nor 261.
        """
        count = sum(_SIZES)
        if values.ndim != 2 or values.shape[1] not in (count, count + _GAZE):
            raise ShapeError(
                f"values: expected shape (f n) with n = {count} (Deep3DFaceRecon) or {count + _GAZE} (MIMAFace, with "
                f"gaze), found {tuple(values.shape)}."
            )
        gaze = (_GAZE,) if values.shape[1] > count else ()
        return cls(*values.split((*_SIZES, *gaze), dim=1))

    def joined(self) -> Float[Tensor, "f n"]:
        """Put the columns together again."""
        parts = (self.shape, self.expression, self.texture, self.angles, self.light, self.translation, self.gaze)
        return torch.cat([part for part in parts if part is not None], dim=1)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Coefficients":
        return replace(self, **{name: change(part) for name, part in vars(self).items() if part is not None})

    def driven_by(self, driver: "Coefficients") -> "Coefficients":
        """This face, of one frame, moved like another, as MIMAFace draws it.

        Identity, texture and light stay; expression, rotation, translation and gaze are the driver's.

        Args:
            driver: f frames.
        """
        kept = {name: getattr(self, name).expand(len(driver), -1) for name in ("shape", "texture", "light")}
        return replace(driver, **kept)

    @property
    def pose(self) -> Float[Tensor, "f 1 3"]:
        """The rotation of the head as axis-angle, as :class:`~.model.BfmModel` takes it."""
        return axis_angle(rotation_of(self.angles))[:, None]


def rotation_of(angles: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """The rotation of the published code: about x first, then y, then z, all axes fixed.

    Args:
        angles: *n 3, radians about x, y and z, right-handed.

    Returns:
        R = Rz Ry Rx, for column vectors. (The published code keeps its transpose, for rows.)
    """
    about_x, about_y, about_z = (rotation_matrix(turn) for turn in torch.diag_embed(angles).unbind(-2))
    return about_z @ about_y @ about_x


def to_parameters(coefficients: Coefficients, model: BfmModel, setup: Setup) -> FaceParameters:
    """Turn coefficients into parameters on the crop that they were read off.

    Texture and light have no place there; keep the coefficients for them.

    Args:
        coefficients: of one crop for each frame.
        model: of the face; its landmarks make the box.
        setup: of the network.

    Raises:
        InputError: if a value is NaN or infinite.
    """
    pose, camera = coefficients.pose, setup.camera(coefficients.translation)
    landmarks = model.posed_landmarks(coefficients.shape, coefficients.expression, pose)
    return FaceParameters(
        shape=coefficients.shape,
        expression=coefficients.expression,
        pose=pose,
        camera=camera,
        box=Box.around(camera.project(landmarks)[..., :2]),
        canvas=(setup.size, setup.size),
        gaze=coefficients.gaze,
    )
