"""Named ways of denoising faster, at a cost; docs/performance.md has their measured figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from anifacediff.errors import InputError
from anifacediff.sampling.denoise import Scheduler


@runtime_checkable
class Sampled(Protocol):
    """A pipeline with a scheduler, and the number of steps that suits its weights in its configuration."""

    scheduler: Scheduler

    @property
    def config(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class SamplingPreset:
    """How a clip is denoised, relative to what suits a pipeline's weights.

    Attributes:
        about: what it is for.
        share: denoising steps, as a share of those that suit the weights.
        fewest: but no fewer steps than these.
        scheduler: class of diffusers that takes over the noise schedule of the pipeline's own; None keeps that one.
        scheduler_options: for it.
        overlap: frames that windows share; what suits the assembly if None.
        cache_interval: the denoiser is evaluated whole at every so many steps, see
            :class:`~anifacediff.backbone.FeatureCache`.

    Example:
        >>> pipe.stream(reference, driving, **SAMPLING_PRESETS["fast"].options(pipe))     # doctest: +SKIP
    """

    about: str
    share: float = 1.0
    fewest: int = 1
    scheduler: type[SchedulerMixin] | None = None
    scheduler_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    overlap: int | None = None
    cache_interval: int = 1

    def options(self, pipe: Sampled) -> dict[str, Any]:
        """What to pass to :meth:`AnimationPipeline.stream` of a pipeline, which stays as it is."""
        usual = int(pipe.config["num_inference_steps"])
        return {
            "num_inference_steps": min(usual, max(self.fewest, round(self.share * usual))),
            "scheduler": self._scheduler(pipe.scheduler),
            "overlap": self.overlap,
            "cache_interval": self.cache_interval,
        }

    def _scheduler(self, usual: Scheduler) -> Scheduler:
        if self.scheduler is None:
            return usual
        config: Any = getattr(usual, "config", None)
        if config is None:
            raise InputError(
                f"scheduler: a {type(usual).__name__} has no configuration from which a {self.scheduler.__name__} "
                "could take the noise schedule; give the pipeline a scheduler of diffusers."
            )
        # Without the list of values that its author left out: the other class would put in defaults of its own.
        config = {name: value for name, value in config.items() if name != "_use_default_values"}
        return self.scheduler.from_config(config, **self.scheduler_options)  # pyright: ignore[reportAttributeAccessIssue]


_DPM = MappingProxyType({"algorithm_type": "dpmsolver++", "solver_order": 2, "timestep_spacing": "trailing"})

SAMPLING_PRESETS: Mapping[str, SamplingPreset] = MappingProxyType(
    {
        "quality": SamplingPreset("the pipeline's own steps and scheduler"),
        "balanced": SamplingPreset("half the steps, by DPM-Solver++ (2M)", 0.5, 4, DPMSolverMultistepScheduler, _DPM),
        "fast": SamplingPreset(
            "half the steps, every other one from cached features; windows share two frames",
            0.5,
            4,
            DPMSolverMultistepScheduler,
            _DPM,
            overlap=2,
            cache_interval=2,
        ),
        "preview": SamplingPreset(
            "the fewest steps, to see the motion; windows share one frame; takes a tiny VAE well",
            0.2,
            2,
            DPMSolverMultistepScheduler,
            _DPM,
            overlap=1,
            cache_interval=2,
        ),
        "lcm": SamplingPreset("four steps, for a denoiser with a latent consistency LoRA", 0.2, 4, LCMScheduler),
    }
)
"""By name."""


def sampling_options(pipe: Sampled, preset: str | None, steps: int | None) -> dict[str, Any]:
    """What to pass to :meth:`AnimationPipeline.stream` for what a user chose.

    Args:
        pipe: the pipeline, which stays as it is.
        preset: a name of :data:`SAMPLING_PRESETS`; what suits the pipeline if not given.
        steps: denoising steps, which go before those of the preset.

    Raises:
        InputError: if there is no such preset.
    """
    if preset is not None and preset not in SAMPLING_PRESETS:
        raise InputError(f"preset: expected one of {', '.join(SAMPLING_PRESETS)}, found {preset!r}.")
    options = {} if preset is None else SAMPLING_PRESETS[preset].options(pipe)
    return options if steps is None else {**options, "num_inference_steps": steps}
