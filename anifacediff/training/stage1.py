"""Training the denoiser and its conditions on stills: stage 1."""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from jaxtyping import Float as ArrayFloat
from torch.nn.attention import SDPBackend, sdpa_kernel

from anifacediff.media.images import write_image
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.training.dataset import DrawnSet, to_images
from anifacediff.training.nano import Conditions, Nano, build_scheduler
from anifacediff.training.run import Run, Schedule, train
from anifacediff.training.sheets import inside, psnr, sheet
from anifacediff.training.team import Team
from anifacediff.training.vae import decode, encode

TIME_POWER = 0.7  # below one: more of the noisy steps, where what is drawn is decided
UNEXPRESSED = 0.1
FACE_WEIGHT, EYES_WEIGHT = 1.0, 4.0
_SHOWN = 6


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
class Stills:
    """Drawn pictures with their latents.

    Attributes:
        drawn: the pictures.
        latents: n identities, f frames, of each picture.
    """

    drawn: DrawnSet
    latents: ArrayFloat[np.ndarray, "n f c h w"]

    @classmethod
    def encoded(cls, drawn: DrawnSet, vae: AutoencoderDC, folder: Path) -> "Stills":
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


@dataclass(frozen=True)
class Batch:
    """How many frames are in a step: one reading of the reference serves several targets.

    Attributes:
        identities: in a step of one process.
        targets: of each.
    """

    identities: int = 3
    targets: int = 5


@contextmanager
def plain_attention() -> Generator[None]:
    """Compute attention by two products and a softmax while this lasts.

    On a processor, in bfloat16 and with short sequences, a step of nano takes a fifth less time than with the fused
    kernel, which is made for long ones.
    """
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # without it, this kernel computes in float32
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


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
    """How much each channel of latents shows in pictures: the change when it is disturbed; one on average."""
    generator = torch.Generator().manual_seed(0)
    plain = decode(vae, latents)
    shows: list[Tensor] = []
    for channel in range(latents.shape[1]):
        disturbed = latents.clone()
        disturbed[:, channel] += torch.randn(disturbed[:, channel].shape, generator=generator)
        shows.append((decode(vae, disturbed) - plain).square().mean().sqrt())
    return (torch.stack(shows) / torch.stack(shows).mean())[:, None, None]


def denoising_loss(
    nano: Nano,
    scheduler: DDIMScheduler,
    stills: Stills,
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
    order = torch.rand(batch.identities, frames, generator=generator).argsort(1)
    rows = batch.identities * batch.targets
    expressed = (torch.rand(rows, 1, 1, generator=generator) >= UNEXPRESSED).float()
    task = stills.task(who, order[:, 0], order[:, 1 : 1 + batch.targets], expressed)
    clean = task.clean
    moments = torch.rand(rows, generator=generator) ** TIME_POWER
    timesteps = (moments * scheduler.config["num_train_timesteps"]).long()
    noise = torch.randn(clean.shape, generator=generator)
    with torch.autocast(clean.device.type, torch.bfloat16):
        predicted = nano(scheduler.add_noise(clean, noise, timesteps), timesteps, task.conditions)
    return (weight * task.importance * (predicted.float() - clean).square()).mean()


@torch.no_grad()
def draw(nano: Nano, scheduler: DDIMScheduler, conditions: Conditions, steps: int = 4) -> Float[Tensor, "f c h w"]:
    """Draw frames from zeros, which gives the one answer that lies in the middle of all."""
    context, entries = nano.conditioned(conditions)
    channels, height, width = conditions.reference_latents.shape[1:]
    latents = torch.zeros(len(conditions.maps), channels, height, width)
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        predicted = nano.denoise(latents, timestep, context, entries)
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
        stills, judged = (Stills.encoded(drawn, vae, folder) for drawn in (data, held_out))
    nano = Nano(schedule.seed)
    nano.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    settings = {**asdict(data.casting), **asdict(batch), "data": data.digest, "vae": fingerprint(vae)}
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
def judge(nano: Nano, vae: AutoencoderDC, stills: Stills) -> tuple[Mapping[str, float], np.ndarray]:
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
    result, unexpressed, ceiling = (in_parts(vae, each) for each in (told, untold, task.clean))
    truth = to_images(stills.drawn.pictures[:, 1])
    eyes = inside(torch.from_numpy(stills.drawn.eyes[:, 1]), *truth.shape[-2:])
    columns = conditions.reference_images, conditions.maps, result, truth
    figures = {
        "psnr": psnr(result, truth),
        "psnr_copy": psnr(conditions.reference_images, truth),
        "psnr_vae": psnr(ceiling, truth),
        "psnr_eyes": psnr(result, truth, eyes),
        "psnr_eyes_unexpressed": psnr(unexpressed, truth, eyes),
        "psnr_eyes_copy": psnr(conditions.reference_images, truth, eyes),
        "psnr_eyes_vae": psnr(ceiling, truth, eyes),
    }
    return figures, sheet([column[:_SHOWN] for column in columns])


def in_parts(vae: AutoencoderDC, latents: Float[Tensor, "f c h w"]) -> Float[Tensor, "f 3 h2 w2"]:
    """Decode some frames at a time."""
    return torch.cat([decode(vae, part) for part in latents.split(16)])


def fingerprint(vae: AutoencoderDC) -> str:
    """Tell apart autoencoders by their weights."""
    digest = hashlib.sha256()
    for _, value in sorted(vae.state_dict().items()):
        digest.update(value.float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
