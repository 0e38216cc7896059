"""A performance: everything about a clip that does not depend on who performs."""

from dataclasses import dataclass, replace

import torch

from anifacediff.errors import InputError
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import ExpressiveHead, indices


@dataclass(frozen=True)
class Performance:
    """Motion without identity, one row for each frame.

    Attributes:
        expression: f 50, coefficients named by :data:`~anifacediff.synthetic.COMPONENTS`.
        pose: f j 3, rotations of the head's joints, radians.
        zoom: f, canvas sides for one metre of the head; 3 makes a head fill about 0.7 of the canvas.
        place: f 2, where the middle of the head lands, as a share of the canvas, x right and y down.
    """

    expression: Float[Tensor, "f 50"]
    pose: Float[Tensor, "f 5 3"]
    zoom: Float[Tensor, "f"]
    place: Float[Tensor, "f 2"]

    def __len__(self) -> int:
        return len(self.zoom)

    def __getitem__(self, frames: slice) -> "Performance":
        return Performance(self.expression[frames], self.pose[frames], self.zoom[frames], self.place[frames])

    @classmethod
    def still(cls) -> "Performance":
        """One frame: a neutral face that looks at the viewer."""
        return cls(torch.zeros(1, 50), torch.zeros(1, 5, 3), torch.full((1,), 3.0), torch.tensor([[0.5, 0.53]]))

    def without(self, *names: str) -> "Performance":
        """The same with some components, or groups of them, at rest."""
        expression = self.expression.clone()
        expression[:, indices(names)] = 0.0
        return replace(self, expression=expression)

    def changed(self, **coefficients: float) -> "Performance":
        """The same with some components set."""
        expression = self.expression.clone()
        for name, value in coefficients.items():
            expression[:, indices([name])] = value
        return replace(self, expression=expression)


def true_parameters(
    head: ExpressiveHead, shape: Float[Tensor, "s"], performance: Performance, *, size: int
) -> FaceParameters:
    """What a perfect tracker would report about someone's performance.

    Args:
        head: with nothing withheld, so that the face box is that of the picture.
        shape: s, identity coefficients of the performer.
        performance: f frames.
        size: height and width of the canvas in pixels.

    Returns:
        Parameters of f frames; the box holds the 68 landmarks.

    Raises:
        InputError: if ``size`` is not positive.
        ShapeError: if ``shape`` has another number of coefficients than the head.
    """
    if size < 1:
        raise InputError(f"size: expected a positive number of pixels, found {size}.")
    shapes = shape.expand(len(performance), -1)
    vertices = head(shapes, performance.expression, performance.pose)
    camera = WeakPerspective(performance.zoom * size, performance.place * size)
    marks = camera.project(head.landmarks(vertices, performance.pose))[..., :2]
    return FaceParameters(
        shapes, performance.expression, performance.pose, camera, Box.around(marks), canvas=(size, size)
    )
