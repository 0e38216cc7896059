"""The denoising loop: the streamed order against the clip-wide one, and both against plain loops."""

import gc
import inspect
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError, NotFiniteError, ShapeError
from anifacediff.sampling import FrameNoise, closed_windows, denoise_clip, open_windows, stream_latents
from anifacediff.sampling.denoise import MAX_STREAMED_STEPS, Timestep
from anifacediff.shapes import Float, Tensor

NOISE = FrameNoise(seed=3, shape=(4, 4, 4))

SCHEDULERS: dict[str, tuple[Any, float]] = {
    "ddim": (DDIMScheduler(), 0.0),
    "ddim eta=1": (DDIMScheduler(), 1.0),
    "ddim v, zero snr": (
        DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"),
        0.0,
    ),
    "ddpm": (DDPMScheduler(), 0.0),
    "euler": (EulerDiscreteScheduler(), 0.0),
    "euler ancestral": (EulerAncestralDiscreteScheduler(), 0.0),
    "dpm++ 2m": (DPMSolverMultistepScheduler(), 0.0),
    "dpm++ 2m sde": (DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"), 0.0),
    "unipc": (UniPCMultistepScheduler(), 0.0),
}
STOCHASTIC = {"ddim eta=1", "ddpm", "euler ancestral", "dpm++ 2m sde"}


def mixing(latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]) -> Float[Tensor, "f c h w"]:
    """A denoiser whose frames see each other, their numbers, their place in the window, and the time."""
    number = torch.tensor(list(frames), dtype=latents.dtype).sin()[:, None, None, None]
    place = torch.linspace(0, 0.1, len(frames))[:, None, None, None]
    return torch.tanh(0.7 * latents + 0.4 * latents.roll(1, 0) + 0.1 * number + place + float(timestep) / 1000)


def streamed(num_frames: int, size: int, overlap: int, scheduler: Any, steps: int, eta: float = 0.0) -> Tensor:
    windows = open_windows(num_frames, size, overlap)
    segments = stream_latents(mixing, scheduler, windows=windows, noise=NOISE, num_steps=steps, eta=eta)
    return torch.cat(list(segments))


def clip_wide(num_frames: int, size: int, overlap: int, scheduler: Any, steps: int, eta: float = 0.0) -> Tensor:
    windows = open_windows(num_frames, size, overlap)
    return denoise_clip(mixing, scheduler, windows=windows, noise=NOISE, num_steps=steps, eta=eta)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_streaming_changes_no_bit(name: str):
    scheduler, eta = SCHEDULERS[name]
    expected = clip_wide(100, 24, 4, scheduler, 7, eta)
    assert expected.shape == (100, 4, 4, 4)
    assert torch.equal(streamed(100, 24, 4, scheduler, 7, eta), expected)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_streaming_changes_no_bit_whatever_the_windows(num_frames: int, size: int, data: st.DataObject):
    overlap = data.draw(st.integers(0, size - 1))
    scheduler = DPMSolverMultistepScheduler()
    expected = clip_wide(num_frames, size, overlap, scheduler, 3)
    assert torch.equal(streamed(num_frames, size, overlap, scheduler, 3), expected)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("num_frames", [5, 24])
def test_one_window_is_the_scheduler_s_own_loop(name: str, num_frames: int):
    scheduler, eta = SCHEDULERS[name]
    found = streamed(num_frames, 24, 4, scheduler, 6, eta)

    generators = NOISE.generators(range(num_frames))
    scheduler.set_timesteps(6)
    latents = NOISE.draw(generators) * scheduler.init_noise_sigma
    options = {"eta": eta, "generator": generators}
    options = {key: value for key, value in options.items() if key in inspect.signature(scheduler.step).parameters}
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        latents = scheduler.step(mixing(scaled, timestep, range(num_frames)), timestep, latents, **options).prev_sample
    assert torch.equal(found, latents)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_run_can_be_repeated_and_leaves_the_scheduler_as_it_was(name: str):
    scheduler, eta = SCHEDULERS[name]
    fresh = type(scheduler).from_config(scheduler.config)
    first, second = streamed(30, 8, 2, fresh, 5, eta), streamed(30, 8, 2, fresh, 5, eta)
    assert torch.equal(first, second)
    assert fresh.num_inference_steps is None


@pytest.mark.parametrize("name", sorted(STOCHASTIC))
def test_stochastic_schedulers_give_each_frame_its_own_noise(name: str):
    scheduler, eta = SCHEDULERS[name]

    def blank(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        return torch.zeros_like(latents)

    windows = open_windows(20, 8, 2)
    noise = FrameNoise(0, (4, 16, 16))
    run = denoise_clip(blank, scheduler, windows=windows, noise=noise, num_steps=4, eta=eta)
    start = noise(range(20))
    left = run.flatten(1) - start.flatten(1) * (run * start).mean() / start.square().mean()
    correlation = torch.corrcoef(left) - torch.eye(20)
    assert left.std() > 0
    assert correlation.abs().max() < 0.25


class Subtracting:
    """A scheduler simple enough to be written again in a line: x - a x - b prediction."""

    timesteps = torch.tensor([3.0, 2.0, 1.0])
    init_noise_sigma = 2.0

    def set_timesteps(self, num_steps: int, device: object = None) -> None: ...

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample / timestep

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor) -> SimpleNamespace:
        return SimpleNamespace(prev_sample=sample - 0.1 * model_output)


@pytest.mark.parametrize("windows", [open_windows(11, 5, 3), open_windows(9, 4, 0), closed_windows(11, 4, 1)])
def test_predictions_are_averaged_over_the_windows_that_show_a_frame(windows: tuple[Sequence[int], ...]):
    num_frames = max(map(max, windows)) + 1
    expected = 2 * NOISE(range(num_frames)).double().numpy()
    for timestep in (3.0, 2.0, 1.0):
        predictions: list[list[np.ndarray]] = [[] for _ in range(num_frames)]
        for window in windows:
            seen = expected[list(window)] / timestep
            for place, frame in enumerate(window):
                predictions[frame].append(seen[place] + seen.mean(0) + frame * timestep)
        expected = expected - 0.1 * np.stack([np.mean(each, axis=0) for each in predictions])

    def denoise(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        numbers = torch.tensor(list(frames))[:, None, None, None]
        return latents + latents.mean(0) + numbers * timestep

    found = denoise_clip(denoise, Subtracting(), windows=windows, noise=NOISE, num_steps=3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


def test_frames_leave_from_the_front_in_the_skewed_order():
    windows = open_windows(16, 4, 0)
    order: list[tuple[int, int]] = []

    def denoise(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        order.append((4 - round(float(timestep)), frames[0] // 4))
        return latents

    latents = stream_latents(denoise, Subtracting(), windows=windows, noise=NOISE, num_steps=3)
    assert order == []
    next(latents)
    assert order == [(1, 0), (2, 0), (3, 0)]
    order.clear()
    overlapping = stream_latents(
        denoise,
        Subtracting(),
        windows=(range(0, 5), range(4, 9), range(8, 13), range(12, 17)),
        noise=NOISE,
        num_steps=3,
    )
    next(overlapping)
    assert order == [(1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (3, 0)]


def live_latents() -> int:
    """Numbers held in stacks of latents that are alive."""
    tensors = [each for each in gc.get_objects() if type(each) is Tensor]
    return sum(each.numel() for each in tensors if each.ndim == 4 and each.shape[1:] == (4, 6, 6))


def peak(num_frames: int, steps: int) -> int:
    noise = FrameNoise(0, (4, 6, 6))
    windows = open_windows(num_frames, 8, 2)
    latents = stream_latents(mixing, UniPCMultistepScheduler(), windows=windows, noise=noise, num_steps=steps)
    return max(live_latents() for _ in latents)


def test_memory_does_not_grow_with_the_clip():
    short, long = peak(68, 4), peak(140, 4)
    assert long == short > 0
    assert peak(68, 8) > 1.5 * short, "the count must see the latents in flight"


def test_closing_cancels():
    calls: list[int] = []

    def denoise(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        calls.append(frames[0])
        return latents

    latents = stream_latents(denoise, DDIMScheduler(), windows=open_windows(400, 8, 2), noise=NOISE, num_steps=5)
    next(latents)
    before = len(calls)
    latents.close()
    assert next(latents, None) is None
    assert len(calls) == before < 40


@pytest.mark.parametrize("run", [stream_latents, denoise_clip])
def test_progress_counts_every_window(run: Any):
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    windows = open_windows(20, 8, 2)
    list(run(mixing, DDIMScheduler(), windows=windows, noise=NOISE, num_steps=4, on_window=note))
    assert seen == [(done, 4 * len(windows)) for done in range(1, 4 * len(windows) + 1)]


def test_no_graph_is_kept():
    weight = torch.ones((), requires_grad=True)
    windows = open_windows(6, 4, 1)

    def denoise(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        return latents * weight

    latents = denoise_clip(denoise, DDIMScheduler(), windows=windows, noise=NOISE, num_steps=2)
    assert not latents.requires_grad


@pytest.mark.parametrize("run", [stream_latents, denoise_clip])
def test_a_prediction_that_is_not_finite_is_named(run: Any):
    def broken(latents: Tensor, timestep: Timestep, frames: Sequence[int]) -> Tensor:
        return latents / (0 if frames[0] == 6 and timestep < 500 else 1)

    arguments = {"windows": open_windows(14, 8, 2), "noise": NOISE, "num_steps": 4}
    with pytest.raises(NotFiniteError, match=r"step 3 of 4 for frames 6 to 13"):
        list(run(broken, DDIMScheduler(), **arguments))


@pytest.mark.parametrize("run", [stream_latents, denoise_clip])
def test_a_prediction_of_another_shape_is_refused(run: Any):
    arguments = {"windows": open_windows(14, 8, 2), "noise": NOISE, "num_steps": 4}
    with pytest.raises(ShapeError, match=r"prediction: .* found \(7, 4, 4, 4\)"):
        list(run(lambda latents, *_: latents[1:], DDIMScheduler(), **arguments))  # pyright: ignore[reportUnknownLambdaType]


def test_bad_input_is_named_before_anything_runs():
    windows = open_windows(14, 8, 2)
    with pytest.raises(InputError, match="eta: EulerDiscreteScheduler"):
        stream_latents(mixing, EulerDiscreteScheduler(), windows=windows, noise=NOISE, num_steps=4, eta=0.5)
    with pytest.raises(InputError, match=r"num_steps: .* found 0"):
        stream_latents(mixing, DDIMScheduler(), windows=windows, noise=NOISE, num_steps=0)
    with pytest.raises(InputError, match="num_steps: at most 500"):
        stream_latents(mixing, DDIMScheduler(), windows=windows, noise=NOISE, num_steps=MAX_STREAMED_STEPS + 1)
    with pytest.raises(InputError, match="without a gap"):
        stream_latents(mixing, DDIMScheduler(), windows=(range(0, 3), range(4, 7)), noise=NOISE, num_steps=4)
    with pytest.raises(InputError, match=r"missing: \[3\]"):
        denoise_clip(mixing, DDIMScheduler(), windows=(range(0, 3), range(4, 7)), noise=NOISE, num_steps=4)


def test_as_many_steps_as_are_allowed_can_be_streamed():
    windows = open_windows(2, 1, 0)
    latents = stream_latents(mixing, DDIMScheduler(), windows=windows, noise=NOISE, num_steps=MAX_STREAMED_STEPS)
    assert len(torch.cat(list(latents))) == 2
