"""Checkpoints of Animate Anyone's open code (Moore), and of what was built on it: AniPortrait, MagicPortrait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import nn

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
from anifacediff.assemblies.published.recognition import looks_like
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor

# Both self-attentions of a motion module have a table of positions of their own, which hold the same sinusoids.
_MOTION_KEYS = (
    (".temporal_transformer.", "."),
    (".attention_blocks.0.pos_encoder.", ".pos_embed."),
    (".attention_blocks.1.pos_encoder.", ".pos_embed."),
    (".attention_blocks.0.", ".attn1."),
    (".attention_blocks.1.", ".attn2."),
    (".norms.0.", ".norm1."),
    (".norms.1.", ".norm2."),
    (".ff_norm.", ".norm3."),
)
MOORE_FILES = ("denoising_unet", "reference_unet", "pose_guider")
OPTIONAL_FILES = ("motion_module",)
_OUTPUT_LAYERS = ("conv_norm_out.", "conv_out.")


@dataclass(frozen=True)
class MotionLayout:
    """What the keys and shapes of motion modules tell about them.

    Attributes:
        max_frames: length of the table of positions, None if the file has none.
        mid_block: whether the middle block has one.
    """

    max_frames: int | None
    mid_block: bool

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "MotionLayout":
        """Read it off a file in AnimateDiff's own layout or in that of diffusers."""
        tables = [
            tensor.shape[1] for key, tensor in weights.items() if key.endswith((".pos_encoder.pe", "pos_embed.pe"))
        ]
        return cls(tables[0] if tables else None, any(key.startswith("mid_block.motion_modules") for key in weights))


def convert_motion_modules(
    weights: Mapping[str, Tensor], temporal: nn.Module, *, source: str = "motion_module.pth"
) -> ConvertedWeights:
    """Convert AnimateDiff's motion modules, in their own keys or those of diffusers.

    Args:
        weights: of ``motion_module.pth``, or any of AnimateDiff's.
        temporal: ``TemporalModules`` that will hold them, or diffusers' ``MotionAdapter``; :class:`MotionLayout` says
            what they must have.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    return convert(weights, temporal, source=source, rename=_motion_key, fill=_positions)


def convert_denoising_unet(
    weights: Mapping[str, Tensor],
    unet: UNetMotionModel,
    *,
    motion_module: Mapping[str, Tensor] | None = None,
    source: str = "denoising_unet.pth",
) -> ConvertedWeights:
    """Convert a denoising UNet, with its motion modules in the same file or in another.

    Args:
        weights: of ``denoising_unet.pth``.
        unet: the video denoiser that will hold them.
        motion_module: of ``motion_module.pth``; what both files have is taken from ``weights``, as the published
            code loads them, and named as unused.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ, or ``motion_module`` holds anything else.
    """
    motion = motion_module or {}
    others = [key for key in motion if "motion_modules." not in key]
    if others:
        raise CheckpointError(
            f"motion_module: holds {len(others)} keys that are of no motion module: {', '.join(others[:5])}. "
            f"By its keys it looks like {looks_like(motion)}."
        )
    converted = convert({**motion, **weights}, unet, source=source, rename=_motion_key, fill=_positions)
    overridden = (f"motion_module: {key}" for key in motion if key in weights)
    return replace(converted, unused=(*converted.unused, *overridden))


def convert_reference_unet(
    weights: Mapping[str, Tensor], reference_net: ReferenceNet, *, source: str = "reference_unet.pth"
) -> ConvertedWeights:
    """Convert a reference UNet, which the published code builds without its last layers.

    Args:
        weights: of ``reference_unet.pth``.
        reference_net: the network that will hold them; its last layers, whose output nobody reads, become zero.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    return convert(weights, reference_net, source=source, fill=_silent_output)


def convert_pose_guider(
    weights: Mapping[str, Tensor], pose_encoder: PoseEncoder, *, source: str = "pose_guider.pth"
) -> ConvertedWeights:
    """Convert Animate Anyone's pose guider; AniPortrait's is another network.

    Args:
        weights: of ``pose_guider.pth``.
        pose_encoder: the encoder that will hold them.
        source: the file, for messages.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    return convert(weights, pose_encoder, source=source)


def convert_moore(
    files: Mapping[str, Path], folder: Path, *, architecture: Architecture = STABLE_DIFFUSION_1_5
) -> dict[str, tuple[str, ...]]:
    """Write a folder in diffusers' layout from the files of Animate Anyone's open code.

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
    return write_parts(folder, {**unet_parts(files, architecture), "pose_encoder": lambda: _pose_encoder(files)})


def unet_parts(files: Mapping[str, Path], architecture: Architecture) -> dict[str, Callable[[], Part]]:
    """What builds the two UNets from ``denoising_unet``, ``motion_module`` (if given) and ``reference_unet``."""

    def unet() -> Part:
        weights = read_tensors(files["denoising_unet"])
        motion = read_tensors(files["motion_module"]) if "motion_module" in files else {}
        layout = MotionLayout.of({**motion, **weights})
        model = architecture.video_unet(max_frames=layout.max_frames, mid_block=layout.mid_block)
        source = str(files["denoising_unet"])
        return Part.filled(model, convert_denoising_unet(weights, model, motion_module=motion, source=source))

    def reference_net() -> Part:
        model = architecture.reference_net()
        path = files["reference_unet"]
        return Part.filled(model, convert_reference_unet(read_tensors(path), model, source=str(path)))

    return {"unet": unet, "reference_net": reference_net}


def _pose_encoder(files: Mapping[str, Path]) -> Part:
    path = files["pose_guider"]
    weights = read_tensors(path)
    with torch.device("meta"):
        model = PoseEncoder(**encoder_sizes(weights))
    return Part.filled(model, convert_pose_guider(weights, model, source=str(path)))


def _motion_key(key: str) -> str:
    if "motion_modules." in key:
        for theirs, ours in _MOTION_KEYS:
            key = key.replace(theirs, ours)
    return key


def _positions(key: str, shape: tuple[int, ...]) -> Tensor | None:
    if not key.endswith(".pos_embed.pe"):
        return None
    return SinusoidalPositionalEmbedding(shape[2], max_seq_length=shape[1]).state_dict()["pe"]


def _silent_output(key: str, shape: tuple[int, ...]) -> Tensor | None:
    return torch.zeros(shape) if key.startswith(_OUTPUT_LAYERS) else None
