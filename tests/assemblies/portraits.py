"""Faces without a tracker, for the tests of the assemblies."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import nn

from anifacediff.assemblies.exchange import AnimationOutput
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective


@dataclass(frozen=True)
class Portrait:
    image: np.ndarray
    parameters: FaceParameters


def faces(pipe: AnimationPipeline, frames: int) -> FaceParameters:
    """A face in the middle of a canvas of 256 pixels, whose pose and expression are drawn at random."""
    model = pipe.alignment.morphable_model
    generator = torch.Generator().manual_seed(1)
    return FaceParameters(
        shape=torch.zeros(frames, model.num_shape),
        expression=torch.randn(frames, model.num_expression, generator=generator) * 0.5,
        pose=torch.randn(frames, len(model.joint_names), 3, generator=generator) * 0.1,
        camera=WeakPerspective(torch.full((frames,), 500.0), torch.full((frames, 2), 128.0)),
        box=Box(torch.tensor([[60.0, 60.0, 190.0, 190.0]]).expand(frames, 4)),
        canvas=(256, 256),
    )


def portrait(pipe: AnimationPipeline) -> Portrait:
    return Portrait(np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8), faces(pipe, 1))


def stir(pipe: DiffusionPipeline) -> None:
    """Give the zero-initialised layers weights, so that every path matters."""
    torch.manual_seed(0)
    for part in pipe.components.values():
        for parameter in part.parameters() if isinstance(part, nn.Module) else ():
            if not parameter.abs().max() > 0:
                torch.nn.init.normal_(parameter, std=0.3)


def arrays(output: AnimationOutput) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in output.frames])
