"""Training the denoiser and its conditions on stills: stage 1."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from anifacediff.evaluation.pixels import inside, psnr
from anifacediff.media.images import write_image
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.training.attention import plain_attention
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.latents import EncodedSet, fingerprint
from anifacediff.training.nano import STEPS, Conditions, Nano, build_scheduler
from anifacediff.training.run import Run, Schedule, train
from anifacediff.training.sheets import sheet
from anifacediff.training.team import Team
from anifacediff.training.vae import decode_all
from anifacediff.training.weights import visibility

TIME_POWER = 0.4  # below one: more of the noisy steps, where what is drawn is decided
FROM_ZEROS = 0.4  # share of the frames that start from zeros at the noisiest time, as nano draws unless told otherwise
_SHOWN = 6


@dataclass(frozen=True)
class Batch:
    """What is in a step: one reading of the reference serves several targets.

    Attributes:
        identities: in a step of one process.
        targets: of each.
        unexpressed: share of the targets whose expression is kept from the network; 1 trains without the adapter.
    """

    identities: int = 3
    targets: int = 5
    unexpressed: float = 0.1


def denoising_loss(
    nano: Nano,
    scheduler: DDIMScheduler,
    stills: EncodedSet,
    weight: Float[Tensor, "c 1 1"],
    batch: Batch,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean square error of predicted clean latents, at random times of a random batch.

    Args:
        nano: the denoiser with its conditions.
        scheduler: says how noise is added.
        stills: what the batch is drawn from.
        weight: of each channel, from :func:`visibility`.
        batch: how many frames.
        generator: draws the batch, the times and the noise.
    """
    frames = stills.drawn.casting.frames
    who = torch.randint(stills.drawn.casting.identities, (batch.identities,), generator=generator)
    reference = torch.randint(stills.drawn.casting.references, (batch.identities,), generator=generator)
    order = torch.rand(batch.identities, frames, generator=generator)
    order[torch.arange(batch.identities), reference] = -1.0  # comes first
    order = order.argsort(1)
    rows = batch.identities * batch.targets
    expressed = (torch.rand(rows, 1, 1, generator=generator) >= batch.unexpressed).float()
    task = stills.task(who, order[:, 0], order[:, 1 : 1 + batch.targets], expressed)
    clean = task.clean
    moments = torch.rand(rows, generator=generator) ** TIME_POWER
    noisiest = scheduler.config["num_train_timesteps"] - 1
    timesteps = (moments * (noisiest + 1)).long()
    noise = torch.randn(clean.shape, generator=generator)
    begun = torch.rand(rows, generator=generator) < FROM_ZEROS
    timesteps[begun], noise[begun] = noisiest, 0.0
    with torch.autocast(clean.device.type, torch.bfloat16):
        predicted = nano(scheduler.add_noise(clean, noise, timesteps), timesteps, task.conditions)
    return (weight * task.importance * (predicted.float() - clean).square()).mean()


@torch.no_grad()
def draw(nano: Nano, scheduler: DDIMScheduler, conditions: Conditions, steps: int = STEPS) -> Float[Tensor, "f c h w"]:
    """Draw frames from zeros, which gives the one answer that lies in the middle of all."""
    told = nano.conditioned(conditions)
    channels, height, width = conditions.reference_latents.shape[1:]
    latents = torch.zeros(len(conditions.maps), channels, height, width)
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        predicted = nano.denoise(latents, timestep, told)
        latents = scheduler.step(predicted, int(timestep), latents, return_dict=False)[0]
    return latents


def train_stage1(
    folder: Path,
    data: DrawnSet,
    held_out: DrawnSet,
    vae: AutoencoderDC,
    schedule: Schedule,
    *,
    batch: Batch | None = None,
) -> None:
    """Train all but the autoencoder on stills.

    Args:
        folder: of the run; holds the latents, too.
        data: pictures to learn from.
        held_out: pictures to measure and look at.
        vae: gives the latents.
        schedule: how to learn.
        batch: what is in a step.

    Raises:
        ConfigurationError: if the folder's run was begun with other data or settings.
        CheckpointError: if its newest checkpoint is damaged.
        NotFiniteError: if a loss is NaN.
    """
    batch = Batch() if batch is None else batch
    with Team.gathered().first():
        stills, judged = (EncodedSet.encoded(drawn, vae, folder) for drawn in (data, held_out))
    nano = Nano(schedule.seed)
    nano.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    settings = {**data.casting.settings, **asdict(batch), "data": data.digest, "vae": fingerprint(vae)}
    run = Run(folder, nano, schedule, settings)
    scheduler = build_scheduler()
    weight = visibility(vae, torch.from_numpy(stills.latents[:8, 0].astype(np.float32)))

    def loss(generator: torch.Generator) -> Float[Tensor, ""]:
        return denoising_loss(nano, scheduler, stills, weight, batch, generator)

    def report() -> Mapping[str, float]:
        figures, picture = judge(nano.eval(), vae, judged)
        nano.train()
        write_image(folder / f"sheet-{run.step:07d}.png", picture)
        return figures

    with plain_attention():
        train(run, loss, report=report)


@torch.no_grad()
def judge(nano: Nano, vae: AutoencoderDC, stills: EncodedSet) -> tuple[Mapping[str, float], np.ndarray]:
    """Draw a held-out frame of every identity; measure it, the reference itself, the VAE's ceiling, and the eyes.

    Returns:
        PSNR in decibels, and a sheet: reference, control map, output, truth.
    """
    count = stills.drawn.casting.identities
    who, first = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    task = stills.task(who, first, first[:, None] + 1, torch.ones(count, 1, 1))
    conditions = task.conditions
    with torch.autocast("cpu", torch.bfloat16):
        told, untold = (
            draw(nano, build_scheduler(), replace(conditions, expressed=torch.full((count, 1, 1), expressed))).float()
            for expressed in (1.0, 0.0)
        )
    result, unexpressed, ceiling = (decode_all(vae, each) for each in (told, untold, task.clean))
    truth = to_images(stills.drawn.pictures[:, 1])
    eyes = inside(torch.from_numpy(stills.drawn.eyes[:, 1]), *truth.shape[-2:])
    copied = conditions.reference_images
    shown = {"": result, "_unexpressed": unexpressed, "_vae": ceiling, "_copy": copied}
    measured = {f"psnr{name}": psnr(each, truth).mean().item() for name, each in shown.items()}
    measured |= {f"psnr_eyes{name}": psnr(each, truth, eyes).nanmean().item() for name, each in shown.items()}
    return measured, sheet([column[:_SHOWN] for column in (copied, conditions.maps, result, truth)])
