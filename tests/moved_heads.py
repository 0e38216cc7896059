"""A small head, turned and shifted, and a picture whose colours say where they are from."""

import torch

from anifacediff.geometry import Box, FaceParameters, ParametricHead, WeakPerspective

SIZE = 64
HEAD = ParametricHead()


def face(*, yaw: float = 0.0, shift: float = 0.0, frames: int = 1) -> FaceParameters:
    pose = torch.zeros(frames, len(HEAD.joint_names), 3)
    pose[:, 0, 1] = yaw
    camera = WeakPerspective(torch.full((frames,), 180.0), torch.tensor([[32.0 + shift, 32.0]]).repeat(frames, 1))
    box = Box(torch.tensor([[16.0, 16.0, 48.0, 48.0]]).repeat(frames, 1))
    zeros = torch.zeros(frames, HEAD.num_shape), torch.zeros(frames, HEAD.num_expression)
    return FaceParameters(*zeros, pose, camera, box, (SIZE, SIZE))


def ramps() -> torch.Tensor:
    """A picture whose colours say where each pixel's centre is, in pixels."""
    places = torch.arange(SIZE) + 0.5
    y, x = torch.meshgrid(places, places, indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)])[None]
