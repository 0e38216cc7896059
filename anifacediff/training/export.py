"""Writing what was trained as a pipeline that anyone can load."""

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from torch import nn

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.checkpoint import load_strict, read_weights
from anifacediff.conditioning.plane_sweep import BODY_DEPTHS, DEPTHS
from anifacediff.errors import CheckpointError
from anifacediff.training.nano import IMAGE_SIZE, STEPS, Nano, build_scheduler
from anifacediff.training.stage2 import build_temporal

MORPHABLE_MODEL = "expressive"
LARGEST_FILE = "16MB"
CROP_MARGIN = 2.1  # frames the face as most drawn pictures do


def averaged_nano(folder: Path) -> Nano:
    """Load the averaged weights of the newest checkpoint of stage 1.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    nano = Nano(seed=0)
    _load_average(nano, folder)
    return nano.eval()


def add_temporal(nano: Nano, folder: Path) -> None:
    """Put the averaged temporal modules of the newest checkpoint of stage 2 into nano.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    _load_average(build_temporal(nano, seed=0), folder)


def _load_average(model: nn.Module, folder: Path) -> None:
    found = sorted(folder.glob("step-*"))
    if not found:
        raise CheckpointError(f"{folder}: holds no checkpoint; run `anifacediff train {folder.name}` first.")
    load_strict(model, {**model.state_dict(), **read_weights(found[-1] / "average.safetensors")}, str(found[-1]))


def export(nano: Nano, vae: AutoencoderDC, folder: Path) -> AniFaceDiffPipeline:
    """Save a pipeline in float16, in diffusers' layout.

    Args:
        nano: the denoiser with its conditions; it serves the pipeline alone from now on.
        vae: the autoencoder.
        folder: receives the pipeline.
    """
    nano.detach()
    pipe = AniFaceDiffPipeline(
        vae=_unnamed(vae),
        image_encoder=nano.image_encoder,
        reference_net=nano.reference_net,
        unet=nano.unet,
        pose_encoder=nano.pose_encoder,
        expression_adapter=nano.expression_adapter,
        scheduler=build_scheduler(),
        image_size=IMAGE_SIZE,
        morphable_model=MORPHABLE_MODEL,
        reference_pose=True,
        reference_warp=True,
        reference_planes=DEPTHS,
        reference_body_planes=BODY_DEPTHS,
        crop_margin=CROP_MARGIN,
        num_inference_steps=STEPS,
        start="zeros",
    ).to(torch.float16)
    pipe.save_pretrained(folder, max_shard_size=LARGEST_FILE)
    return pipe


def _unnamed(vae: AutoencoderDC) -> AutoencoderDC:
    """The same autoencoder without the path that it was loaded from, which its saved configuration would tell."""
    copy = AutoencoderDC.from_config({name: value for name, value in vae.config.items() if not name.startswith("_")})
    assert isinstance(copy, AutoencoderDC)
    copy.load_state_dict(vae.state_dict())
    return copy.eval()
