"""The pinhole camera of models whose faces are seen in perspective."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import PerFrame, Similarity
from anifacediff.shapes import Float, Tensor, check_finite, check_shape


@dataclass(frozen=True)
class Perspective(PerFrame):
    """A pinhole camera that looks along -z, in pixels of the canvas.

    A point p of model space stands at q = p + translation, with the eye at the origin:
    ``x = principal_x + focal q_x / depth``, ``y = principal_y - focal q_y / depth``, ``depth = -q_z``.

    Attributes:
        focal: f, focal length in pixels.
        principal: f 2, the pixel at which the camera looks.
        translation: f 3, from model space to the camera, in units of model space; z is negative before the camera.

    Raises:
        ShapeError: if the fields are not f, f 2 and f 3.
        InputError: if a value is NaN or infinite, or a focal length not positive.
    """

    focal: Float[Tensor, "f"]
    principal: Float[Tensor, "f 2"]
    translation: Float[Tensor, "f 3"]

    def __post_init__(self) -> None:
        check_shape("Perspective.focal", self.focal, "f", None)
        check_shape("Perspective.principal", self.principal, "f 2", len(self.focal), 2)
        check_shape("Perspective.translation", self.translation, "f 3", len(self.focal), 3)
        for name, values in vars(self).items():
            check_finite(f"Perspective.{name}", values)
        if bool((self.focal <= 0).any()):
            raise InputError(f"Perspective.focal: must be positive, found {float(self.focal.min())} pixels.")

    @property
    def perspective(self) -> bool:
        return True

    def map(self, change: Callable[[Tensor], Tensor]) -> "Perspective":
        return self._changed(**{name: change(values) for name, values in vars(self).items()})

    def project(self, points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f n 3"]:
        seen = points + self.translation[:, None]
        depth = -seen[..., 2]
        enlarged = self.focal[:, None] / depth
        x = self.principal[:, None, 0] + enlarged * seen[..., 0]
        y = self.principal[:, None, 1] - enlarged * seen[..., 1]
        return torch.stack([x, y, depth], dim=-1)

    def moved(self, similarity: Similarity) -> "Perspective":
        principal = similarity(self.principal[:, None])[:, 0]
        return self._changed(focal=self.focal * similarity.scale, principal=principal)

    def _changed(self, **fields: Tensor) -> "Perspective":
        # Without looking for NaN again, for which a GPU would be waited for.
        changed = copy(self)
        vars(changed).update(fields)
        return changed
