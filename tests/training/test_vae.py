import pytest
import torch
import torch.nn.functional as F

from anifacediff.evaluation.pixels import psnr
from anifacediff.shapes import Tensor
from anifacediff.training.nano import LATENT_CHANNELS, build_vae
from anifacediff.training.principal import start_linear
from anifacediff.training.sheets import sheet
from anifacediff.training.vae import decode, encode, reconstruction_loss


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth pictures with some noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(48, 3, 24, 24, generator=generator)
    smooth = F.interpolate(coarse, (64, 64), mode="bicubic").clamp(0, 1)
    return (smooth + 0.005 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def test_an_autoencoder_starts_as_good_as_principal_components(images: Tensor):
    vae = build_vae(0)
    start_linear(vae, images * 2 - 1)
    patches = F.pixel_unshuffle(images, 8).movedim(1, -1).flatten(0, -2).double()
    centered = patches - patches.mean(0)
    _, _, axes = torch.linalg.svd(centered, full_matrices=False)
    kept = centered @ axes[:LATENT_CHANNELS].T @ axes[:LATENT_CHANNELS]
    best = -10 * (kept - centered).square().mean().log10().item()
    with torch.no_grad():
        latents = encode(vae, images)
        decoded = decode(vae, latents)
    assert psnr(decoded, images).mean() > best - 1
    assert latents.std((0, 2, 3)).sub(1).abs().max() < 0.25


def test_the_loss_is_small_for_what_is_reproduced_and_larger_on_faces(images: Tensor):
    vae = build_vae(0)
    few = images[:2]
    with torch.no_grad():
        outside = reconstruction_loss(vae, few, torch.zeros(2, 1, 64, 64))
        inside = reconstruction_loss(vae, few, torch.ones(2, 1, 64, 64))
        start_linear(vae, images * 2 - 1)
        reproduced = reconstruction_loss(vae, few, torch.zeros(2, 1, 64, 64))
    assert inside > 2 * outside
    assert reproduced < 0.5 * outside


def test_a_sheet_has_a_row_for_each_frame():
    black, white = torch.zeros(3, 3, 2, 4), torch.ones(3, 3, 2, 4)
    picture = sheet((black, white))
    assert picture.shape == (6, 8, 3)
    assert picture[:, :4].max() == 0
    assert picture[:, 4:].min() == 255
