"""What the converters of published checkpoints have in common."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor

LOOKS: tuple[tuple[str, str], ...] = (  # part of a key, and what a file with such a key is; the first match counts
    ("transform_dim_", "MIMAFace's mim.pth"),
    ("model.diffusion_model.", "a Stable Diffusion checkpoint in its original layout"),
    ("motion_modules.", "a video UNet or AnimateDiff's motion modules"),
    ("time_embedding.linear_1", "a Stable Diffusion UNet in diffusers' layout"),
    ("vision_model.", "a CLIP image encoder"),
    ("text_model.", "a CLIP text encoder"),
    ("quant_conv.", "a VAE"),
    ("fianl_layers.", "MIMAFace's face reconstruction network"),
    ("final_layers.", "Deep3DFaceRecon's network"),
    ("output_layer.", "a face recognition network"),
    ("conv_in.conv.weight", "a pose or guidance encoder"),
    ("blocks.0.weight", "a pose or guidance encoder"),
)


@dataclass(frozen=True)
class ConvertedWeights:
    """A published checkpoint in the layout of one of our parts.

    Attributes:
        weights: by the part's own state keys.
        unused: keys of the files, as published, that the part has no use for.
    """

    weights: Mapping[str, Tensor]
    unused: tuple[str, ...] = ()


def looks_like(keys: Collection[str]) -> str:
    """Guess in words what a file with such keys is."""
    guesses = (what for part, what in LOOKS if any(part in key for key in keys))
    return next(guesses, "nothing that is known here" if keys else "an empty file")


def state_of(found: Mapping[str, object], source: str) -> dict[str, Tensor]:
    """Take a state dictionary out of what a file holds, without the prefix ``module.`` of data parallel training.

    Raises:
        CheckpointError: if there is anything but tensors in it.
    """
    others = sorted(key for key, value in found.items() if not isinstance(value, torch.Tensor))
    if others:
        raise CheckpointError(f"{source}: is no state dictionary; besides tensors it holds {_some(others)}.")
    wrapped = bool(found) and all(key.startswith("module.") for key in found)
    return {
        key.removeprefix("module.") if wrapped else key: value
        for key, value in found.items()
        if isinstance(value, torch.Tensor)
    }


def check_keys(
    source: str, what: str, *, missing: Collection[str], unexpected: Collection[str], found: Collection[str]
) -> None:
    """Raise :class:`CheckpointError` if keys are missing or left over, saying what the file looks like instead.

    Args:
        source: name of the file.
        what: what it should be.
        missing: keys that it should have, as published.
        unexpected: keys that it should not have.
        found: all its keys.
    """
    if not missing and not unexpected:
        return
    faults = [
        f"{len(keys)} {name} keys: {_some(sorted(keys))}"
        for name, keys in (("missing", missing), ("unexpected", unexpected))
        if keys
    ]
    raise CheckpointError(f"{source}: is not {what}, but looks like {looks_like(found)}; " + "; ".join(faults) + ".")


def _some(keys: Collection[str]) -> str:
    return f"{', '.join(list(keys)[:5])}{', ...' if len(keys) > 5 else ''}"
