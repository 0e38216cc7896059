"""Training the autoencoder's decoder on what the denoiser predicts.

Predicted latents are never quite those of a picture; decoded as if they were, they show the squares of pixels that a
latent stands for. The encoder stays as it is, and so does what the denoiser was trained on.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from jaxtyping import Float as ArrayFloat

from anifacediff.evaluation.pixels import inside, psnr
from anifacediff.media.images import write_image
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.latents import EncodedSet, fingerprint
from anifacediff.training.nano import STEPS, Nano, build_scheduler
from anifacediff.training.run import Run, Schedule, train
from anifacediff.training.sheets import sheet
from anifacediff.training.stage1 import draw
from anifacediff.training.vae import decode, decode_all, reconstruction_error
from anifacediff.training.weights import EYES_WEIGHT
from anifacediff.writing import appearing

_SHOWN = 6


def train_decoder(
    folder: Path,
    nano: Nano,
    data: DrawnSet,
    held_out: DrawnSet,
    vae: AutoencoderDC,
    schedule: Schedule,
    *,
    identities: int = 300,
    batch: int = 16,
) -> None:
    """Train the decoder and save the autoencoder in ``folder``/model.

    Args:
        folder: of the run; holds the predictions, too.
        nano: the denoiser with its conditions.
        data: pictures to learn from.
        held_out: pictures to measure and look at.
        vae: whose decoder is trained.
        schedule: how to learn.
        identities: how many of ``data`` are used.
        batch: pictures in a step; half of them are decoded from predicted latents, half from their own.

    Raises:
        ConfigurationError: if the folder's run was begun with other data or settings.
        CheckpointError: if its newest checkpoint is damaged.
        NotFiniteError: if a loss is NaN.
    """
    data = data.first(identities)
    settings = {"data": data.digest, "vae": fingerprint(vae), "nano": fingerprint(nano), "batch": batch}
    decoder = vae.decoder.train()
    run = Run(folder, decoder, schedule, {**data.casting.settings, **settings})
    encoded, judged = (EncodedSet.encoded(drawn, vae, folder) for drawn in (data, held_out))
    predicted = _kept(folder / f"predicted-{data.digest}-{settings['nano']}.npy", nano, encoded)
    shown = _predicted(nano, judged)

    def loss(generator: torch.Generator) -> Float[Tensor, ""]:
        who = torch.randint(len(predicted), (batch,), generator=generator).numpy()
        when = torch.randint(predicted.shape[1], (batch,), generator=generator).numpy() + 1
        own = encoded.latents[who, when]
        own[: batch // 2] = predicted[who, when - 1][: batch // 2]
        with torch.autocast("cpu", torch.bfloat16):
            decoded = decode(vae, torch.from_numpy(own).float()).float()
        maps, eyes = to_images(data.maps[who, when]), torch.from_numpy(data.eyes[who, when])
        faces = (maps.amax(1, keepdim=True) > 0).float() + EYES_WEIGHT * inside(eyes, *maps.shape[-2:])
        return reconstruction_error(decoded, to_images(data.pictures[who, when]), faces)

    @torch.no_grad()
    def report() -> Mapping[str, float]:
        decoder.eval()
        truth = to_images(held_out.pictures[:, 1])
        latents = (torch.from_numpy(each.astype(np.float32)) for each in (shown[:, 0], judged.latents[:, 1]))
        drawn, ceiling = (decode_all(vae, each) for each in latents)
        write_image(folder / f"sheet-{run.step:07d}.png", sheet([each[:_SHOWN] for each in (drawn, truth)]))
        vae.save_pretrained(folder / "model")
        decoder.train()
        return {"psnr": psnr(drawn, truth).mean().item(), "psnr_vae": psnr(ceiling, truth).mean().item()}

    train(run, loss, report=report)


def _kept(path: Path, nano: Nano, stills: EncodedSet) -> ArrayFloat[np.ndarray, "n f c h w"]:
    """The predictions in a file; it is written if there is none."""
    if not path.is_file():
        with appearing(path) as partial, partial.open("wb") as file:
            np.save(file, _predicted(nano, stills))
    return np.load(path, mmap_mode="r")


@torch.no_grad()
def _predicted(nano: Nano, stills: EncodedSet) -> ArrayFloat[np.ndarray, "n f c h w"]:
    """Draw all frames of every identity but the first, which is the reference."""
    targets = torch.arange(1, stills.drawn.casting.frames)[None]
    rows: list[np.ndarray] = []
    for who in range(stills.drawn.casting.identities):
        first = torch.zeros(1, dtype=torch.int64)
        task = stills.task(first + who, first, targets, torch.ones(targets.shape[1], 1, 1))
        with torch.autocast("cpu", torch.bfloat16):
            rows.append(draw(nano, build_scheduler(), task.conditions, STEPS).half().numpy())
    return np.stack(rows)
