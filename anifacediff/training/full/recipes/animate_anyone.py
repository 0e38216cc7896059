"""Training Animate Anyone and AniPortrait."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline
from anifacediff.attachment import Attachment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.recipe import Told


class AnimateAnyoneRecipe:
    """Training Animate Anyone, or AniPortrait: ReferenceNet and pose encoder learn; the CLIP encoder does not.

    Guidance contrasts with neither reference nor image token, as in the pipeline.

    Args:
        pipe: to be trained.

    Source: Animate Anyone, section 3.3; its open code (Moore's) and AniPortrait's.
    """

    learned = ("reference_net", "pose_encoder")
    learned_on_clips = ()

    def __init__(self, pipe: AnimateAnyonePipeline) -> None:
        self.pipe = pipe
        self.parts: Mapping[str, nn.Module] = {
            "reference_net": pipe.reference_net,
            "pose_encoder": pipe.pose_encoder,
            "image_encoder": pipe.image_encoder,
        }

    def attach(self, unet: Any) -> list[Attachment]:
        """Attach both parts."""
        return [self.pipe.reference_net.attach(unet), self.pipe.pose_encoder.attach(unet)]

    def conditions(self, examples: Examples, unet: Any, told: bool) -> Told:
        """Pose for all; reference and image token for those that are told."""
        maps = examples.maps["normal"]
        entries: dict[str, object] = dict(self.pipe.pose_encoder(self._pictures(maps.flatten(0, 1))))
        with torch.no_grad():
            token = ImageTokens(self.pipe.image_encoder)(examples.reference)
        if told:
            assert examples.reference_latents is not None
            entries |= self.pipe.reference_net.read(examples.reference_latents, token, unet)
        else:
            token = torch.zeros_like(token)
        return Told(token.repeat_interleave(maps.shape[1], dim=0), entries)

    def _pictures(self, maps: torch.Tensor) -> torch.Tensor:
        return 2 * maps - 1 if isinstance(self.pipe.pose_encoder, MultiLevelPoseEncoder) else maps
