"""Writing what was trained as a pipeline that anyone can load."""

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.checkpoint import load_strict, read_weights
from anifacediff.errors import CheckpointError
from anifacediff.training.nano import IMAGE_SIZE, Nano, build_scheduler

MORPHABLE_MODEL = "expressive"
STEPS = 8
CROP_MARGIN = 2.1  # frames the face as most drawn pictures do


def averaged_nano(folder: Path) -> Nano:
    """Load the averaged weights of the newest checkpoint of stage 1.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    found = sorted(folder.glob("step-*"))
    if not found:
        raise CheckpointError(f"{folder}: holds no checkpoint; run `anifacediff train stage1` first.")
    nano = Nano(seed=0)
    weights = {**nano.state_dict(), **read_weights(found[-1] / "average.safetensors")}
    load_strict(nano, weights, str(found[-1]))
    return nano.eval()


def export(nano: Nano, vae: AutoencoderDC, folder: Path) -> AniFaceDiffPipeline:
    """Save a pipeline in float16, in diffusers' layout.

    Args:
        nano: the denoiser with its conditions; it serves the pipeline alone from now on.
        vae: the autoencoder.
        folder: receives the pipeline.
    """
    nano.detach()
    pipe = AniFaceDiffPipeline(
        vae=vae,
        image_encoder=nano.image_encoder,
        reference_net=nano.reference_net,
        unet=nano.unet,
        pose_encoder=nano.pose_encoder,
        expression_adapter=nano.expression_adapter,
        scheduler=build_scheduler(),
        image_size=IMAGE_SIZE,
        morphable_model=MORPHABLE_MODEL,
        reference_pose=True,
        crop_margin=CROP_MARGIN,
        num_inference_steps=STEPS,
        start="zeros",
    ).to(torch.float16)
    pipe.save_pretrained(folder)
    return pipe
