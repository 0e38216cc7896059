"""The public files that an assembly of Stable Diffusion 1.5 size starts from, checked before they are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPVisionModelWithProjection

from anifacediff.assemblies.loading import check_subfolders, load_component, local_folder, read_config
from anifacediff.assemblies.published.folders import LONGEST_WINDOW, read_tensors
from anifacediff.assemblies.published.moore import MotionLayout, convert_motion_modules
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.errors import CheckpointError

TEXT_HALF = ("text_model.", "text_projection.", "logit_scale")  # of a whole CLIP checkpoint
LATENT_SCALE = 0.18215  # of Stable Diffusion 1 and 2
_OTHERS = {1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}  # by the width of their context
_CLIP_PROJECTION = 512  # where a configuration of CLIP says nothing


@dataclass(frozen=True)
class PublicFiles:
    """Where the files are.

    Attributes:
        unet: folder of the denoiser.
        vae: folder of the VAE.
        motion: folder of motion modules, or one of AnimateDiff's own files.
        image_encoder: folder of a CLIP vision model with projection, or of a whole CLIP.
    """

    unet: Path
    vae: Path
    motion: Path
    image_encoder: Path

    @classmethod
    def find(
        cls,
        stable_diffusion: str | PathLike[str],
        motion_adapter: str | PathLike[str],
        image_encoder: str | PathLike[str],
        vae: str | PathLike[str] | None = None,
        **hub_options: Any,
    ) -> "PublicFiles":
        """Find the folders, and fetch from the Hub what is no folder.

        Args:
            stable_diffusion: folder or Hub id of a pipeline.
            motion_adapter: folder or Hub id in diffusers' layout, or a file in AnimateDiff's.
            image_encoder: folder or Hub id.
            vae: folder or Hub id of another VAE than the pipeline's.
            hub_options: of ``huggingface_hub.snapshot_download``.

        Raises:
            CheckpointError: naming what is missing.
        """
        needed = ("unet", "vae") if vae is None else ("unet",)
        pipeline = local_folder(stable_diffusion, needed, **hub_options)
        check_subfolders(pipeline, needed)
        motion = Path(motion_adapter)
        return cls(
            unet=pipeline / "unet",
            vae=pipeline / "vae" if vae is None else local_folder(vae, **hub_options),
            motion=motion if motion.is_file() else local_folder(motion_adapter, **hub_options),
            image_encoder=local_folder(image_encoder, **hub_options),
        )


@dataclass(frozen=True)
class PublicNetworks:
    """The networks that the files hold."""

    vae: AutoencoderKL
    image_encoder: CLIPVisionModelWithProjection
    unet: UNet2DConditionModel
    temporal: TemporalModules


def load_public(files: PublicFiles, torch_dtype: torch.dtype) -> PublicNetworks:
    """Load the networks; what their configurations tell is checked before any weights are read.

    Args:
        files: where they are.
        torch_dtype: their precision.

    Raises:
        AssetError: if a file of motion modules is damaged, or holds anything but tensors.
        CheckpointError: if anything is missing, left over, corrupted, of another shape, or of another model.
    """
    width = _check_denoiser(files.unet, _check_vae(files.vae))
    _check_image_encoder(files.image_encoder, width)
    unet = load_component(UNet2DConditionModel, files.unet, torch_dtype=torch_dtype)
    return PublicNetworks(
        vae=load_component(AutoencoderKL, files.vae, torch_dtype=torch_dtype),
        image_encoder=load_component(
            CLIPVisionModelWithProjection, files.image_encoder, beside=TEXT_HALF, torch_dtype=torch_dtype
        ),
        unet=unet,
        temporal=load_motion(files.motion, unet, torch_dtype),
    )


def load_motion(source: Path, unet: UNet2DConditionModel, torch_dtype: torch.dtype) -> TemporalModules:
    """Load motion modules: a folder in diffusers' layout, or a file in AnimateDiff's.

    Args:
        source: the folder or file, such as ``mm_sd_v15_v2.ckpt``; a file's name does not matter.
        unet: the denoiser that they are for; a file does not tell its sizes.
        torch_dtype: their precision.

    Raises:
        AssetError: if a file is damaged, or holds anything but tensors.
        CheckpointError: if keys or shapes differ; it says what the file looks like.
    """
    if source.is_dir():
        return load_component(TemporalModules, source, torch_dtype=torch_dtype)
    weights = read_tensors(source)
    layout = MotionLayout.of(weights)
    with torch.device("meta"):
        temporal = TemporalModules.for_unet(
            unet, max_frames=layout.max_frames or LONGEST_WINDOW, mid_block=layout.mid_block
        )
    converted = convert_motion_modules(weights, temporal, source=str(source)).tensors
    # Copied, for what was read may be a window into the file.
    copies = {key: tensor.to(torch_dtype, copy=True) for key, tensor in converted.items()}
    temporal.load_state_dict(copies, assign=True)
    return temporal


def _check_vae(folder: Path) -> int:
    """Check that a VAE has the latents of Stable Diffusion 1.5, and give their channels."""
    config = read_config(folder)
    scale = config.get("scaling_factor", LATENT_SCALE)
    if scale != LATENT_SCALE:
        raise CheckpointError(
            f"{folder}: is a VAE whose latents are scaled by {scale}, those of Stable Diffusion 1.5 by {LATENT_SCALE}; "
            "it belongs to another model. Take the VAE of the pipeline, or sd-vae-ft-mse."
        )
    return int(config.get("latent_channels", 4))


def _check_denoiser(folder: Path, latent_channels: int) -> int:
    """Check that a denoiser is one of Stable Diffusion 1.5's kind, and give the width of its context."""
    config = read_config(folder)
    width, channels = config.get("cross_attention_dim"), config.get("in_channels", latent_channels)
    other = _another_model(config)
    if other:
        raise CheckpointError(
            f"{folder}: is the denoiser of {other} (cross_attention_dim {width}); one of Stable Diffusion 1.5 is "
            "needed, whose cross_attention_dim is 768."
        )
    if channels != latent_channels:
        raise CheckpointError(
            f"{folder}: takes {channels} channels where the VAE has {latent_channels}, as denoisers for inpainting and "
            "for editing do; take the one that generates pictures."
        )
    if not isinstance(width, int):
        raise CheckpointError(f"{folder}: its config.json gives cross_attention_dim as {width!r}, not as a number.")
    return width


def _another_model(config: Mapping[str, Any]) -> str | None:
    if config.get("addition_embed_type") == "text_time":
        return "Stable Diffusion XL"
    return _OTHERS.get(config["cross_attention_dim"]) if isinstance(config.get("cross_attention_dim"), int) else None


def _check_image_encoder(folder: Path, width: int) -> None:
    config = read_config(folder)
    found = config.get("vision_config", config).get("projection_dim", _CLIP_PROJECTION)  # a whole CLIP nests them
    if found != width:
        raise CheckpointError(
            f"{folder}: projects images to {found} numbers, but the denoiser reads contexts of {width}; Stable "
            "Diffusion 1.5 takes CLIP ViT-L/14 (768), such as openai/clip-vit-large-patch14."
        )
