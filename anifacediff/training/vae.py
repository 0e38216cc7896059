"""Training the autoencoder."""

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from anifacediff.checkpoint import load_pretrained
from anifacediff.evaluation.pixels import psnr
from anifacediff.media.images import write_image
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.nano import build_vae
from anifacediff.training.principal import start_linear
from anifacediff.training.run import Run, Schedule, train
from anifacediff.training.sheets import sheet

FACE_WEIGHT = 2.0
EDGE_WEIGHT = 0.5
LATENT_WEIGHT = 0.02


def encode(vae: AutoencoderDC, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f c h2 w2"]:
    """Turn images in [0, 1] into latents."""
    return vae.encode(images * 2 - 1, return_dict=False)[0]


def decode(vae: AutoencoderDC, latents: Float[Tensor, "f c h w"]) -> Float[Tensor, "f 3 h2 w2"]:
    """Turn latents into images in [0, 1], or a little outside."""
    images = vae.decode(latents, return_dict=False)[0]
    assert isinstance(images, Tensor)
    return images / 2 + 0.5


def decode_all(vae: AutoencoderDC, latents: Float[Tensor, "f c h w"]) -> Float[Tensor, "f 3 h2 w2"]:
    """Decode some frames at a time."""
    return torch.cat([decode(vae, part) for part in latents.split(16)])


def reconstruction_loss(
    vae: AutoencoderDC, images: Float[Tensor, "f 3 h w"], faces: Float[Tensor, "f 1 h w"]
) -> Float[Tensor, ""]:
    """L1 of colours and of their differences between neighbours, more of it on faces; latents near unit variance.

    Args:
        vae: the autoencoder.
        images: in [0, 1].
        faces: one where a control map shows a face, else zero.
    """
    with torch.autocast(images.device.type, torch.bfloat16):
        latents = encode(vae, images)
        decoded = decode(vae, latents)
    latents = latents.float()
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    spread = mean.square().mean() + (std - 1).square().mean()
    return reconstruction_error(decoded.float(), images, faces) + LATENT_WEIGHT * spread


def reconstruction_error(
    decoded: Float[Tensor, "f 3 h w"], images: Float[Tensor, "f 3 h w"], faces: Float[Tensor, "f 1 h w"]
) -> Float[Tensor, ""]:
    """L1 of colours and of their differences between neighbours, more of it on faces.

    Args:
        decoded: what was drawn.
        images: what it should be.
        faces: more than zero where errors count more.
    """
    error = decoded - images
    weight = 1 + FACE_WEIGHT * faces
    edges = error.diff(dim=2).abs()[..., 1:] + error.diff(dim=3).abs()[:, :, 1:]
    return (weight * error.abs()).mean() + EDGE_WEIGHT * (weight[..., 1:, 1:] * edges).mean()


def train_vae(folder: Path, data: DrawnSet, held_out: DrawnSet, schedule: Schedule, *, batch: int = 16) -> None:
    """Train an autoencoder and save its averaged weights in ``folder``/model.

    Args:
        folder: of the run.
        data: pictures to learn from.
        held_out: pictures to look at.
        schedule: how to learn.
        batch: pictures in a step.

    Raises:
        ConfigurationError: if the folder's run was begun with other data or settings.
        CheckpointError: if its newest checkpoint is damaged.
        NotFiniteError: if a loss is NaN.
    """
    vae = build_vae(schedule.seed)
    vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    start_linear(vae, to_images(data.pictures[:: max(1, len(data.pictures) // 100), 0]) * 2 - 1)
    run = Run(folder, vae, schedule, {**data.casting.settings, "data": data.digest, "batch": batch})
    shown = to_images(held_out.pictures[:64, 0])

    def loss(generator: torch.Generator) -> Float[Tensor, ""]:
        who = torch.randint(data.casting.identities, (batch,), generator=generator).numpy()
        when = torch.randint(data.casting.frames, (batch,), generator=generator).numpy()
        faces = to_images(data.maps[who, when]).amax(1, keepdim=True) > 0
        return reconstruction_loss(vae, to_images(data.pictures[who, when]), faces.float())

    @torch.no_grad()
    def report() -> Mapping[str, float]:
        decoded = decode_all(vae, encode(vae, shown))
        write_image(folder / f"sheet-{run.step:07d}.png", sheet((shown[:8], decoded[:8])))
        vae.save_pretrained(folder / "model")
        return {"psnr": psnr(decoded, shown).mean().item()}

    train(run, loss, report=report, report_every=120.0)


def load_vae(folder: Path) -> AutoencoderDC:
    """Load the autoencoder that :func:`train_vae` saved.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    return load_pretrained(AutoencoderDC, folder / "model").eval()
