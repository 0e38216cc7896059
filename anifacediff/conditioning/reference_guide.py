"""Latents of the moved reference, and what a denoiser takes over of them."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from anifacediff.conditioning.plane_sweep import PlaneSweep, moved
from anifacediff.conditioning.reference_warp import ReferenceWarp
from anifacediff.errors import ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Tensor, check_shape


class ReferenceGuide:
    """Latents that tell a denoiser where the reference's pixels belong in each frame.

    Their channels: the latents of the moved reference, those of the reference as it is, those of each plane of a sweep,
    and how well the moved reference shows each spot; (2 + p) c + 1 for latents of c channels and p planes.

    Args:
        warp: moves the reference with the mesh.
        sweep: moves it as planes; None does without.
        image: 1 3 h w, the reference in [0, 1].
        reference: the face in it.
        encode: images in [0, 1] to latents.
    """

    def __init__(
        self,
        warp: ReferenceWarp,
        sweep: PlaneSweep | None,
        image: Float[Tensor, "1 3 h w"],
        reference: FaceParameters,
        encode: Callable[[Tensor], Tensor],
    ) -> None:
        self.warp = warp
        self.sweep = sweep
        self.image = image
        self.reference = reference
        self.encode = encode
        self.latents = encode(image)

    def __call__(self, face: FaceParameters) -> Float[Tensor, "f c h w"]:
        """Make the latents of some frames.

        Args:
            face: f frames, as :meth:`FacialAlignment.aligned` gives them.
        """
        warped = self.warp(self.image, self.reference, face)
        sources = [self.encode(warped.image), self.latents.expand(len(face), -1, -1, -1), *self._planes(face)]
        return guide_latents(sources, warped.shown)

    def _planes(self, face: FaceParameters) -> list[Float[Tensor, "f c h w"]]:
        if self.sweep is None:
            return []
        motions = self.sweep.motions(self.reference, face)
        return [self.encode(moved(self.image, motions[:, plane])) for plane in range(motions.shape[1])]


def guide_channels(latent_channels: int, planes: int = 0) -> int:
    """The number of channels of :class:`ReferenceGuide`'s latents."""
    return (2 + planes) * latent_channels + 1


def guide_latents(
    sources: Sequence[Float[Tensor, "f c h w"]], shown: Float[Tensor, "f 1 h2 w2"]
) -> Float[Tensor, "f c2 h w"]:
    """Put latents that may be taken over together with how well the first of them show each spot."""
    shown = F.adaptive_avg_pool2d(shown, (sources[0].shape[-2], sources[0].shape[-1]))
    return torch.cat([*sources, shown.to(sources[0].dtype)], dim=1)


def blend_channels(latent_channels: int, planes: int = 0) -> int:
    """The number of channels that a denoiser gives out for :func:`blended`."""
    return (3 + planes) * latent_channels


def blended(
    predicted: Float[Tensor, "f c2 h w"], guide: Float[Tensor, "f c3 h w"], latent_channels: int
) -> Float[Tensor, "f c h w"]:
    """Compose clean latents of what a denoiser draws itself and what it takes over from the reference.

    Args:
        predicted: f (n+1)c h w: what it draws; and, as logits, how much it takes of each of n sources.
        guide: f nc+1 h w, from :class:`ReferenceGuide`.
        latent_channels: c.

    Raises:
        ShapeError: if the channels do not fit each other.
    """
    offered = guide.shape[1] - 1
    if offered % latent_channels:
        raise ShapeError(
            f"guide: expected n x {latent_channels} + 1 channels, of n sources and of what is shown, found "
            f"{guide.shape[1]}."
        )
    check_shape("predicted", predicted, "f (n+1)c h w", len(guide), latent_channels + offered, *guide.shape[2:])
    drawn, taken = predicted.split([latent_channels, offered], dim=1)
    sources = (taken.sigmoid() * guide[:, :offered]).unflatten(1, (-1, latent_channels))
    return drawn + sources.sum(1)
