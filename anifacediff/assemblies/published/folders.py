"""Published files read, and folders in diffusers' layout written from them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel

from anifacediff.assemblies.published.conversion import ConvertedWeights, tensors_of
from anifacediff.assets.torch_files import read_torch
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.checkpoint import read_weights
from anifacediff.errors import AniFaceDiffError, InputError, OutputError
from anifacediff.shapes import Tensor

LONGEST_WINDOW = 32  # frames, of motion modules whose file does not tell


@dataclass(frozen=True)
class Architecture:
    """Sizes that the weights of UNets do not tell, or not all of them.

    Attributes:
        unet: what ``UNet2DConditionModel`` is constructed from.
        motion_heads: attention heads of the motion modules.
    """

    unet: Mapping[str, Any]
    motion_heads: int = 8

    def reference_net(self) -> ReferenceNet:
        """Build a reference net without memory for its weights."""
        with torch.device("meta"):
            return ReferenceNet(**self.unet)

    def video_unet(self, *, max_frames: int | None, mid_block: bool) -> UNetMotionModel:
        """Build a video denoiser without memory for its weights."""
        with torch.device("meta"):
            unet = UNet2DConditionModel(**self.unet)
            temporal = TemporalModules.for_unet(
                unet, max_frames=max_frames or LONGEST_WINDOW, heads=self.motion_heads, mid_block=mid_block
            )
            return temporal.inflate(unet)


STABLE_DIFFUSION_1_5 = Architecture({"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8})


@dataclass(frozen=True)
class Part:
    """A component with its weights.

    Attributes:
        model: the component.
        unused: keys of its files that are not used.
    """

    model: ModelMixin
    unused: tuple[str, ...]

    @classmethod
    def filled(cls, model: ModelMixin, converted: ConvertedWeights) -> "Part":
        """Give a component, built without memory, its weights."""
        model.load_state_dict(dict(converted.tensors), assign=True)
        return cls(model, converted.unused)


def check_names(files: Mapping[str, object], required: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise :class:`InputError` unless the files are those that are needed, and others that there are."""
    missing, unknown = sorted(set(required) - files.keys()), sorted(files.keys() - {*required, *optional})
    if missing or unknown:
        raise InputError(
            f"files: missing {', '.join(missing) or 'none'}, unknown {', '.join(unknown) or 'none'}; expected "
            f"{', '.join(required)}{', and if you have them ' if optional else ''}{', '.join(optional)}."
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of ``torch.save`` or of safetensors.

    Raises:
        AssetError: if it is missing, damaged, or holds anything but tensors.
        CheckpointError: if it is a damaged safetensors file, or its state dictionary holds anything but tensors.
    """
    if path.suffix == ".safetensors":
        return read_weights(path)
    return tensors_of(read_torch(path), str(path))


def encoder_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the widths of a pose encoder off its weights; empty where they are those of something else."""
    strided = [f"blocks.{number}.weight" for number in range(1, len(weights), 2)]
    keys = ["conv_in.weight", *(key for key in strided if key in weights), "conv_out.weight"]
    if any(key not in weights or weights[key].ndim != 4 for key in keys):
        return {}
    *widths, out_channels = (weights[key].shape[0] for key in keys)
    return {"block_out_channels": widths, "out_channels": out_channels}


def write_parts(folder: Path, parts: Mapping[str, Callable[[], Part]]) -> dict[str, tuple[str, ...]]:
    """Write every part into a folder of its own, one after the other; all of them or none.

    Args:
        folder: receives them; it must not exist yet.
        parts: what builds each part, by the name of its folder.

    Returns:
        For each part, the keys that are not used.

    Raises:
        OutputError: if the folder exists or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder}: exists already; choose a new folder, or remove it.")
    unused: dict[str, tuple[str, ...]] = {}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", suffix=".partial", dir=folder.parent) as scratch:
            partial = Path(scratch) / folder.name
            for name, build in parts.items():
                part = build()
                part.model.save_pretrained(partial / name)
                unused[name] = part.unused
            partial.rename(folder)
    except AniFaceDiffError:
        raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error}).") from error
    return unused
