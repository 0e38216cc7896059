"""Training MagicPortrait."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from anifacediff.assemblies.magicportrait import MagicPortraitPipeline
from anifacediff.attachment import Attachment
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.recipe import Told


class MagicPortraitRecipe:
    """Training MagicPortrait: ReferenceNet and guidance encoder learn; the prompt stays.

    Guidance contrasts with no reference, as in the pipeline.

    Args:
        pipe: to be trained.

    Source: MagicPortrait, whose code cannot be trained with; the two stages as in Animate Anyone.
    """

    learned = ("reference_net", "guidance_encoder")
    learned_on_clips = ()

    def __init__(self, pipe: MagicPortraitPipeline) -> None:
        self.pipe = pipe
        self.parts: Mapping[str, nn.Module] = {
            "reference_net": pipe.reference_net,
            "guidance_encoder": pipe.guidance_encoder,
            "prompt": pipe.prompt,
        }

    def attach(self, unet: Any) -> list[Attachment]:
        """Attach both parts."""
        return [self.pipe.reference_net.attach(unet), self.pipe.guidance_encoder.attach(unet)]

    def conditions(self, examples: Examples, unet: Any, told: bool) -> Told:
        """Maps and prompt for all; the reference for those that are told."""
        encoder, prompt = self.pipe.guidance_encoder, self.pipe.prompt()
        maps = torch.cat([examples.maps[name].flatten(0, 1) for name in encoder.maps], dim=1)
        entries: dict[str, object] = dict(encoder(maps))
        if told:
            assert examples.reference_latents is not None
            entries |= self.pipe.reference_net.read(
                examples.reference_latents,
                prompt.expand(len(examples.seeds), -1, -1),
                unet,
                fusion=self.pipe.config["fusion"],
            )
        return Told(prompt.expand(len(maps), -1, -1), entries)
