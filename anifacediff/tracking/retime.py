"""A driver's motion at another speed of frames."""

from fractions import Fraction

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import FaceParameters


def retimed(parameters: FaceParameters, fps: Fraction, *, to: Fraction, num_frames: int) -> FaceParameters:
    """Take from a motion the frame that is shown at each moment of another clip.

    Each frame is shown until the next one comes, so that a motion keeps its speed in seconds. One that ends early rests
    in its last frame; what is longer is left out.

    Args:
        parameters: the motion, at least one frame.
        fps: its frames per second.
        to: frames per second of the other clip.
        num_frames: of the other clip.

    Raises:
        InputError: if the motion has no frames, or a speed or number is not positive.
    """
    if not len(parameters):
        raise InputError("parameters: the motion has no frames.")
    if fps <= 0 or to <= 0 or num_frames < 1:
        raise InputError(f"retimed: cannot bring {fps} frames per second to {num_frames} frames at {to}.")
    last = len(parameters) - 1
    return parameters.at(torch.tensor([min(number * fps // to, last) for number in range(num_frames)]))
