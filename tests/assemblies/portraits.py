"""Faces without a tracker, and the published order of work written out, for the tests of the assemblies."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
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


@contextmanager
def recorded(pipe: AnimationPipeline) -> Generator[list[torch.Tensor]]:
    """The finished latents, which tell more than pictures of 256 shades."""
    seen, decode = list[torch.Tensor](), pipe.decode

    def record(latents: torch.Tensor) -> np.ndarray:
        seen.append(latents)
        return decode(latents)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipe, "decode", record)
        yield seen


@torch.no_grad()
def in_published_order(
    predict: Callable[[torch.Tensor, torch.Tensor, list[int]], torch.Tensor],
    scheduler: Any,
    noise: torch.Tensor,
    windows: Sequence[list[int]],
    scale: float,
) -> torch.Tensor:
    """At every step the mean of both halves over the windows' visits, then guidance, then one step of all frames."""
    latents = noise.transpose(0, 1)[None] * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        total, visits = torch.zeros(2, *latents.shape[1:]), torch.zeros(1, 1, len(noise), 1, 1)
        scaled = scheduler.scale_model_input(latents, timestep).repeat(2, 1, 1, 1, 1)
        for window in windows:
            total[:, :, window] += predict(scaled[:, :, window], timestep, window)
            visits[:, :, window] += 1
        without, given = (total / visits).chunk(2)
        latents = scheduler.step(without + scale * (given - without), timestep, latents, return_dict=False)[0]
    return latents[0].transpose(0, 1)


def assert_same_latents(found: Sequence[torch.Tensor], expected: torch.Tensor) -> None:
    """Equal but for the rounding of sums in another order."""
    torch.testing.assert_close(torch.cat(list(found)), expected, rtol=0, atol=5e-5 * float(expected.std()))
