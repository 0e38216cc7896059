"""Named ways of denoising, applied to pipelines' schedulers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

from anifacediff.errors import InputError
from anifacediff.sampling import SAMPLING_PRESETS, FrameNoise, denoise_clip, open_windows, sampling_options
from anifacediff.sampling.denoise import Timestep
from anifacediff.shapes import Float, Tensor

SCHEDULERS = {
    "nano": DDIMScheduler(prediction_type="sample", rescale_betas_zero_snr=True, timestep_spacing="trailing"),
    "stable diffusion": DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
    "v": DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"),
    "euler": EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
}


@dataclass
class Pipe:
    scheduler: Any
    config: dict[str, Any] = field(default_factory=lambda: {"num_inference_steps": 20})


@pytest.mark.parametrize("name", SAMPLING_PRESETS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_denoiser_that_knows_the_answer_is_led_to_it(name: str, scheduler: str):
    """Whatever the steps: the prediction is made of the true latents by the noise schedule's own formulas."""
    own = SCHEDULERS[scheduler]
    options = SAMPLING_PRESETS[name].options(Pipe(own))
    used = options["scheduler"]
    assert used.config["prediction_type"] == own.config["prediction_type"]
    assert used.config["beta_end"] == own.config["beta_end"]
    answer = torch.tanh(torch.randn(6, 4, 4, 4, generator=torch.Generator().manual_seed(0)))

    def denoise(latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]) -> Tensor:
        truth = answer[list(frames)]
        kept = used.alphas_cumprod[int(timestep)].clamp(1e-6, 1 - 1e-6)
        noise = (latents - kept.sqrt() * truth) / (1 - kept).sqrt()
        told = {"sample": truth, "epsilon": noise, "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * truth}
        return told[used.config["prediction_type"]]

    found = denoise_clip(
        denoise,
        used,
        windows=open_windows(6, 4, 1),
        noise=FrameNoise(0, (4, 4, 4)),
        num_steps=options["num_inference_steps"],
    )
    assert (found - answer).abs().mean() < 0.05


def test_steps_are_a_share_of_what_suits_the_weights():
    def steps(usual: int) -> dict[str, int]:
        pipe = Pipe(SCHEDULERS["nano"], {"num_inference_steps": usual})
        return {name: preset.options(pipe)["num_inference_steps"] for name, preset in SAMPLING_PRESETS.items()}

    assert steps(20) == {"quality": 20, "balanced": 10, "fast": 10, "preview": 4, "lcm": 4}
    assert steps(8) == {"quality": 8, "balanced": 4, "fast": 4, "preview": 2, "lcm": 4}
    assert set(steps(1).values()) == {1}


def test_the_pipeline_stays_as_it_is():
    own = SCHEDULERS["nano"]
    pipe, before = Pipe(own), dict(own.config)
    assert SAMPLING_PRESETS["quality"].options(pipe)["scheduler"] is own
    assert SAMPLING_PRESETS["fast"].options(pipe)["scheduler"] is not own
    assert pipe.scheduler is own
    assert dict(own.config) == before


def test_a_scheduler_without_a_configuration_is_refused():
    class Bare:
        timesteps = torch.zeros(1)
        init_noise_sigma = 1.0

        def set_timesteps(self, num_steps: int) -> None: ...

        def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
            return sample

        def step(self) -> None: ...

    assert SAMPLING_PRESETS["quality"].options(Pipe(Bare()))["cache_interval"] == 1
    with pytest.raises(InputError, match="a Bare has no configuration"):
        SAMPLING_PRESETS["balanced"].options(Pipe(Bare()))


def test_steps_go_before_those_of_a_preset():
    pipe = Pipe(SCHEDULERS["nano"])
    assert sampling_options(pipe, None, None) == {}
    assert sampling_options(pipe, None, 3) == {"num_inference_steps": 3}
    assert sampling_options(pipe, "preview", None)["num_inference_steps"] == 4
    chosen = sampling_options(pipe, "preview", 1)
    assert (chosen["num_inference_steps"], chosen["cache_interval"]) == (1, 2)
    with pytest.raises(InputError, match="expected one of quality"):
        sampling_options(pipe, "slow", None)
