"""Training MIMAFace."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from anifacediff.assemblies.mimaface import MIMAFacePipeline, motion_of
from anifacediff.attachment import Attachment
from anifacediff.backbone.inter_clip import LeadingFrames
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.motion_identity import MotionIdentity
from anifacediff.errors import InputError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.shapes import Float, Tensor
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.recipe import Told

_LEADING = 0x1CA  # sets the numbers that choose leading frames apart from those of noise and time


class MIMAFaceRecipe:
    """Training MIMAFace: the tokens' modulation learns in both stages, the denoiser's first convolution on clips, too.

    Clips now and then begin with some of their own clean frames, in place of a previous clip. Guidance contrasts with
    tokens of zeros, as in the pipeline. The CLIP encoder stays as it is (published: its last two layers learn), and
    the identity contrastive loss (:mod:`anifacediff.training.contrastive`) is not part of it.

    Args:
        pipe: to be trained.

    Source: MIMAFace, sections 3.2 and 3.3, and its code.
    """

    learned = ("modulation",)
    learned_on_clips = ("unet.conv_in.", "parts.modulation.")

    def __init__(self, pipe: MIMAFacePipeline) -> None:
        self.pipe = pipe
        self.leading = LeadingFrames()
        self.parts: Mapping[str, nn.Module] = {"modulation": pipe.modulation, "image_encoder": pipe.image_encoder}

    def attach(self, unet: Any) -> list[Attachment]:
        """Let the denoiser take maps and previous latents."""
        return [self.pipe.affinity.attach(unet)]

    def conditions(self, examples: Examples, unet: Any, told: bool) -> Told:
        """Maps and previous frames for all; the tokens of those that are told."""
        clips = [self._clip(examples, row) for row in range(len(examples.seeds))]
        entries = {name: torch.cat([entry[name] for _, entry in clips]) for name in clips[0][1]}
        tokens = torch.cat([tokens for tokens, _ in clips])
        return Told(tokens if told else torch.zeros_like(tokens), entries)

    def _clip(self, examples: Examples, row: int) -> tuple[Float[Tensor, "f l d"], Mapping[str, Tensor]]:
        """The tokens of a clip, and its entries."""
        with torch.no_grad():
            patches = ImageTokens(self.pipe.image_encoder).patches(examples.reference[row : row + 1])
            maps = self.pipe.encode(examples.maps["shaded"][row])
        entries = self.pipe.affinity(self._previous(examples, row), num_frames=len(maps), map_latents=maps)
        return self.pipe.modulation(patches, self._motion(examples, row)).expand(len(maps), -1, -1), entries

    def _previous(self, examples: Examples, row: int) -> Float[Tensor, "k c h w"]:
        assert examples.latents is not None
        clean = examples.latents[row]
        if len(clean) <= self.leading.most:  # a still, or nothing would be left to draw
            return clean[:0]
        return self.leading(clean, torch.Generator().manual_seed(int(examples.seeds[row]) ^ _LEADING))

    def _motion(self, examples: Examples, row: int) -> MotionIdentity:
        told = {name: values[row] for name, values in examples.parameters.items()}
        if "camera.scale" not in told:
            raise InputError("MIMAFace's tokens tell where a head is: prepare the data with a weak perspective camera.")
        size = int(self.pipe.config["image_size"])
        camera = WeakPerspective(told["camera.scale"], told["camera.translation"])
        box = Box(told["box.corners"])
        faces = FaceParameters(told["shape"], told["expression"], told["pose"], camera, box, canvas=(size, size))
        return motion_of(faces)
