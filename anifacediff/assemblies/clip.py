"""One clip on its way through a denoiser: its conditions, made as windows need them, and the guided prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from einops import rearrange
from torch import nn

from anifacediff.backbone.reference_net import ReferenceFeatures
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.conditioning.reference_warp import ReferenceGuide, blended
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.shapes import Float, Tensor, UInt8


@dataclass(frozen=True)
class ClipDenoiser:
    """Predicts for any window of a clip; holds pose features and guides of the frames in flight only.

    Streamed, those are a window's hop for each denoising step and a window, however long the clip.

    Attributes:
        unet: the denoiser; the adapters are attached to it.
        video: whether it has temporal modules.
        align: draws the control maps.
        pose_encoder: encodes them.
        guide: moves the reference to each frame, for parts that take a guide.
        expression_adapter: encodes the expression coefficients.
        alignment: what the clip's frames share.
        driving: parameters of the clip's frames.
        token: 1 l d, the image tokens of the reference.
        reference_features: what the denoiser sees of the reference.
        guidance_scale: 1 evaluates the conditional rows alone.
    """

    unet: nn.Module
    video: bool
    align: ControlRenderer
    pose_encoder: PoseEncoder
    guide: ReferenceGuide | None
    expression_adapter: ExpressionAdapter
    alignment: object
    driving: FaceParameters
    token: Float[Tensor, "1 l d"]
    reference_features: ReferenceFeatures
    guidance_scale: float
    _pose_features: dict[int, Tensor] = field(default_factory=dict)
    _guides: dict[int, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Tensor, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window.

        Args:
            latents: f c h w.
            timestep: as the scheduler counts.
            frames: the numbers of the f frames.
        """
        guided = self.guidance_scale != 1
        tokens = self.token.expand(len(frames), -1, -1)
        expression = self.driving.expression_code[list(frames)]
        condition = {
            "reference_features": self.reference_features,
            "pose_features": self._features(frames),
            **self.expression_adapter(expression, guidance=guided),
        }
        if not guided:
            return self._blended(self._evaluate(latents[None], timestep, tokens, condition)[0], frames)
        tokens = torch.cat([torch.zeros_like(tokens), tokens])
        rows = self._evaluate(torch.stack([latents, latents]), timestep, tokens, condition)
        without, given = (self._blended(each, frames) for each in rows)
        return without + self.guidance_scale * (given - without)

    @torch.no_grad()
    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the control map of a frame as a picture.

        It is drawn anew: kept for all frames in flight, pictures would outweigh the latents.
        """
        return to_pictures(self._maps(range(frame, frame + 1)))[0]

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        for frame in frames:
            self._pose_features.pop(frame, None)
            self._guides.pop(frame, None)

    def _evaluate(
        self, latents: Float[Tensor, "b f c h w"], timestep: Tensor, tokens: Tensor, condition: Mapping[str, object]
    ) -> Float[Tensor, "b f c2 h w"]:
        if self.video:
            video = rearrange(latents, "b f c h w -> b c f h w")
            sample = self.unet(video, timestep, tokens, cross_attention_kwargs=dict(condition), return_dict=False)[0]
            return rearrange(sample, "b c f h w -> b f c h w")
        rows = latents.flatten(0, 1)
        sample = self.unet(rows, timestep, tokens, cross_attention_kwargs=dict(condition), return_dict=False)[0]
        return sample.unflatten(0, latents.shape[:2])

    def _features(self, frames: Sequence[int]) -> Float[Tensor, "f d h w"]:
        """The pose features of some frames; drawn and encoded, guides too, when a frame is first asked for."""
        new = [frame for frame in frames if frame not in self._pose_features]
        for run in _runs(new):
            guides = self._guided(run)
            features = self.pose_encoder(self._maps(run), guides)["pose_features"]
            self._pose_features.update(zip(run, features, strict=True))
            if guides is not None:
                self._guides.update(zip(run, guides, strict=True))
        return torch.stack([self._pose_features[frame] for frame in frames])

    def _guided(self, frames: range) -> Float[Tensor, "f g h w"] | None:
        if self.guide is None:
            return None
        return self.guide(self.align.aligned(self.alignment, self.driving[frames.start : frames.stop]))

    def _blended(self, predicted: Float[Tensor, "f c h w"], frames: Sequence[int]) -> Float[Tensor, "f c2 h w"]:
        if self.guide is None:
            return predicted
        return blended(predicted, torch.stack([self._guides[frame] for frame in frames]))

    def _maps(self, frames: range) -> Float[Tensor, "f 3 h w"]:
        maps = self.align.render(self.alignment, self.driving[frames.start : frames.stop]).normal
        assert maps is not None
        return maps


def _runs(frames: Sequence[int]) -> list[range]:
    """Consecutive numbers as ranges: 3, 4, 5, 0, 1 are 3-5 and 0-1."""
    breaks = [index for index in range(1, len(frames)) if frames[index] != frames[index - 1] + 1]
    edges = pairwise([0, *breaks, len(frames)])
    return [range(frames[first], frames[last - 1] + 1) for first, last in edges if last > first]
