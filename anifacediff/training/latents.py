"""Drawn pictures as latents, with what they are to be drawn from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from jaxtyping import Float as ArrayFloat

from anifacediff.shapes import Float, Int, Tensor
from anifacediff.training.dataset import DrawnSet, to_images
from anifacediff.training.nano import Conditions
from anifacediff.training.vae import encode
from anifacediff.training.weights import importance


@dataclass(frozen=True)
class Task:
    """Frames to be drawn.

    Attributes:
        conditions: what they are drawn from.
        clean: their true latents.
        importance: how much each place of them counts.
    """

    conditions: Conditions
    clean: Float[Tensor, "f c h w"]
    importance: Float[Tensor, "f 1 h w"]


@dataclass(frozen=True)
class EncodedSet:
    """A drawn set with its latents.

    Attributes:
        drawn: the set.
        latents: n identities, f frames, of each picture.
    """

    drawn: DrawnSet
    latents: ArrayFloat[np.ndarray, "n f c h w"]

    @classmethod
    def encoded(cls, drawn: DrawnSet, vae: AutoencoderDC, folder: Path) -> "EncodedSet":
        """Encode all pictures, or find the latents in ``folder`` if that has been done."""
        path = folder / f"latents-{drawn.digest}-{fingerprint(vae)}.npy"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with torch.no_grad():
                latents = np.stack([encode(vae, to_images(each)).half().numpy() for each in drawn.pictures])
            partial = path.with_suffix(".partial.npy")
            np.save(partial, latents)
            partial.replace(path)
        return cls(drawn, np.load(path, mmap_mode="r"))

    def task(
        self,
        who: Int[Tensor, "b"],
        reference: Int[Tensor, "b"],
        targets: Int[Tensor, "b k"],
        expressed: Float[Tensor, "f 1 1"],
    ) -> "Task":
        """Gather what some frames are drawn from, and their true latents.

        Args:
            who: numbers of the identities.
            reference: the frame of each that is the reference.
            targets: the frames of each to be drawn.
            expressed: zero for frames whose expression is kept from the network, else one.
        """
        rows, chosen = who.repeat_interleave(targets.shape[1]).numpy(), targets.flatten().numpy()
        first = who.numpy(), reference.numpy()
        conditions = Conditions(
            reference_latents=torch.from_numpy(self.latents[first]).float(),
            reference_images=to_images(self.drawn.pictures[first]),
            reference_maps=to_images(self.drawn.maps[first]),
            maps=to_images(self.drawn.maps[rows, chosen]),
            expression=torch.from_numpy(self.drawn.expression[rows, chosen]),
            expressed=expressed,
        )
        eyes = torch.from_numpy(self.drawn.eyes[rows, chosen])
        clean = torch.from_numpy(self.latents[rows, chosen]).float()
        return Task(conditions, clean, importance(conditions.maps, eyes, (clean.shape[-2], clean.shape[-1])))


def fingerprint(vae: AutoencoderDC) -> str:
    """Tell apart autoencoders by their weights."""
    digest = hashlib.sha256()
    for _, value in sorted(vae.state_dict().items()):
        digest.update(value.float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
