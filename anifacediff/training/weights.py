"""How much each part of the latents counts in a loss."""

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from anifacediff.evaluation.pixels import inside
from anifacediff.shapes import Float, Tensor
from anifacediff.training.vae import decode

FACE_WEIGHT, EYES_WEIGHT = 1.0, 4.0


def importance(
    maps: Float[Tensor, "f 3 h w"], eyes: Float[Tensor, "f 4"], latents: tuple[int, int]
) -> Float[Tensor, "f 1 h2 w2"]:
    """How much each place of the latents counts: the face more than what surrounds it, the eyes most.

    Args:
        maps: the control maps, which show where the face is.
        eyes: left, top, right and bottom of the region of the eyes, in pixels.
        latents: height and width of the latents.
    """
    faces = (maps.amax(1, keepdim=True) > 0).float()
    weight = 1 + FACE_WEIGHT * faces + EYES_WEIGHT * inside(eyes, maps.shape[-2], maps.shape[-1])
    return F.adaptive_avg_pool2d(weight, latents)


@torch.no_grad()
def visibility(vae: AutoencoderDC, latents: Float[Tensor, "f c h w"]) -> Float[Tensor, "c 1 1"]:
    """How much each channel counts in pictures: the mean square change when it is disturbed; one on average."""
    generator = torch.Generator().manual_seed(0)
    plain = decode(vae, latents)
    shows: list[Tensor] = []
    for channel in range(latents.shape[1]):
        disturbed = latents.clone()
        disturbed[:, channel] += torch.randn(disturbed[:, channel].shape, generator=generator)
        shows.append((decode(vae, disturbed) - plain).square().mean())
    return (torch.stack(shows) / torch.stack(shows).mean())[:, None, None]
