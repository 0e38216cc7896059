"""Every assembly at Stable Diffusion 1.5 size with random weights: as slow and as large as with the true ones."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline
from anifacediff.assemblies.magicportrait import MagicPortraitPipeline, magicportrait_scheduler
from anifacediff.assemblies.mimaface import MIMAFacePipeline, mimaface_scheduler
from anifacediff.assemblies.parts import PRESETS, PresetName, assemble, widen_input
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.backbone.inter_clip import InterClipAffinity
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.fixed_prompt import FixedPrompt
from anifacediff.conditioning.geometric_guidance import GeometricGuidanceEncoder
from anifacediff.conditioning.motion_identity import MotionIdentityModulation
from anifacediff.conditioning.pose_encoder import PoseEncoder

MOTION = {"expression": 52, "angles": 3, "translation": 3}  # what the built-in head and the tracker tell
ALL = ("vae", "unet", "all other networks")


def full_unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's denoiser."""
    return UNet2DConditionModel(cross_attention_dim=768).eval()


def full_vae() -> AutoencoderKL:
    """Stable Diffusion 1.5's autoencoder."""
    config: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
    }
    return AutoencoderKL(**config).eval()


def full_image_encoder() -> CLIPVisionModelWithProjection:
    """CLIP ViT-L/14's vision model."""
    config = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
    )
    config.projection_dim = 768
    return CLIPVisionModelWithProjection(config).eval()


def _anifacediff(image_size: int, preset: PresetName = "final") -> AnimationPipeline:
    still = full_unet()
    networks = (full_vae(), full_image_encoder(), still, TemporalModules.for_unet(still))
    parts = assemble(*networks, PRESETS[preset], image_size, "parametric", everything=True)
    return AniFaceDiffPipeline(**vars(parts))


def _animate_anyone(image_size: int) -> AnimationPipeline:
    still = full_unet()
    return AnimateAnyonePipeline(
        vae=full_vae(),
        unet=TemporalModules.for_unet(still).inflate(still).eval(),
        reference_net=ReferenceNet.from_unet(still).eval(),
        pose_encoder=PoseEncoder.for_unet(still).eval(),
        image_encoder=full_image_encoder(),
        scheduler=magicportrait_scheduler(),
        image_size=image_size,
        frame_norm_groups=32,
        untrained=ALL,
    )


def _magicportrait(image_size: int) -> AnimationPipeline:
    still = full_unet()
    return MagicPortraitPipeline(
        vae=full_vae(),
        prompt=FixedPrompt().eval(),
        reference_net=ReferenceNet.from_unet(still).eval(),
        unet=TemporalModules.for_unet(still).inflate(still).eval(),
        guidance_encoder=GeometricGuidanceEncoder.for_unet(still).eval(),
        scheduler=magicportrait_scheduler(),
        image_size=image_size,
        frame_norm_groups=32,
        untrained=ALL,
    )


def _mimaface(image_size: int) -> AnimationPipeline:
    still = widen_input(full_unet(), InterClipAffinity(map_channels=4).channels)
    return MIMAFacePipeline(
        vae=full_vae(),
        image_encoder=full_image_encoder(),
        modulation=MotionIdentityModulation(sizes=MOTION).eval(),
        unet=TemporalModules.for_unet(still).inflate(still).eval(),
        scheduler=mimaface_scheduler(),
        image_size=image_size,
        frame_norm_groups=32,
        untrained=ALL,
    )


FULL_SIZE: Mapping[str, Callable[[int], AnimationPipeline]] = MappingProxyType(
    {
        "anifacediff": _anifacediff,
        "anifacediff_v1": partial(_anifacediff, preset="v1"),
        "animate_anyone": _animate_anyone,
        "magicportrait": _magicportrait,
        "mimaface": _mimaface,
    }
)
"""Makes a pipeline for pictures of a height and width in pixels, by the name of its assembly (and preset)."""
