"""Clips one after the other, each of which begins with the last clean frames of the clip before.

With clips of 12 frames of which 3 are shared (a clip's frames that leave are in capitals)::

    clip 0   A B C D E F G H I J K L
    clip 1                     j k l M N O P Q R S T U
    clip 2                                       s t u V W X X X X X X X X X

Here the video ends with frame X, which is repeated to fill the last clip.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import torch

from anifacediff.errors import InputError
from anifacediff.sampling.denoise import Denoiser, Progress, Scheduler, Timestep, denoise_clip
from anifacediff.sampling.noise import Noise
from anifacediff.shapes import Float, Tensor

BeginClip: TypeAlias = Callable[[Float[Tensor, "k c h w"], Sequence[int]], Denoiser]
"""Makes a denoiser for one clip from the clean latents that it begins with (k is 0 for the first) and its frames."""


@dataclass(frozen=True)
class ClipChain:
    """How a video is divided into clips.

    Attributes:
        num_frames: length of the video; if it is shorter than a clip, its last frame is repeated.
        size: frames of a clip.
        overlap: frames that a clip shares with the one before.

    Raises:
        InputError: if there is no frame, a clip has none, or none of its own.

    Source: MIMAFace, section 3.3; the numbers are those of its published code.
    """

    num_frames: int
    size: int = 12
    overlap: int = 3

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise InputError(f"num_frames: a clip needs at least one frame, found {self.num_frames}.")
        if self.size < 1:
            raise InputError(f"size: a clip of the chain needs at least one frame, found {self.size}.")
        if not 0 <= self.overlap < self.size:
            raise InputError(
                f"overlap: must be at least 0 and less than the clip's size {self.size}, found {self.overlap}."
            )

    def __len__(self) -> int:
        """The number of clips."""
        return 1 + max(0, ceil((self.num_frames - self.size) / (self.size - self.overlap)))

    def start(self, clip: int) -> int:
        """Number of the first frame of a clip."""
        return clip * (self.size - self.overlap)

    def frames(self, clip: int) -> tuple[int, ...]:
        """Numbers of a clip's frames; the video's last one is repeated."""
        first = self.start(clip)
        return tuple(min(frame, self.num_frames - 1) for frame in range(first, first + self.size))

    def new(self, clip: int) -> slice:
        """Where in a clip the frames stand that the clip before does not have."""
        return slice(self.overlap if clip else 0, min(self.size, self.num_frames - self.start(clip)))


def stream_chained(
    begin: BeginClip,
    scheduler: Scheduler,
    *,
    chain: ClipChain,
    noise: Noise,
    num_steps: int,
    eta: float = 0.0,
    same_noise: bool = True,
    on_window: Progress | None = None,
) -> Generator[Float[Tensor, "f c h w"], None, None]:
    """Denoise a video clip by clip; memory does not grow with it.

    Args:
        begin: called at each clip for its denoiser, with the last clean latents of the clip before.
        scheduler: any of diffusers; left as it is.
        chain: the clips.
        noise: from which frames start, and from which stochastic schedulers draw.
        num_steps: given to the scheduler.
        eta: share of fresh noise at each step, for schedulers that know it (DDIM).
        same_noise: start every clip from the noise of frames 0 to ``chain.size - 1``, as published; otherwise each
            frame has noise of its own.
        on_window: called with the steps evaluated so far and in all, after each one.

    Yields:
        Finished latents of the next frames: of the first clip all, of later ones those after the overlap.

    Raises:
        InputError: as of :func:`~anifacediff.sampling.denoise_clip`.
        ShapeError: if a prediction has another shape than the latents.
        NotFiniteError: if a prediction is NaN or infinite.
    """
    here = range(chain.size)
    previous = noise.initial(here[:1], noise.generators(here[:1]))[:0]
    for clip in range(len(chain)):
        frames = chain.frames(clip)
        latents = denoise_clip(
            _Numbered(begin(previous, frames), frames),
            scheduler,
            windows=(here,),
            noise=noise if same_noise else _Later(noise, chain.start(clip)),
            num_steps=num_steps,
            eta=eta,
            on_window=None if on_window is None else _Counted(on_window, clip, len(chain)),
        )
        yield latents[chain.new(clip)]
        previous = latents[chain.size - chain.overlap :]


@dataclass(frozen=True)
class _Numbered:
    """A denoiser that is told the numbers of frames in the video instead of those in the clip."""

    denoise: Denoiser
    frames: tuple[int, ...]

    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        return self.denoise(latents, timestep, [self.frames[frame] for frame in frames])


@dataclass(frozen=True)
class _Later:
    """The noise of later frames."""

    noise: Noise
    start: int

    @property
    def device(self) -> torch.device | str:
        return self.noise.device

    def generators(self, frames: Sequence[int]) -> list[torch.Generator]:
        return self.noise.generators([self.start + frame for frame in frames])

    def initial(self, frames: Sequence[int], generators: Sequence[torch.Generator]) -> Float[Tensor, "f c h w"]:
        return self.noise.initial([self.start + frame for frame in frames], generators)


@dataclass(frozen=True)
class _Counted:
    """Progress of one clip as that of all."""

    on_window: Progress
    clip: int
    clips: int

    def __call__(self, done: int, total: int) -> None:
        self.on_window(self.clip * total + done, self.clips * total)
