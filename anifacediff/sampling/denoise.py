"""The denoising loop over overlapping windows, for a whole clip at once or streamed.

At every step the predictions of all windows that show a frame are averaged. Evaluated step by step,
no frame is finished before the last step of the last window. But a window at one step needs only the
windows that overlap it at the step before, so the same numbers can be computed in a skewed order, in
which frames leave from the front while later ones are still noise. The numbers say when a window is
evaluated::

              clip-wide                  streamed
              W0  W1  W2  W3             W0  W1  W2  W3
    step 1     1   2   3   4              1   2   4   7
    step 2     5   6   7   8              3   5   8  10
    step 3     9  10  11  12              6   9  11  12

A *segment* is the frames from the start of one window to the start of the next. They always step
together, so each segment carries its own copy of the scheduler, which keeps its state in the object.
"""

import inspect
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch

from anifacediff.errors import InputError, NotFiniteError
from anifacediff.sampling.noise import Noise
from anifacediff.sampling.windows import check_consecutive
from anifacediff.shapes import Float, Int, Tensor, check_shape

MAX_STREAMED_STEPS = 500  # each step is a nested generator, and Python allows 1000 nested calls

Timestep: TypeAlias = Float[Tensor, ""] | Int[Tensor, ""]
Progress: TypeAlias = Callable[[int, int], None]


@runtime_checkable
class Denoiser(Protocol):
    """Predicts what the scheduler asks for (noise, v, ...) for one window, guidance included."""

    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser.

        Args:
            latents: f c h w, scaled as the scheduler wants a model's input.
            timestep: as the scheduler counts.
            frames: the numbers of the f frames in the clip, to pick their conditions.
        """
        ...


@runtime_checkable
class Scheduler(Protocol):
    """What is used of a scheduler of diffusers."""

    @property
    def timesteps(self) -> Tensor: ...

    @property
    def init_noise_sigma(self) -> float | Tensor: ...

    @property
    def set_timesteps(self) -> Callable[..., None]: ...

    @property
    def scale_model_input(self) -> Callable[..., Tensor]: ...

    @property
    def step(self) -> Callable[..., Any]: ...


def stream_latents(
    denoise: Denoiser,
    scheduler: Scheduler,
    *,
    windows: tuple[range, ...],
    noise: Noise,
    num_steps: int,
    eta: float = 0.0,
    on_window: Progress | None = None,
) -> Generator[Float[Tensor, "f c h w"], None, None]:
    """Denoise a clip from its front; the frames are those of :func:`denoise_clip`, bit for bit on the CPU.

    Memory does not grow with the clip: about one window's latents are held for each step. Close the
    generator to cancel.

    Args:
        denoise: predicts for one window.
        scheduler: any of diffusers that steps frames independently; left as it is.
        windows: of :func:`~anifacediff.sampling.open_windows`.
        noise: from which each frame starts, and from which stochastic schedulers draw.
        num_steps: given to the scheduler, at most 500.
        eta: share of fresh noise at each step, for schedulers that know it (DDIM).
        on_window: called with the windows evaluated so far and in all, after each one.

    Yields:
        Finished latents of the next frames, segment by segment.

    Raises:
        InputError: for windows with gaps, too many steps, or ``eta`` where the scheduler has none.
        ShapeError: if a prediction has another shape than the latents.
        NotFiniteError: if a prediction is NaN or infinite.
    """
    check_consecutive(windows)
    run = _Run(denoise, scheduler, noise, num_steps, len(windows), eta, on_window)
    if len(run.timesteps) > MAX_STREAMED_STEPS:
        raise InputError(
            f"num_steps: at most {MAX_STREAMED_STEPS} steps can be streamed, found {len(run.timesteps)}; "
            "take fewer, or denoise the whole clip with denoise_clip."
        )
    segments = _first_segments(run, windows)
    for step in range(len(run.timesteps)):
        segments = _next_segments(run, windows, step, segments)
    return (segment.latents for segment in segments)


def denoise_clip(
    denoise: Denoiser,
    scheduler: Scheduler,
    *,
    windows: Sequence[Sequence[int]],
    noise: Noise,
    num_steps: int,
    eta: float = 0.0,
    on_window: Progress | None = None,
) -> Float[Tensor, "f c h w"]:
    """Denoise a whole clip, every window of a step before the next step; windows may wrap round.

    Args:
        denoise: predicts for one window.
        scheduler: any of diffusers; left as it is.
        windows: the frames of each, which together cover the clip.
        noise: from which each frame starts, and from which stochastic schedulers draw.
        num_steps: given to the scheduler.
        eta: share of fresh noise at each step, for schedulers that know it (DDIM).
        on_window: called with the windows evaluated so far and in all, after each one.

    Returns:
        The finished latents of all frames.

    Raises:
        InputError: if a frame is in no window, or ``eta`` is given where the scheduler has none.
        ShapeError: if a prediction has another shape than the latents.
        NotFiniteError: if a prediction is NaN or infinite.
    """
    frames = _frames_of(windows)
    run = _Run(denoise, scheduler, noise, num_steps, len(windows), eta, on_window)
    clip = run.start(frames)
    for step in range(len(run.timesteps)):
        scaled = run.scaled(clip, step)
        total = torch.zeros_like(scaled)
        visits = total.new_zeros(len(frames), 1, 1, 1)
        for window in windows:
            index = torch.tensor(window, device=total.device)
            total[index] += run.predict(scaled[index], step, window)
            visits[index] += 1
        clip = run.advance(clip, total / visits, step)
    return clip.latents


@dataclass(frozen=True)
class _Segment:
    """Frames that always step together, with the scheduler that remembers their history."""

    frames: range
    latents: Float[Tensor, "f c h w"]
    scheduler: Scheduler
    generators: list[torch.Generator]


class _Run:
    """One denoising run: what both orders of evaluation share."""

    def __init__(
        self,
        denoise: Denoiser,
        scheduler: Scheduler,
        noise: Noise,
        num_steps: int,
        num_windows: int,
        eta: float,
        on_window: Progress | None,
    ):
        if num_steps < 1:
            raise InputError(f"num_steps: at least one step is needed, found {num_steps}.")
        known = inspect.signature(scheduler.step).parameters
        if eta and "eta" not in known:
            raise InputError(f"eta: {type(scheduler).__name__} does not know it, found {eta}; leave it at 0.")
        self._options = {"eta": eta} if "eta" in known else {}
        self._takes_generators = "generator" in known
        self._scheduler = deepcopy(scheduler)
        self._scheduler.set_timesteps(num_steps, device=noise.device)
        self._denoise = denoise
        self._noise = noise
        self._done = 0
        self._total = num_windows * len(self.timesteps)
        self._on_window = on_window

    @property
    def timesteps(self) -> Tensor:
        return self._scheduler.timesteps

    def start(self, frames: range) -> _Segment:
        generators = self._noise.generators(frames)
        latents = self._noise.initial(frames, generators) * self._scheduler.init_noise_sigma
        return _Segment(frames, latents, deepcopy(self._scheduler), generators)

    def scaled(self, segment: _Segment, step: int) -> Float[Tensor, "f c h w"]:
        return segment.scheduler.scale_model_input(segment.latents, self.timesteps[step])

    def predict(self, latents: Float[Tensor, "f c h w"], step: int, frames: Sequence[int]) -> Float[Tensor, "f c h w"]:
        with torch.no_grad():
            prediction = self._denoise(latents, self.timesteps[step], frames)
        check_shape("the denoiser's prediction", prediction, "f c h w", *latents.shape)
        if not bool(prediction.isfinite().all()):
            raise NotFiniteError(
                f"The denoiser predicted NaN or infinite values at step {step + 1} of {len(self.timesteps)} for frames "
                f"{frames[0]} to {frames[-1]}. Check its weights and conditions; in float16, try bfloat16 or float32."
            )
        self._done += 1
        if self._on_window is not None:
            self._on_window(self._done, self._total)
        return prediction.to(latents.dtype)

    def advance(self, segment: _Segment, prediction: Float[Tensor, "f c h w"], step: int) -> _Segment:
        random = {"generator": segment.generators} if self._takes_generators else {}
        result = segment.scheduler.step(prediction, self.timesteps[step], segment.latents, **self._options, **random)
        return replace(segment, latents=result.prev_sample)


def _first_segments(run: _Run, windows: tuple[range, ...]) -> Iterator[_Segment]:
    ends = (*(window.start for window in windows[1:]), windows[-1].stop)
    for window, end in zip(windows, ends, strict=True):
        yield run.start(range(window.start, end))


def _next_segments(
    run: _Run, windows: tuple[range, ...], step: int, segments: Iterator[_Segment]
) -> Iterator[_Segment]:
    upcoming = iter(windows)
    window = next(upcoming, None)
    held: deque[_Segment] = deque()
    predictions = _OverlappingMean()
    for segment in segments:
        held.append(segment)
        while window is not None and window.stop <= segment.frames.stop:
            latents = torch.cat([run.scaled(each, step) for each in held])[: len(window)]
            predictions.add(run.predict(latents, step, window))
            front = held.popleft()
            yield run.advance(front, predictions.take(len(front.frames)), step)
            window = next(upcoming, None)


class _OverlappingMean:
    """The mean of the predictions of successive windows, kept from the first frame not yet taken on."""

    def __init__(self):
        self._total: Tensor = torch.zeros(0)
        self._visits: Tensor = torch.zeros(0)

    def add(self, prediction: Float[Tensor, "f c h w"]) -> None:
        """Add the prediction of a window that starts at the first frame not yet taken."""
        total = torch.zeros_like(prediction)
        visits = total.new_zeros(len(total), 1, 1, 1)
        kept = len(self._visits)
        if kept:
            total[:kept], visits[:kept] = self._total, self._visits
        self._total, self._visits = total + prediction, visits + 1

    def take(self, num_frames: int) -> Float[Tensor, "f c h w"]:
        """Return the mean for the first frames, and forget them."""
        mean = self._total[:num_frames] / self._visits[:num_frames]
        self._total, self._visits = self._total[num_frames:], self._visits[num_frames:]
        return mean


def _frames_of(windows: Sequence[Sequence[int]]) -> range:
    covered = {frame for window in windows for frame in window}
    frames = range(max(covered, default=-1) + 1)
    missing = sorted(set(frames) - covered)
    if missing or not covered:
        raise InputError(f"windows: must cover every frame from 0 on; missing: {missing[:5] or 'all'}.")
    return frames
