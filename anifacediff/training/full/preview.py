"""A clip that is held out, drawn now and then to see how far a training has come."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.media.pictures import to_images
from anifacediff.sampling.denoise import Timestep, denoise_clip
from anifacediff.sampling.noise import FrameNoise
from anifacediff.shapes import Bool, Float, Tensor, UInt8
from anifacediff.training.full.clips import PreparedSet
from anifacediff.training.full.examples import Draw, DrawnExamples, Examples
from anifacediff.training.run import Schedule
from anifacediff.training.sheets import sheet

FEWEST = 4

Predict = Callable[[Float[Tensor, "b f c h w"], Timestep, Bool[Tensor, "b"], Examples], Float[Tensor, "b f c h w"]]
"""A :class:`~anifacediff.training.full.model.TrainedAssembly`, wrapped or not."""


class Preview:
    """A clip that is held out, read and encoded once.

    Args:
        held_out: the clips; if all are shorter than what is drawn in training, fewer frames are shown.
        draw: what is drawn in training; a few frames are shown if it is stills.
        schedule: gives the random numbers.
        pipe: whose scheduler and autoencoder are used; its autoencoder is on the device.

    Raises:
        MediaError: if the clip cannot be read.
    """

    def __init__(self, held_out: PreparedSet, draw: Draw, schedule: Schedule, pipe: AnimationPipeline) -> None:
        shown = replace(draw, frames=max(FEWEST, draw.frames)).within(max(clip.frames for clip in held_out.clips))
        examples = DrawnExamples(held_out, shown, schedule, 1)[0]
        self._pipe = pipe
        self._seed = schedule.seed
        with torch.no_grad():
            self._examples = examples.map(lambda tensor: tensor.to(pipe.vae.device)).encoded(pipe.encode)

    @torch.no_grad()
    def draw(self, predict: Predict) -> Float[Tensor, "f c h w"]:
        """Denoise the clip as the pipeline does, with its scheduler, steps and start, told everything.

        Args:
            predict: the model, in evaluation mode.
        """
        truth = self._truth
        told = torch.ones(1, dtype=torch.bool, device=truth.device)

        def denoise(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
            return predict(latents[None], timestep, told, self._examples)[0]

        config, (frames, channels, height, width) = self._pipe.config, truth.shape
        noise = FrameNoise(self._seed, (channels, height, width), truth.device, start=config["start"])
        windows, steps = [range(frames)], int(config["num_inference_steps"])
        return denoise_clip(denoise, self._pipe.scheduler, windows=windows, noise=noise, num_steps=steps)

    def sheet(self, drawn: Float[Tensor, "f c h w"]) -> UInt8[np.ndarray, "height width 3"]:
        """A row for each frame: reference, control maps, what was drawn, truth."""
        reference = self._examples.reference.expand(len(drawn), -1, -1, -1)
        maps = [frames[0] for frames in self._examples.maps.values()]
        decoded = [to_images(self._pipe.decode(latents.to(self._pipe.vae.dtype))) for latents in (drawn, self._truth)]
        return sheet([column.float().cpu() for column in (reference, *maps, *decoded)])

    @property
    def _truth(self) -> Float[Tensor, "f c h w"]:
        assert self._examples.latents is not None
        return self._examples.latents[0]
