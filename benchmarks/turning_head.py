"""A portrait and a turning head, for the benchmarks; networks of full size are in ``anifacediff.profiling``."""

from dataclasses import dataclass

import numpy as np
import torch

from anifacediff.assemblies import AnimationPipeline
from anifacediff.geometry import Box, FaceParameters, WeakPerspective


@dataclass(frozen=True)
class Portrait:
    image: np.ndarray
    parameters: FaceParameters


def faces(pipe: AnimationPipeline, frames: int) -> FaceParameters:
    model = pipe.alignment.morphable_model
    turn = torch.zeros(frames, len(model.joint_names), 3)
    turn[:, 0, 1] = torch.linspace(-0.3, 0.3, frames)
    return FaceParameters(
        shape=torch.zeros(frames, model.num_shape),
        expression=torch.zeros(frames, model.num_expression),
        pose=turn,
        camera=WeakPerspective(torch.full((frames,), 900.0), torch.full((frames, 2), 128.0)),
        box=Box(torch.tensor([[60.0, 60.0, 190.0, 190.0]]).expand(frames, 4)),
        canvas=(256, 256),
    )
