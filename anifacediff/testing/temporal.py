"""Checks of temporal modules."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from safetensors.torch import load_file, save_file
from torch import nn

from anifacediff.backbone.contracts import TemporalNetwork
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import Case, CheckFunction, require
from anifacediff.testing.denoisers import CONTEXT, ROWS, Snapshot, denoise, random, stirred, tiny_unet


@dataclass(frozen=True)
class TemporalCase(Case[TemporalNetwork]):
    """Temporal modules to check.

    Attributes:
        name: of the component, in reports.
        build: its ``for_unet``, called with a denoiser.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def fresh_modules_change_nothing(case: TemporalCase) -> None:
    """The video denoiser of fresh modules gives each frame what the 2D denoiser gives it."""
    unet = tiny_unet()
    worst = float((_denoise(case.made(unet).inflate(unet)) - denoise(unet)).abs().max())
    require(worst <= 1e-5, f"fresh modules change the output by {worst:.2g}; begin their last projections at zero.")


def weights_are_shared(case: TemporalCase) -> None:
    """The video denoiser has the very parameters of the 2D one and of the modules."""
    unet = tiny_unet()
    modules: Any = case.made(unet)
    video = modules.inflate(unet)
    own = {id(weight) for weight in (*unet.parameters(), *modules.parameters())}
    copied = [name for name, weight in video.named_parameters() if id(weight) not in own]
    require(
        not copied,
        f"{len(copied)} parameters of the video denoiser are copies, the first {copied[:1]}; share them, so that "
        "training and memory count them once.",
    )


def the_2d_denoiser_stays_as_it_is(case: TemporalCase) -> None:
    """Inflating changes neither the objects of the 2D denoiser nor its output."""
    unet = tiny_unet()
    output, before = denoise(unet), Snapshot.of(unet)
    case.made(unet).inflate(unet)
    difference = before.difference(Snapshot.of(unet))
    require(not difference and torch.equal(output, denoise(unet)), f"inflating changed the 2D denoiser: {difference}.")


def frames_see_each_other(case: TemporalCase) -> None:
    """With trained weights, another last frame changes the first."""
    video = _trained(case, tiny_unet())
    change = float((_denoise(video) - _denoise(video, last=1.0))[0].abs().max())
    require(change > 1e-6, "another last frame leaves the first as it was; let the frames attend to each other.")


def gradients_reach_the_weights(case: TemporalCase) -> None:
    """A loss on the output has a gradient to the modules, fresh ones too."""
    unet = tiny_unet()
    modules: Any = case.made(unet)
    output = _denoise(modules.inflate(unet), learns=True)
    (output * random(*output.shape, seed=8)).sum().backward()
    grads = [weight.grad for weight in modules.parameters() if weight.grad is not None]
    require(
        any(bool(grad.any()) for grad in grads) and all(bool(grad.isfinite().all()) for grad in grads),
        "no weight of fresh modules has a gradient, or one is NaN, so nothing is learned.",
    )


def weights_survive_a_file(case: TemporalCase) -> None:
    """The modules' state, saved as safetensors and loaded into fresh ones, gives the same output."""
    unet = tiny_unet()
    trained, other = _stirred(case, unet), _stirred(case, unet, seed=2)
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        save_file({key: value.contiguous() for key, value in trained.state_dict().items()}, path)
        other.load_state_dict(load_file(path))
    first, second = (_denoise(part.inflate(tiny_unet())) for part in (trained, other))
    require(torch.equal(first, second), "loaded into other modules, the saved state gives another output.")


CHECKS: tuple[CheckFunction, ...] = (
    fresh_modules_change_nothing,
    weights_are_shared,
    the_2d_denoiser_stays_as_it_is,
    frames_see_each_other,
    gradients_reach_the_weights,
    weights_survive_a_file,
)


def _stirred(case: TemporalCase, unet: UNet2DConditionModel, *, seed: int = 1) -> Any:
    modules: Any = case.made(unet)
    require(isinstance(modules, nn.Module), f"{type(modules).__name__} is no torch module, so it has no weights.")
    return stirred(modules, seed=seed)


def _trained(case: TemporalCase, unet: UNet2DConditionModel) -> UNetMotionModel:
    return _stirred(case, unet).inflate(unet)


def _denoise(video: UNetMotionModel, *, last: float = 0.0, learns: bool = False) -> Float[Tensor, "f c h w"]:
    """Run the rows of :func:`denoise` as the frames of a clip; ``last`` is added to the last one."""
    latents, context = random(ROWS, 4, 8, 8, seed=3), random(ROWS, 3, CONTEXT, seed=4)
    latents[-1] += last
    with torch.set_grad_enabled(learns):
        return video(latents.transpose(0, 1)[None], 5, context, return_dict=False)[0][0].transpose(0, 1)
