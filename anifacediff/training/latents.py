"""Drawn pictures as latents, with what they are to be drawn from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from jaxtyping import Float as ArrayFloat
from torch import nn

from anifacediff.conditioning.plane_sweep import moved
from anifacediff.conditioning.reference_guide import guide_latents
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.training.dataset import DrawnSet
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
        planes: n identities, r references, f frames, of each plane of a sweep.
    """

    drawn: DrawnSet
    latents: ArrayFloat[np.ndarray, "n f c h w"]
    warped: ArrayFloat[np.ndarray, "n r f c h w"]
    planes: ArrayFloat[np.ndarray, "n r f p c h w"]

    @classmethod
    def encoded(cls, drawn: DrawnSet, vae: AutoencoderDC, folder: Path) -> "EncodedSet":
        """Encode all that is drawn and moved, or find the latents in ``folder`` if that has been done."""
        name = f"{drawn.digest}-{fingerprint(vae)}.npy"
        images: Mapping[str, Callable[[int], Tensor]] = {
            "latents": lambda who: to_images(drawn.pictures[who]),
            "warped": lambda who: to_images(drawn.warps[who]),
            "planes": lambda who: _swept(drawn, who),
        }
        return cls(
            drawn, **{kind: _encoded(drawn, each, vae, folder / f"{kind}-{name}") for kind, each in images.items()}
        )

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
        planes = self.planes[rows, reference, chosen].swapaxes(0, 1)
        shown = torch.from_numpy(self.drawn.shown[rows, reference, chosen]).float()[:, None] / 255
        return guide_latents([torch.from_numpy(each).float() for each in (warped, still, *planes)], shown)


def _swept(drawn: DrawnSet, who: int) -> Float[Tensor, "r f p 3 h w"]:
    """The first r frames of an identity, moved to each frame as planes."""
    motions = torch.from_numpy(drawn.motions[who])
    count, frames, planes = motions.shape[:3]
    references = to_images(drawn.pictures[who, :count]).repeat_interleave(frames * planes, dim=0)
    return moved(references, motions.flatten(0, 2)).unflatten(0, motions.shape[:3])


def _encoded(
    drawn: DrawnSet, images: Callable[[int], Tensor], vae: AutoencoderDC, path: Path
) -> ArrayFloat[np.ndarray, "n *more c h w"]:
    """Encode some images of each identity, or find their latents at ``path``."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")  # what a killed run leaves, the next one overwrites: it is large
        shape = len(drawn.pictures), *_encode(vae, images(0)).shape
        latents = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        for index in range(len(drawn.pictures)):
            latents[index] = _encode(vae, images(index))
        latents.flush()
        partial.replace(path)
    return np.load(path, mmap_mode="r")


@torch.no_grad()
def _encode(vae: AutoencoderDC, images: Float[Tensor, "*more 3 h w"]) -> ArrayFloat[np.ndarray, "*more c h2 w2"]:
    latents = encode(vae, images.reshape(-1, *images.shape[-3:])).half()
    return latents.unflatten(0, images.shape[:-3]).numpy()


def fingerprint(vae: nn.Module) -> str:
    """Tell apart autoencoders by their weights."""
    digest = hashlib.sha256()
    for _, value in sorted(vae.state_dict().items()):
        digest.update(value.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
