"""The parts of an AniFaceDiff pipeline: from public weights, or small and untrained."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies.stable_diffusion import PublicFiles, load_public
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.pose_encoder import Placement, PoseEncoder
from anifacediff.errors import InputError
from anifacediff.registry import registry

PresetName = Literal["final", "v1"]


@dataclass(frozen=True)
class Preset:
    """What distinguishes the two forms of AniFaceDiff.

    Attributes:
        align_scale: whether control maps are drawn at the reference's scale.
        placement: where pose features enter.
    """

    align_scale: bool
    placement: Placement


PRESETS: dict[PresetName, Preset] = {
    "final": Preset(align_scale=True, placement="after_conv_in"),
    "v1": Preset(align_scale=False, placement="concatenate"),
}

SMALL_VAE: dict[str, object] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 8,
}
SMALL_UNET: dict[str, object] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": (2, 4),
}
SMALL_IMAGE_ENCODER: dict[str, int] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": 32,
}


@dataclass(frozen=True)
class Parts:
    """What an ``AniFaceDiffPipeline`` is constructed from; the names are its arguments."""

    vae: AutoencoderKL
    image_encoder: CLIPVisionModelWithProjection
    reference_net: ReferenceNet
    unet: UNetMotionModel
    pose_encoder: PoseEncoder
    expression_adapter: ExpressionAdapter
    scheduler: DDIMScheduler
    image_size: int
    morphable_model: str
    align_scale: bool
    frame_norm_groups: int
    untrained: tuple[str, ...]


def stable_diffusion_parts(
    files: PublicFiles, *, preset: PresetName, image_size: int, morphable_model: str, torch_dtype: torch.dtype
) -> Parts:
    """Load the parts at Stable Diffusion 1.5 size; see :meth:`AniFaceDiffPipeline.from_stable_diffusion`."""
    choice = _choose(preset)
    loaded = load_public(files, torch_dtype)
    return assemble(loaded.vae, loaded.image_encoder, loaded.unet, loaded.temporal, choice, image_size, morphable_model)


def small_parts(*, seed: int, preset: PresetName, image_size: int, morphable_model: str) -> Parts:
    """Make small parts with random weights; see :meth:`AniFaceDiffPipeline.untrained`."""
    choice = _choose(preset)
    small = small_networks(seed, image_size)
    with seeded(seed):
        return assemble(
            small.vae,
            small.image_encoder,
            small.unet,
            small.temporal,
            choice,
            image_size,
            morphable_model,
            everything=True,
        )


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Draw fresh weights by a seed, and leave the global generator as it was."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True)
class SmallNetworks:
    """Networks that run on any machine, with random weights; they have the layout of Stable Diffusion's."""

    vae: AutoencoderKL
    image_encoder: CLIPVisionModelWithProjection
    unet: UNet2DConditionModel
    temporal: TemporalModules
    image_size: int

    def settings(self, morphable_model: str) -> dict[str, Any]:
        """What a pipeline of these networks is told, with a face model by its registered name."""
        groups = int(self.temporal.config["motion_norm_num_groups"])
        return {"image_size": self.image_size, "morphable_model": morphable_model, "frame_norm_groups": groups}


def small_networks(seed: int, image_size: int) -> SmallNetworks:
    """Make small networks.

    Args:
        seed: of the weights.
        image_size: height and width in pixels of the pictures.
    """
    with seeded(seed):
        vae = AutoencoderKL.from_config(SMALL_VAE, sample_size=image_size)
        unet = UNet2DConditionModel.from_config(SMALL_UNET, sample_size=image_size // 8)
        assert isinstance(vae, AutoencoderKL)
        assert isinstance(unet, UNet2DConditionModel)
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(SMALL_IMAGE_ENCODER))
        return SmallNetworks(
            vae.eval(), encoder.eval(), unet.eval(), TemporalModules.for_unet(unet, heads=4), image_size
        )


def assemble(
    vae: AutoencoderKL,
    image_encoder: CLIPVisionModelWithProjection,
    unet: UNet2DConditionModel,
    temporal: TemporalModules,
    preset: Preset,
    image_size: int,
    morphable_model: str,
    everything: bool = False,
) -> Parts:
    """Add fresh conditioning parts to a denoiser, and temporal modules into it.

    Args:
        vae: images to latents and back.
        image_encoder: gives the image token.
        unet: the 2D denoiser; ReferenceNet becomes a copy of it.
        temporal: the temporal modules.
        preset: the form of AniFaceDiff.
        image_size: height and width in pixels of the pictures.
        morphable_model: registered name of the face model.
        everything: whether the parts given are untrained too.
    """
    reference_net = ReferenceNet.from_unet(unet)
    latent_channels = int(vae.config["latent_channels"])
    if preset.placement == "concatenate":
        unet = widen_input(unet, latent_channels)
    pose_encoder = PoseEncoder.for_unet(unet, placement=preset.placement, latent_channels=latent_channels)
    face_model = registry.morphable_models[morphable_model]()
    expression_adapter = ExpressionAdapter.for_unet(unet, expression_dim=face_model.num_expression)
    # Stable Diffusion 1.5's own noise schedule.
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=False,
    )
    fresh = ("pose_encoder", "expression_adapter", "reference_net")
    return Parts(
        vae=vae.eval(),
        image_encoder=image_encoder.eval(),
        reference_net=reference_net.eval(),
        unet=temporal.inflate(unet).eval(),
        pose_encoder=pose_encoder.type(unet.dtype).eval(),
        expression_adapter=expression_adapter.type(unet.dtype).eval(),
        scheduler=scheduler,
        image_size=image_size,
        morphable_model=morphable_model,
        align_scale=preset.align_scale,
        frame_norm_groups=int(temporal.config["motion_norm_num_groups"]),
        untrained=("vae", "image_encoder", "unet", *fresh) if everything else fresh,
    )


def widen_input(unet: UNet2DConditionModel, extra_channels: int) -> UNet2DConditionModel:
    """Build a denoiser that takes more input channels and ignores them until it is trained.

    Args:
        unet: the denoiser; all its other weights are shared with the new one.
        extra_channels: number of channels to append; their weights are zero.
    """
    with torch.device("meta"):
        wider = UNet2DConditionModel.from_config(unet.config, in_channels=unet.conv_in.in_channels + extra_channels)
    assert isinstance(wider, UNet2DConditionModel)
    weights = unet.state_dict(keep_vars=True)
    kernel = weights["conv_in.weight"]
    zeros = kernel.new_zeros(kernel.shape[0], extra_channels, *kernel.shape[2:])
    weights["conv_in.weight"] = torch.nn.Parameter(torch.cat([kernel.detach(), zeros], dim=1))
    wider.load_state_dict(weights, assign=True)
    return wider.train(unet.training)


def _choose(preset: str) -> Preset:
    for name, choice in PRESETS.items():
        if name == preset:
            return choice
    raise InputError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}.")
