"""Blendshapes as what the Expression Adapter reads: a code of their own, or gaze and eyelids beside a mesh's."""

from dataclasses import replace

import torch

from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Tensor, check_finite, check_shape
from anifacediff_mediapipe.faces import BLENDSHAPES

EXPRESSION_DIM = len(BLENDSHAPES) - 1
"""Width of :func:`expression_code`, for ``ExpressionAdapter.for_unet(unet, expression_dim=EXPRESSION_DIM)``."""


def expression_code(blendshapes: Float[Tensor, "f 52"]) -> Float[Tensor, "f 51"]:
    """All blendshapes but the first, which is neutral and always near 0.

    Args:
        blendshapes: f 52, in MediaPipe's order, 0 to 1.

    Returns:
        One row for each frame, as an Expression Adapter of :data:`EXPRESSION_DIM` takes it.

    Raises:
        ShapeError, InputError: if there are not 52, or some are NaN or infinite.
    """
    return _checked(blendshapes)[:, 1:]


def gaze(blendshapes: Float[Tensor, "f 52"]) -> Float[Tensor, "f 4"]:
    """Where the eyes look: x and y of the person's left eye, then of the right one.

    Args:
        blendshapes: f 52, in MediaPipe's order, 0 to 1.

    Returns:
        -1 to 1, as shares of the farthest look; x grows to the image's right, y up.
    """
    look = {name: _columns(blendshapes, f"eyeLook{name}")[:, 0] for name in _LOOKS}
    left = (look["OutLeft"] - look["InLeft"], look["UpLeft"] - look["DownLeft"])
    right = (look["InRight"] - look["OutRight"], look["UpRight"] - look["DownRight"])
    return torch.stack([*left, *right], dim=1)


def eyelids(blendshapes: Float[Tensor, "f 52"]) -> Float[Tensor, "f 2"]:
    """How far the lids of the person's left and right eye are closed, 0 to 1.

    Args:
        blendshapes: f 52, in MediaPipe's order, 0 to 1.
    """
    return _columns(blendshapes, "eyeBlinkLeft", "eyeBlinkRight")


def with_eyes(parameters: FaceParameters, blendshapes: Float[Tensor, "f 52"]) -> FaceParameters:
    """Add gaze and eyelids to parameters that were fitted to landmarks.

    Args:
        parameters: f frames.
        blendshapes: f 52, of the same frames, in MediaPipe's order, 0 to 1.

    Returns:
        Parameters whose ``expression_code`` is wider by 6.

    Raises:
        ShapeError: if there are not 52 for each frame.
        InputError: if some are NaN or infinite.
    """
    check_shape("blendshapes", blendshapes, "f 52", len(parameters), len(BLENDSHAPES))
    told = blendshapes.to(parameters.expression)
    return replace(parameters, gaze=gaze(told), eyelids=eyelids(told))


_LOOKS = ("OutLeft", "InLeft", "UpLeft", "DownLeft", "InRight", "OutRight", "UpRight", "DownRight")


def _columns(blendshapes: Tensor, *names: str) -> Tensor:
    return _checked(blendshapes)[:, [BLENDSHAPES.index(name) for name in names]]


def _checked(blendshapes: Tensor) -> Tensor:
    check_shape("blendshapes", blendshapes, "f 52", None, len(BLENDSHAPES))
    check_finite("blendshapes", blendshapes)
    return blendshapes
