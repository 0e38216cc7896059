"""Checkpoints of MagicPortrait: Animate Anyone's UNets, and a guidance encoder for each control map."""

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
    encoder_sizes,
    read_tensors,
    write_parts,
)
from anifacediff.assemblies.published.moore import OPTIONAL_FILES, unet_parts
from anifacediff.conditioning.geometric_guidance import GUIDANCE_MAPS, GeometricGuidanceEncoder, MapName
from anifacediff.shapes import Tensor

GUIDANCE_FILES: Mapping[MapName, str] = {
    "depth": "guidance_encoder_depth",
    "normal": "guidance_encoder_normal",
    "shaded": "guidance_encoder_render",
}
_USED_ATTENTION = "attentions.5."
_UNUSED = re.compile(r"(attentions\.[0-4]|guidance_attention)\.")  # in the checkpoint, never called


def convert_guidance_encoders(
    weights: Mapping[str, Mapping[str, Tensor]], encoder: GeometricGuidanceEncoder
) -> ConvertedWeights:
    """Convert the guidance encoders of all maps into one component.

    About half of each file are attention layers that the published code builds and never calls; they are named as
    unused.

    Args:
        weights: of each file, by its name in :data:`GUIDANCE_FILES`; those of the encoder's maps.
        encoder: the component that will hold them.

    Raises:
        InputError: if a map's file is not given, or one of another map.
        CheckpointError: if keys or shapes differ.
    """
    check_names(weights, [GUIDANCE_FILES[name] for name in encoder.maps])
    tensors: dict[str, Tensor] = {}
    unused: list[str] = []
    for name in encoder.maps:
        file = GUIDANCE_FILES[name]
        part = convert(weights[file], encoder.encoders[name], source=file, rename=_guidance_key)
        tensors |= {f"encoders.{name}.{key}": value for key, value in part.tensors.items()}
        unused += (f"{file}: {key}" for key in part.unused)
    return ConvertedWeights(tensors, tuple(unused))


def convert_magicportrait(
    files: Mapping[str, Path], folder: Path, *, architecture: Architecture = STABLE_DIFFUSION_1_5
) -> dict[str, tuple[str, ...]]:
    """Write a folder in diffusers' layout from MagicPortrait's files.

    Args:
        files: ``denoising_unet``, ``reference_unet``, ``guidance_encoder_depth``, ``guidance_encoder_normal``,
            ``guidance_encoder_render``, and ``motion_module`` (published as ``motion_module-47360.pth``) if the first
            has none.
        folder: receives ``unet``, ``reference_net`` and ``guidance_encoder``; it must not exist yet.
        architecture: of the UNets.

    Returns:
        For each part, the keys of its files that are not used.

    Raises:
        InputError: if a file is not named, or one that there is not.
        AssetError: if a file is missing, damaged, or holds anything but tensors.
        CheckpointError: if keys or shapes differ.
        OutputError: if the folder exists or cannot be written.
    """
    check_names(files, ("denoising_unet", "reference_unet", *GUIDANCE_FILES.values()), OPTIONAL_FILES)
    parts = {**unet_parts(files, architecture), "guidance_encoder": lambda: _guidance_encoder(files)}
    return write_parts(folder, parts)


def _guidance_encoder(files: Mapping[str, Path]) -> Part:
    weights = {file: read_tensors(files[file]) for file in GUIDANCE_FILES.values()}
    with torch.device("meta"):
        encoder = GeometricGuidanceEncoder(maps=GUIDANCE_MAPS, **encoder_sizes(weights[GUIDANCE_FILES["depth"]]))
    return Part.filled(encoder, convert_guidance_encoders(weights, encoder))


def _guidance_key(key: str) -> str | None:
    if key.startswith(_USED_ATTENTION):
        return key.replace(_USED_ATTENTION, "attention.", 1)
    return None if _UNUSED.match(key) else key
