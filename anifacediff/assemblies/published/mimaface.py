"""MIMAFace's checkpoints in the layout of our parts.

Source: MIMAFace's published code and files at 8787c56.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_animatediff_checkpoint_to_diffusers
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from diffusers.models.unets.unet_motion_model import UNetMotionModel

from anifacediff.assemblies.published.weights import ConvertedWeights, check_keys, state_of
from anifacediff.assets.torch_files import read_torch
from anifacediff.backbone.inter_clip import InterClipAffinity
from anifacediff.checkpoint import read_weights
from anifacediff.conditioning.motion_identity import ITEMS
from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor

AFFINITY = InterClipAffinity(map_channels=4)
DENOISER: Mapping[str, Any] = {  # Stable Diffusion 1.5 with AnimateDiff v3's modules
    "sample_size": 64,
    "in_channels": 4 + AFFINITY.channels,
    "cross_attention_dim": 768,
    "num_attention_heads": 8,
    "use_motion_mid_block": False,
}
THEIR_ITEMS = {"identity": "arcface", "expression": "exp", "texture": "tex", "illumination": "gamma"}
THEIR_LAYERS = {
    "norm1": "ln_1",
    "qkv": "attn.c_qkv",
    "out": "attn.c_proj",
    "norm2": "ln_2",
    "mlp.0": "mlp.c_fc",
    "mlp.2": "mlp.c_proj",
}
UNET_FILES = ("unet.pth", "diffusion_pytorch_model.safetensors")


@dataclass(frozen=True)
class MIMAFaceWeights:
    """What a folder of MIMAFace's ``checkpoints`` holds.

    Attributes:
        denoiser: for a ``UNetMotionModel`` of :data:`DENOISER`.
        modulation: for a ``MotionIdentityModulation`` of the usual sizes.
    """

    denoiser: ConvertedWeights
    modulation: ConvertedWeights


def read_checkpoints(folder: Path) -> MIMAFaceWeights:
    """Read the video model out of MIMAFace's ``checkpoints`` folder.

    Args:
        folder: with ``image/pretrained_unet/unet.pth`` (or a safetensors file) and ``video/{3dunet,mim}.pth``.

    Raises:
        AssetError: if a file is missing, damaged, or not of its format.
        CheckpointError: if a file holds other weights.
    """
    unets = [folder / "image" / "pretrained_unet" / name for name in UNET_FILES]
    image = next((path for path in unets if path.is_file()), unets[0])
    read = read_weights if image.suffix == ".safetensors" else read_torch
    video = folder / "video"
    return MIMAFaceWeights(
        convert_denoiser(read(image), read_torch(video / "3dunet.pth")),
        convert_modulation(read_torch(video / "mim.pth")),
    )


def convert_modulation(mim: Mapping[str, object], source: str = "mim.pth") -> ConvertedWeights:
    """Convert ``mim.pth`` for :class:`~anifacediff.conditioning.MotionIdentityModulation`.

    Args:
        mim: what the file holds, of either stage.
        source: its name, for messages.

    Raises:
        CheckpointError: if keys are missing or left over.
    """
    state = state_of(mim, source)
    blocks = {key.split(".")[2] for key in state if key.startswith("mapper.resblocks.")}
    theirs = {ours: key for name, key in _modulation_layers(max(len(blocks), 1)) for ours, key in _leaves(name, key)}
    missing, unexpected = set(theirs.values()) - state.keys(), state.keys() - set(theirs.values())
    check_keys(source, "MIMAFace's mim.pth", missing=missing, unexpected=unexpected, found=state)
    return ConvertedWeights({ours: state[key] for ours, key in theirs.items()})


def convert_denoiser(
    unet: Mapping[str, object],
    video_unet: Mapping[str, object],
    config: Mapping[str, Any] = DENOISER,
    source: str = "unet.pth, 3dunet.pth",
) -> ConvertedWeights:
    """Convert the two denoisers into one ``UNetMotionModel``.

    As in the published code, motion modules and the first convolution come from the video stage, all else from the
    image stage.

    Args:
        unet: what ``unet.pth`` holds.
        video_unet: what ``3dunet.pth`` holds.
        config: of the ``UNetMotionModel``.
        source: names of the two files, for messages.

    Raises:
        CheckpointError: if keys or shapes differ from those of the denoiser.
    """
    first, second = source.split(", ")
    image, video = state_of(unet, first), state_of(video_unet, second)
    with torch.device("meta"):
        expected = UNetMotionModel(**config).state_dict()
    positions = {key for key in expected if key.endswith("pos_embed.pe")}
    motion = {key for key in expected if "motion_modules." in key} - positions
    conv_in = {"conv_in.weight", "conv_in.bias"}

    used = {key: value for key, value in video.items() if "motion_modules." in key or "conv_in." in key}
    trained: dict[str, Tensor] = convert_animatediff_checkpoint_to_diffusers(used)
    wanted = motion | conv_in
    check_keys(
        second,
        "MIMAFace's video UNet",
        missing=wanted - trained.keys(),
        unexpected=trained.keys() - wanted,
        found=video,
    )
    kept = {key: value for key, value in image.items() if key not in conv_in}
    wanted = expected.keys() - motion - positions - conv_in
    check_keys(
        first, "a Stable Diffusion 1.5 UNet", missing=wanted - kept.keys(), unexpected=kept.keys() - wanted, found=image
    )

    weights = kept | trained | {key: _sinusoids(expected[key]) for key in positions}
    _check_shapes(source, weights, expected)
    unused = [f"{second}: {key}" for key in video if key not in used or "pos_encoder" in key]
    return ConvertedWeights(weights, (*(f"{first}: {key}" for key in image if key in conv_in), *unused))


def _modulation_layers(blocks: int) -> list[tuple[str, str]]:
    items = [(f"projections.{name}", f"transform_dim_{THEIR_ITEMS.get(name, name)}") for name in ITEMS]
    layers = [
        (f"blocks.{block}.{ours}", f"mapper.resblocks.{block}.{theirs}")
        for block in range(blocks)
        for ours, theirs in THEIR_LAYERS.items()
    ]
    return [("project_image", "transform_dim_clip"), *items, *layers, ("norm", "layer_norm")]


def _leaves(ours: str, theirs: str) -> list[tuple[str, str]]:
    return [(f"{ours}.{leaf}", f"{theirs}.{leaf}") for leaf in ("weight", "bias")]


def _sinusoids(table: Tensor) -> Tensor:
    """The table of positions, which is the same in all files and computed rather than stored."""
    return SinusoidalPositionalEmbedding(table.shape[-1], table.shape[-2]).get_buffer("pe")


def _check_shapes(source: str, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    wrong = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if weights[key].shape != value.shape
    ]
    if wrong:
        raise CheckpointError(f"{source}: {len(wrong)} weights are of other shapes: {', '.join(wrong[:5])}.")
