"""Training temporal modules on clips, all else as stage 1 left it: stage 2."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from anifacediff.backbone.temporal import TemporalModules
from anifacediff.evaluation.pixels import psnr
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.training.attention import plain_attention
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.latents import EncodedSet, Task, fingerprint
from anifacediff.training.nano import NORM_GROUPS, Nano, build_scheduler
from anifacediff.training.run import Run, Schedule, train
from anifacediff.training.stage1 import TIME_POWER
from anifacediff.training.team import Team
from anifacediff.training.vae import decode_all
from anifacediff.training.weights import visibility

LONGEST = 8  # positions beyond a training clip would never be seen
HEADS = 4
SHARED = 0.5  # of the clips start from noise that their frames have in common


@dataclass(frozen=True)
class Clips:
    """How many frames are in a step.

    Attributes:
        clips: in a step of one process.
        frames: of each.
    """

    clips: int = 2
    frames: int = LONGEST


def build_temporal(nano: Nano, seed: int) -> TemporalModules:
    """Make fresh temporal modules for nano, which change nothing yet, and put them into it."""
    assert isinstance(nano.unet, UNet2DConditionModel)
    torch.manual_seed(seed)
    temporal = TemporalModules.for_unet(nano.unet, max_frames=LONGEST, heads=HEADS, norm_groups=NORM_GROUPS)
    nano.inflate(temporal)
    nano.requires_grad_(False)
    temporal.requires_grad_(True)
    return temporal


def clips_of(encoded: EncodedSet, who: Tensor, first: Tensor, frames: int) -> Task:
    """Gather neighbouring frames of some identities, to be drawn from their first frame."""
    targets = first[:, None] + torch.arange(frames)
    return encoded.task(who, torch.zeros_like(who), targets, torch.ones(targets.numel(), 1, 1))


def clip_loss(
    nano: Nano,
    scheduler: DDIMScheduler,
    encoded: EncodedSet,
    weight: Float[Tensor, "c 1 1"],
    batch: Clips,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean square error of the predicted clean latents of random clips, each at one random time.

    Args:
        nano: with temporal modules.
        scheduler: says how noise is added.
        encoded: what the clips are taken from.
        weight: of each channel, from :func:`~anifacediff.training.weights.visibility`.
        batch: how many frames.
        generator: draws the batch, the times and the noise.
    """
    casting = encoded.drawn.casting
    who = torch.randint(casting.identities, (batch.clips,), generator=generator)
    first = torch.randint(1, casting.frames - batch.frames + 1, (batch.clips,), generator=generator)
    task = clips_of(encoded, who, first, batch.frames)
    clean = task.clean.unflatten(0, (batch.clips, batch.frames))
    moments = torch.rand(batch.clips, generator=generator) ** TIME_POWER
    timesteps = (moments * scheduler.config["num_train_timesteps"]).long()
    noise = torch.randn(clean.shape, generator=generator)
    shared = torch.rand(batch.clips, 1, 1, 1, 1, generator=generator) < SHARED
    noise = torch.where(shared, noise[:, :1], noise)
    with torch.autocast(clean.device.type, torch.bfloat16):
        noisy = scheduler.add_noise(clean, noise, timesteps)
        predicted = nano.denoise_clips(noisy, timesteps, nano.conditioned(task.conditions))
    return (weight * task.importance * (predicted.float() - clean).flatten(0, 1).square()).mean()


def train_stage2(
    folder: Path,
    nano: Nano,
    data: DrawnSet,
    held_out: DrawnSet,
    vae: AutoencoderDC,
    schedule: Schedule,
    *,
    batch: Clips | None = None,
) -> None:
    """Train temporal modules; what they change is measured against their absence, which a run begins with.

    Args:
        folder: of the run; holds the latents, too.
        nano: as stage 1 left it.
        data: clips to learn from; the first frame of each is the reference.
        held_out: clips to measure.
        vae: gives the latents.
        schedule: how to learn.
        batch: what is in a step.

    Raises:
        ConfigurationError: if the folder's run was begun with other data or settings.
        CheckpointError: if its newest checkpoint is damaged.
        NotFiniteError: if a loss is NaN.
    """
    batch = Clips() if batch is None else batch
    with Team.gathered().first():
        encoded, judged = (EncodedSet.encoded(drawn, vae, folder) for drawn in (data, held_out))
    temporal = build_temporal(nano, schedule.seed)
    settings = {**data.casting.settings, **asdict(batch), "data": data.digest, "vae": fingerprint(vae)}
    run = Run(folder, temporal, schedule, settings)
    scheduler = build_scheduler()
    weight = visibility(vae, torch.from_numpy(encoded.latents[:8, 0].astype(np.float32)))

    def loss(generator: torch.Generator) -> Float[Tensor, ""]:
        return clip_loss(nano, scheduler, encoded, weight, batch, generator)

    with plain_attention():
        if run.step == 0 and run.team.leads:
            run.log(**judge_clips(nano, vae, judged, batch.frames))
        train(run, loss, report=lambda: judge_clips(nano, vae, judged, batch.frames))


@torch.no_grad()
def judge_clips(
    nano: Nano, vae: AutoencoderDC, encoded: EncodedSet, frames: int, steps: int = 4
) -> Mapping[str, float]:
    """Draw the last frames of every held-out clip.

    Returns:
        PSNR in decibels, and flicker: the mean error of the change from frame to frame, of 255, from zeros, from
        noise that the frames share, and from noise of their own, and the mean of that change itself.
    """
    casting = encoded.drawn.casting
    count = casting.identities
    task = clips_of(encoded, torch.arange(count), torch.full((count,), casting.frames - frames), frames)
    truth = to_images(encoded.drawn.pictures[:, -frames:].reshape(-1, casting.size, casting.size, 3))
    shape = (count, frames, *task.clean.shape[1:])
    own = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    moving = _change(truth, frames)
    figures = {"motion": float(moving.abs().mean() * 255)}
    for start, latents in (("zeros", torch.zeros(shape)), ("shared", own[:, :1].expand(shape)), ("own", own)):
        with torch.autocast("cpu", torch.bfloat16):
            drawn = _draw_clips(nano, task, latents, steps)
        pictures = decode_all(vae, drawn.flatten(0, 1).float()).clamp(0, 1)
        figures[f"psnr_{start}"] = psnr(pictures, truth).mean().item()
        figures[f"flicker_{start}"] = float((_change(pictures, frames) - moving).abs().mean() * 255)
    return figures


def _draw_clips(nano: Nano, task: Task, latents: Float[Tensor, "n f c h w"], steps: int) -> Float[Tensor, "n f c h w"]:
    told = nano.conditioned(task.conditions)
    scheduler = build_scheduler()
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        predicted = nano.denoise_clips(latents, timestep, told)
        latents = scheduler.step(predicted, int(timestep), latents, return_dict=False)[0]
    return latents


def _change(pictures: Float[Tensor, "frames 3 h w"], frames: int) -> Float[Tensor, "n f 3 h w"]:
    return pictures.unflatten(0, (-1, frames)).diff(dim=1)
