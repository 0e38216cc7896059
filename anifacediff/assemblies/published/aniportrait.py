"""Checkpoints of AniPortrait: Animate Anyone's UNets, and a pose guider of several levels."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from anifacediff.assemblies.published.conversion import ConvertedWeights, convert
from anifacediff.assemblies.published.folders import (
    STABLE_DIFFUSION_1_5,
    Architecture,
    Part,
    check_names,
    read_tensors,
    write_parts,
)
from anifacediff.assemblies.published.moore import MOORE_FILES, OPTIONAL_FILES, unet_parts
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.shapes import Tensor

_WIDTH, _HEADS, _HEAD_DIM = 320, 16, 88  # as published
_PARTS = {"conv_layers": "stem", "final_proj": "conv_out"}
_NUMBERED = {"conv_layers_": "steps", "cross_attn": "attentions"}


def pose_encoder_for(weights: Mapping[str, Tensor]) -> MultiLevelPoseEncoder:
    """Build the encoder that AniPortrait's ``pose_guider.pth`` is for, without memory for its weights.

    Its widths, and whether it has attention, are read off the file; they are the published ones where that does not
    tell.
    """
    width = weights["final_proj.weight"].shape[0] if "final_proj.weight" in weights else _WIDTH
    attention = "cross_attn1.proj_in.weight"
    with torch.device("meta"):
        encoder = MultiLevelPoseEncoder(
            block_out_channels=(width, 2 * width, 4 * width, 4 * width),
            self_attention=any(key.startswith("cross_attn") for key in weights),
            attention_heads=_HEADS,
            attention_head_dim=weights[attention].shape[0] // _HEADS if attention in weights else _HEAD_DIM,
        )
    return encoder.eval()


def convert_multilevel_pose_guider(
    weights: Mapping[str, Tensor], pose_encoder: MultiLevelPoseEncoder, *, source: str = "pose_guider.pth"
) -> ConvertedWeights:
    """Convert AniPortrait's pose guider; Animate Anyone's is another network.

    What the file calls cross-attention has no layer that reads another sequence: each attends to its map's own
    places, and its weights become those of the encoder's self-attention. Nothing is left over.

    Args:
        weights: of ``pose_guider.pth``.
        pose_encoder: the encoder that will hold them, as :func:`pose_encoder_for` builds it.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    return convert(weights, pose_encoder, source=source, rename=_our_key, fill=_counter)


def convert_aniportrait(
    files: Mapping[str, Path], folder: Path, *, architecture: Architecture = STABLE_DIFFUSION_1_5
) -> dict[str, tuple[str, ...]]:
    """Write a folder in diffusers' layout from AniPortrait's files.

    Args:
        files: ``denoising_unet``, ``reference_unet``, ``pose_guider``, and ``motion_module`` if the first has none.
        folder: receives ``unet``, ``reference_net`` and ``pose_encoder``; it must not exist yet.
        architecture: of the UNets.

    Returns:
        For each part, the keys of its files that are not used.

    Raises:
        InputError: if a file is not named, or one that there is not.
        AssetError: if a file is missing, damaged, or holds anything but tensors.
        CheckpointError: if keys or shapes differ.
        OutputError: if the folder exists or cannot be written.
    """
    check_names(files, MOORE_FILES, OPTIONAL_FILES)
    path = files["pose_guider"]

    def pose_encoder() -> Part:
        weights = read_tensors(path)
        encoder = pose_encoder_for(weights)
        return Part.filled(encoder, convert_multilevel_pose_guider(weights, encoder, source=str(path)))

    return write_parts(folder, {**unet_parts(files, architecture), "pose_encoder": pose_encoder})


def _our_key(key: str) -> str:
    if numbered := re.match(r"(conv_layers_|cross_attn)(\d+)\.(.+)", key):
        return f"{_NUMBERED[numbered[1]]}.{int(numbered[2]) - 1}.{numbered[3]}"
    part, _, rest = key.partition(".")
    return f"{_PARTS.get(part, part)}.{rest}" if rest else key


def _counter(key: str, shape: tuple[int, ...]) -> Tensor | None:
    """A count of training batches, which only training reads."""
    return torch.zeros(shape) if key.endswith(".num_batches_tracked") else None
