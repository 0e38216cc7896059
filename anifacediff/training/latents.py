"""Drawn pictures as latents, with what they are to be drawn from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from jaxtyping import Float as ArrayFloat
from jaxtyping import UInt8
from torch import nn

from anifacediff.conditioning.reference_warp import guide_latents
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
        warped: n identities, r references, f frames, of each warp.
    """

    drawn: DrawnSet
    latents: ArrayFloat[np.ndarray, "n f c h w"]
    warped: ArrayFloat[np.ndarray, "n r f c h w"]

    @classmethod
    def encoded(cls, drawn: DrawnSet, vae: AutoencoderDC, folder: Path) -> "EncodedSet":
        """Encode all pictures and warps, or find their latents in ``folder`` if that has been done."""
        name = f"{drawn.digest}-{fingerprint(vae)}.npy"
        latents = _encoded(drawn.pictures, vae, folder / f"latents-{name}")
        return cls(drawn, latents, _encoded(drawn.warps, vae, folder / f"warped-{name}"))

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
            reference: the frame of each that is the reference; one of the first r.
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
            guide=self._guide(rows, reference.repeat_interleave(targets.shape[1]).numpy(), chosen),
            expression=torch.from_numpy(self.drawn.expression[rows, chosen]),
            expressed=expressed,
        )
        eyes = torch.from_numpy(self.drawn.eyes[rows, chosen])
        clean = torch.from_numpy(self.latents[rows, chosen]).float()
        return Task(conditions, clean, importance(conditions.maps, eyes, (clean.shape[-2], clean.shape[-1])))

    def _guide(self, rows: np.ndarray, reference: np.ndarray, chosen: np.ndarray) -> Float[Tensor, "f c h w"]:
        warped, still = self.warped[rows, reference, chosen], self.latents[rows, reference]
        shown = torch.from_numpy(self.drawn.shown[rows, reference, chosen]).float()[:, None] / 255
        return guide_latents(torch.from_numpy(warped).float(), torch.from_numpy(still).float(), shown)


def _encoded(
    pictures: UInt8[np.ndarray, "n *more h w 3"], vae: AutoencoderDC, path: Path
) -> ArrayFloat[np.ndarray, "n *more c h2 w2"]:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        one = _encode(vae, pictures[0])
        latents = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=(len(pictures), *one.shape))
        for index, each in enumerate(pictures):
            latents[index] = _encode(vae, each)
        latents.flush()
        partial.replace(path)
    return np.load(path, mmap_mode="r")


@torch.no_grad()
def _encode(vae: AutoencoderDC, pictures: UInt8[np.ndarray, "*more h w 3"]) -> ArrayFloat[np.ndarray, "*more c h2 w2"]:
    latents = encode(vae, to_images(pictures.reshape(-1, *pictures.shape[-3:]))).half()
    return latents.unflatten(0, pictures.shape[:-3]).numpy()


def fingerprint(vae: nn.Module) -> str:
    """Tell apart autoencoders by their weights."""
    digest = hashlib.sha256()
    for _, value in sorted(vae.state_dict().items()):
        digest.update(value.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
