"""Coefficients and face parameters that suit any morphable model."""

import torch

from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.shapes import Float, Tensor

CANVAS = 64
FILLED = 0.8  # of the canvas


def coefficients(
    model: MorphableModel, frames: int, *, scale: float = 0.3, seed: int = 0
) -> tuple[Float[Tensor, "f s"], Float[Tensor, "f e"], Float[Tensor, "f j 3"]]:
    """Random shape, expression and pose of a few frames.

    Args:
        model: whose sizes they have.
        frames: how many.
        scale: standard deviation, of rotations in radians; zero is the neutral face.
        seed: of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    return (
        scale * torch.randn(frames, model.num_shape, generator=generator),
        scale * torch.randn(frames, model.num_expression, generator=generator),
        scale * torch.randn(frames, len(model.joint_names), 3, generator=generator),
    )


def extent(points: Float[Tensor, "*n 3"]) -> float:
    """The length of the diagonal of the box around points."""
    flat = points.detach().reshape(-1, 3)
    return float((flat.amax(0) - flat.amin(0)).norm())


def portrait(model: MorphableModel, frames: int, *, scale: float = 0.1, seed: int = 0) -> FaceParameters:
    """Parameters of faces that fill most of a square canvas of 64 pixels; identity is the same in all frames."""
    shape, expression, pose = coefficients(model, frames, scale=scale, seed=seed)
    shape = shape[:1].expand(frames, -1)
    with torch.no_grad():
        vertices = model(shape, expression, pose)
    low, high = vertices.amin((0, 1))[:2], vertices.amax((0, 1))[:2]
    zoom = FILLED * CANVAS / (high - low).max()
    middle = (low + high) / 2 * zoom
    place = torch.stack([CANVAS / 2 - middle[0], CANVAS / 2 + middle[1]])
    camera = WeakPerspective(zoom.expand(frames), place.expand(frames, 2))
    box = Box.around(camera.project(vertices)[..., :2])
    return FaceParameters(shape, expression, pose, camera, box, canvas=(CANVAS, CANVAS))


def portrait_maps(model: MorphableModel) -> ControlMaps:
    """Normal maps of two neutral faces."""
    neutral = portrait(model, 2, scale=0.0)
    align = FacialAlignment(model, image_size=CANVAS)
    with torch.no_grad():
        return align(neutral[:1], neutral)
