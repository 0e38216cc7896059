"""MIMAFace's checkpoints in the layout of our parts.

Source: MIMAFace's published code and files at 8787c56.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_motion_model import UNetMotionModel

from anifacediff.assemblies.published.conversion import ConvertedWeights, convert
from anifacediff.assemblies.published.folders import (
    STABLE_DIFFUSION_1_5,
    Architecture,
    Part,
    check_names,
    read_tensors,
    write_parts,
)
from anifacediff.assemblies.published.moore import MotionLayout, convert_denoising_unet
from anifacediff.assemblies.published.recognition import looks_like
from anifacediff.backbone.inter_clip import InterClipAffinity
from anifacediff.conditioning.motion_identity import ITEMS, MotionIdentityModulation
from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor

AFFINITY = InterClipAffinity(map_channels=4)
MIMAFACE = replace(
    STABLE_DIFFUSION_1_5,
    unet={**STABLE_DIFFUSION_1_5.unet, "in_channels": AFFINITY.latent_channels + AFFINITY.channels},
)
FILES = ("unet", "3dunet", "mim")
_MODULATION_KEYS = (
    ("transform_dim_clip.", "project_image."),
    ("transform_dim_arcface.", "projections.identity."),
    ("transform_dim_exp.", "projections.expression."),
    ("transform_dim_tex.", "projections.texture."),
    ("transform_dim_gamma.", "projections.illumination."),
    ("transform_dim_", "projections."),
    ("mapper.resblocks.", "blocks."),
    (".attn.c_qkv.", ".qkv."),
    (".attn.c_proj.", ".out."),
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".mlp.c_fc.", ".mlp.0."),
    (".mlp.c_proj.", ".mlp.2."),
    ("layer_norm.", "norm."),
)


def convert_mimaface(
    files: Mapping[str, Path], folder: Path, *, architecture: Architecture = MIMAFACE
) -> dict[str, tuple[str, ...]]:
    """Write a folder in diffusers' layout from the files of MIMAFace's video model.

    Args:
        files: ``unet`` (published as ``image/pretrained_unet/unet.pth`` or a safetensors file), ``3dunet`` and ``mim``
            (``video/3dunet.pth``, ``video/mim.pth``).
        folder: receives ``unet`` and ``modulation``; it must not exist yet.
        architecture: of the UNet.

    Returns:
        For each part, the keys of its files that are not used.

    Raises:
        InputError: if a file is not named, or one that there is not.
        AssetError: if a file is missing, damaged, or holds anything but tensors.
        CheckpointError: if keys or shapes differ, or a file is of the other stage.
        OutputError: if the folder exists or cannot be written.
    """
    check_names(files, FILES)
    return write_parts(folder, {"unet": lambda: _unet(files, architecture), "modulation": lambda: _modulation(files)})


def convert_modulation(
    mim: Mapping[str, Tensor], modulation: MotionIdentityModulation, *, source: str = "mim.pth"
) -> ConvertedWeights:
    """Convert ``mim.pth``, of either stage.

    Args:
        mim: its weights.
        modulation: the part that will hold them.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    return convert(mim, modulation, source=source, rename=_modulation_key)


def convert_denoiser(
    image: Mapping[str, Tensor], video: Mapping[str, Tensor], denoiser: UNetMotionModel
) -> ConvertedWeights:
    """Convert the image stage's ``unet.pth`` and the video stage's ``3dunet.pth`` into one denoiser.

    As in the published code, motion modules and the first convolution come from the video stage, all else from the
    image stage; what else there is in the files is named as unused.

    Args:
        image: of ``unet.pth``.
        video: of ``3dunet.pth``.
        denoiser: the denoiser that will hold them.

    Raises:
        CheckpointError: if keys or shapes differ, or a file is of the other stage.
    """
    motion = {key: value for key, value in video.items() if "motion_modules." in key}
    if not motion:
        raise _of_another_stage("3dunet.pth", "no motion modules", video)
    if any("motion_modules." in key for key in image):
        raise _of_another_stage("unet.pth", "motion modules", image)
    conv_in = {key: value for key, value in video.items() if "conv_in." in key}
    kept = {key: value for key, value in image.items() if "conv_in." not in key}
    converted = convert_denoising_unet(
        kept | conv_in, denoiser, motion_module=motion, source="unet.pth with conv_in of 3dunet.pth"
    )
    unused = [f"unet.pth: {key}" for key in image if key not in kept]
    unused += [f"3dunet.pth: {key}" for key in video if key not in motion | conv_in]
    return replace(converted, unused=(*converted.unused, *unused))


def _unet(files: Mapping[str, Path], architecture: Architecture) -> Part:
    image, video = read_tensors(files["unet"]), read_tensors(files["3dunet"])
    model = architecture.video_unet(max_frames=MotionLayout.of(video).max_frames, mid_block=False)
    return Part.filled(model, convert_denoiser(image, video, model))


def _modulation(files: Mapping[str, Path]) -> Part:
    weights = read_tensors(files["mim"])
    with torch.device("meta"):
        model = MotionIdentityModulation(**_modulation_sizes(weights), average_over_clip=True)
    return Part.filled(model, convert_modulation(weights, model, source=str(files["mim"])))


def _modulation_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the widths off the weights; empty where they are those of something else."""
    shapes = {_modulation_key(key): tuple(value.shape) for key, value in weights.items()}
    items = {name: shapes.get(f"projections.{name}.weight", ()) for name in ITEMS}
    image = shapes.get("project_image.weight", ())
    if any(len(shape) != 2 for shape in (image, *items.values())):
        return {}
    layers = len({key.split(".")[1] for key in shapes if key.startswith("blocks.")})
    sizes = {name: shape[1] for name, shape in items.items()}
    return {"sizes": sizes, "image_dim": image[1], "width": image[0], "layers": layers}


def _modulation_key(key: str) -> str:
    for theirs, ours in _MODULATION_KEYS:
        key = key.replace(theirs, ours)
    return key


def _of_another_stage(source: str, holds: str, weights: Mapping[str, Tensor]) -> CheckpointError:
    look = looks_like(weights) or "nothing that is known here"
    return CheckpointError(f"{source}: holds {holds}. By its keys it looks like {look}.")
