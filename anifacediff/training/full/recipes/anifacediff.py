"""Training AniFaceDiff."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.attachment import Attachment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.errors import InputError
from anifacediff.shapes import Tensor
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.recipe import Told


class AniFaceDiffRecipe:
    """Training AniFaceDiff: ReferenceNet, Pose Encoder and Expression Adapter learn; the CLIP encoder does not.

    Guidance contrasts with neither reference, image token, nor expression, as in the pipeline.

    Args:
        pipe: to be trained.

    Raises:
        InputError: if it takes a moved reference (``reference_warp``), for which nothing is prepared.

    Source: AniFaceDiff, section 3.5; the frozen image encoder and the two stages as in Animate Anyone.
    """

    learned = ("reference_net", "pose_encoder", "expression_adapter")
    learned_on_clips = ()

    def __init__(self, pipe: AniFaceDiffPipeline) -> None:
        if pipe.config["reference_warp"]:
            raise InputError(
                "reference_warp: pipelines with a moved reference are trained on drawn avatars only (anifacediff "
                "train stage1), where the warps are drawn with the pictures."
            )
        self.pipe = pipe
        self.parts: Mapping[str, nn.Module] = {
            "reference_net": pipe.reference_net,
            "pose_encoder": pipe.pose_encoder,
            "expression_adapter": pipe.expression_adapter,
            "image_encoder": pipe.image_encoder,
        }

    def attach(self, unet: Any) -> list[Attachment]:
        """Attach the three parts, and the Pose Encoder to ReferenceNet if the pipeline shows it the pose."""
        pipe = self.pipe
        attached = [part.attach(unet) for part in (pipe.reference_net, pipe.pose_encoder, pipe.expression_adapter)]
        return [*attached, pipe.pose_encoder.attach(pipe.reference_net)] if self._reference_pose else attached

    def conditions(self, examples: Examples, unet: Any, told: bool) -> Told:
        """Pose for all; reference, image token and expression for those that are told."""
        maps = examples.maps["normal"]
        frames = maps.shape[1]
        entries: dict[str, object] = dict(self.pipe.pose_encoder(maps.flatten(0, 1)))
        expression = self.pipe.expression_adapter(examples.parameters["expression_code"].flatten(0, 1))
        with torch.no_grad():
            token = ImageTokens(self.pipe.image_encoder)(examples.reference)
        if told:
            entries |= expression | self._read(examples, token, unet)
        else:
            token = torch.zeros_like(token)
            entries |= {name: torch.zeros_like(tokens) for name, tokens in expression.items()}
        return Told(token.repeat_interleave(frames, dim=0), entries)

    @property
    def _reference_pose(self) -> bool:
        return bool(self.pipe.config["reference_pose"])

    def _read(self, examples: Examples, token: Tensor, unet: Any) -> Mapping[str, object]:
        assert examples.reference_latents is not None
        seen = self.pipe.pose_encoder(examples.reference_maps["normal"]) if self._reference_pose else None
        return self.pipe.reference_net.read(examples.reference_latents, token, unet, cross_attention_kwargs=seen)
