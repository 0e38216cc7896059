"""The conditions of a clip in AniFaceDiff, and the guided prediction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from anifacediff.assemblies.clip import HeldFrames, StockDenoiser, evaluate, guided
from anifacediff.backbone.reference_net import ReferenceFeatures
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.conditioning.reference_guide import ReferenceGuide, blended
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.sampling.denoise import Timestep
from anifacediff.shapes import Float, Tensor, UInt8


@dataclass(frozen=True)
class AniFaceDiffClip:
    """Predicts for any window of a clip; holds pose features and guides of the frames in flight only.

    Attributes:
        unet: the denoiser; the adapters are attached to it.
        align: draws the control maps.
        pose_encoder: encodes them.
        guide: moves the reference to each frame, for parts that take a guide.
        expression_adapter: encodes the expression coefficients.
        alignment: what the clip's frames share.
        driving: parameters of the clip's frames.
        token: 1 l d, the image tokens of the reference.
        reference_features: what the denoiser sees of the reference.
        guidance_scale: 1 evaluates the conditional rows alone.
        pose_features: of the frames in flight.
        guides: of the frames in flight.
    """

    unet: StockDenoiser
    align: ControlRenderer
    pose_encoder: PoseEncoder
    guide: ReferenceGuide | None
    expression_adapter: ExpressionAdapter
    alignment: object
    driving: FaceParameters
    token: Float[Tensor, "1 l d"]
    reference_features: ReferenceFeatures
    guidance_scale: float
    pose_features: HeldFrames = field(default_factory=HeldFrames)
    guides: HeldFrames = field(default_factory=HeldFrames)

    @torch.no_grad()
    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window; see :class:`~anifacediff.sampling.Denoiser`."""
        contrasted = self.guidance_scale != 1
        tokens = self.token.expand(len(frames), -1, -1)
        condition = {
            "reference_features": self.reference_features,
            "pose_features": self.pose_features(frames, self._pose_features)[0],
            **self.expression_adapter(self.driving.expression_code[list(frames)], guidance=contrasted),
        }
        if contrasted:
            tokens = torch.cat([torch.zeros_like(tokens), tokens])
        halves = torch.stack([latents] * (1 + contrasted))
        rows = evaluate(self.unet, halves, timestep, tokens, condition)
        blended_rows = torch.stack([self._blended(row, frames, latents.shape[1]) for row in rows])
        return guided(blended_rows, self.guidance_scale)

    @torch.no_grad()
    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the control map of a frame as a picture.

        It is drawn anew: kept for all frames in flight, pictures would outweigh the latents.
        """
        return to_pictures(self._maps(range(frame, frame + 1)))[0]

    def driven_by(self, driving: FaceParameters) -> "AniFaceDiffClip":
        """The same clip with other frames; see :class:`~anifacediff.assemblies.clip.LiveClip`."""
        driving = driving.to(self.driving.shape.device)
        return replace(self, driving=driving, pose_features=HeldFrames(), guides=HeldFrames())

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self.pose_features.forget(frames)
        self.guides.forget(frames)

    def _pose_features(self, frames: range) -> tuple[Float[Tensor, "f d h w"]]:
        guides = None if self.guide is None else self.guides(frames, self._guides)[0]
        return (self.pose_encoder(self._maps(frames), guides)["pose_features"],)

    def _guides(self, frames: range) -> tuple[Float[Tensor, "f g h w"]]:
        assert self.guide is not None
        return (self.guide(self.align.aligned(self.alignment, self.driving[frames.start : frames.stop])),)

    def _blended(
        self, predicted: Float[Tensor, "f c h w"], frames: Sequence[int], channels: int
    ) -> Float[Tensor, "f c2 h w"]:
        return predicted if self.guide is None else blended(predicted, self.guides(frames, self._guides)[0], channels)

    def _maps(self, frames: range) -> Float[Tensor, "f 3 h w"]:
        maps = self.align.render(self.alignment, self.driving[frames.start : frames.stop]).normal
        assert maps is not None
        return maps
