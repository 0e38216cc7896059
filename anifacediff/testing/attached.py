"""Checks of what is attached to a denoiser: attention adapters and reference nets."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn

from anifacediff.errors import AttachmentError
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import Case, CheckFunction, T, raised, require
from anifacediff.testing.denoisers import ROWS, Snapshot, denoise, random, stirred, tiny_unet

EXACT = 2e-6


@dataclass(frozen=True)
class AttachedCase(Case[T]):
    """Something that is attached to a denoiser and reads a condition."""

    @abstractmethod
    def on(self, unet: UNet2DConditionModel) -> Any:
        """Build a fresh component for a denoiser."""

    @abstractmethod
    def signal(self, *, rows: int, seed: int) -> Float[Tensor, "b *n"]:
        """What the condition is made of."""

    @abstractmethod
    def condition(
        self, part: Any, signal: Float[Tensor, "b *n"], unet: UNet2DConditionModel, *, guidance: bool = False
    ) -> Mapping[str, Any]:
        """Entries for ``cross_attention_kwargs``."""


def fresh_weights_change_nothing(case: AttachedCase[Any]) -> None:
    """Attached, and given its condition, a fresh component leaves the denoiser's output as it was."""
    unet = tiny_unet()
    before, fresh = denoise(unet), case.on(unet)
    with fresh.attach(unet):
        after = denoise(unet, case.condition(fresh, case.signal(rows=ROWS, seed=0), unet))
    worst = float((after - before).abs().max())
    require(worst <= EXACT, f"fresh weights change the output by {worst:.2g}; begin the last projection at zero.")


def without_a_condition_nothing_changes(case: AttachedCase[Any]) -> None:
    """Attached without its condition, a component with trained weights leaves the output as it was, to the bit."""
    unet = tiny_unet()
    before, part = denoise(unet), _trained(case, unet)
    with part.attach(unet):
        after = denoise(unet)
    worst = float((after - before).abs().max())
    require(
        torch.equal(before, after),
        f"attached without its condition, the component changes the output by {worst:.2g}; call the stock processor "
        "if the condition is None.",
    )


def detaching_restores_the_same_objects(case: AttachedCase[Any]) -> None:
    """Processors, modules, parameters and hooks are the very same after detaching, and after an exception."""
    unet = tiny_unet()
    part, before = case.on(unet), Snapshot.of(unet)
    part.attach(unet).detach()
    difference = before.difference(Snapshot.of(unet))
    require(not difference, f"after detach() these are not as before: {difference}; anifacediff.attachment restores.")
    interrupted = raised(lambda: _raise_inside(part, unet))
    require(isinstance(interrupted, KeyError), f"an exception inside the with block became {interrupted!r}.")
    difference = before.difference(Snapshot.of(unet))
    require(not difference, f"after an exception inside the with block these are not as before: {difference}.")


def attaching_twice_is_refused(case: AttachedCase[Any]) -> None:
    """A second attach() raises an AttachmentError and leaves the first in order."""
    unet = tiny_unet()
    part, before = case.on(unet), Snapshot.of(unet)
    with part.attach(unet):
        problem = raised(lambda: part.attach(unet))
        require(
            isinstance(problem, AttachmentError),
            f"attaching twice raised {'nothing' if problem is None else repr(problem)}; expected an AttachmentError.",
        )
    difference = before.difference(Snapshot.of(unet))
    require(not difference, f"after a refused second attach() and detach() these are not as before: {difference}.")


def the_condition_is_heard(case: AttachedCase[Any]) -> None:
    """With trained weights, the condition changes the output, and so does another condition."""
    unet = tiny_unet()
    part, before = _trained(case, unet), denoise(unet)
    with part.attach(unet):
        first, second = (
            denoise(unet, case.condition(part, case.signal(rows=ROWS, seed=seed), unet)) for seed in (0, 1)
        )
    require(not torch.allclose(first, before, atol=1e-5), "random weights and a condition leave the output as it was.")
    require(not torch.allclose(first, second, atol=1e-5), "two conditions give the same output.")


def each_row_hears_its_own(case: AttachedCase[Any]) -> None:
    """Another condition for the last row changes that row of the output alone."""
    unet = tiny_unet()
    part, signal = _trained(case, unet), case.signal(rows=ROWS, seed=0)
    other = torch.cat([signal[:-1], signal[-1:] + 1])
    with part.attach(unet):
        first, second = (denoise(unet, case.condition(part, each, unet)) for each in (signal, other))
    change = (first - second).flatten(1).abs().amax(1)
    require(
        float(change[:-1].max()) <= 1e-4 * max(1.0, float(first.abs().max())) and float(change[-1]) > 1e-5,
        f"another condition for the last of {ROWS} rows changes the rows by "
        f"{[f'{each:.1g}' for each in change.tolist()]}; rows of the condition belong to rows of the denoiser.",
    )


def guidance_leaves_the_unconditional_half(case: AttachedCase[Any]) -> None:
    """With guidance=True the first half of the denoiser's rows is as without the component."""
    unet = tiny_unet()
    part, before = _trained(case, unet), denoise(unet)
    with part.attach(unet):
        condition = case.condition(part, case.signal(rows=ROWS // 2, seed=0), unet, guidance=True)
        change = (denoise(unet, condition) - before).flatten(1).abs().amax(1)
    half = ROWS // 2
    require(
        float(change[:half].max()) <= 10 * EXACT,
        f"guidance=True: the unconditional half, the first, changes by {float(change[:half].max()):.2g}; it must hear "
        "nothing.",
    )
    require(float(change[half:].min()) > 1e-5, "guidance=True: the conditional half does not hear the condition.")


def gradients_reach_weights_and_condition(case: AttachedCase[Any]) -> None:
    """A loss on the output has a gradient to the component's weights, fresh ones too, and to the condition."""
    unet = tiny_unet()
    unet.requires_grad_(False)
    for state, part in (("fresh", case.on(unet)), ("trained", _trained(case, unet))):
        signal = case.signal(rows=ROWS, seed=0).requires_grad_()
        with part.attach(unet):
            output = denoise(unet, case.condition(part, signal, unet), learns=True)
        require(output.requires_grad, f"{state}: the output carries no gradient; is there a no_grad() or .detach()?")
        (output * random(*output.shape, seed=8)).sum().backward()
        grads = [weight.grad for weight in part.parameters() if weight.grad is not None]
        require(any(bool(grad.any()) for grad in grads), f"{state}: no weight has a gradient, so nothing is learned.")
        require(all(bool(grad.isfinite().all()) for grad in grads), f"{state}: a gradient is NaN or infinite.")
    require(signal.grad is not None and bool(signal.grad.any()), "the condition has no gradient.")


def weights_survive_a_file(case: AttachedCase[Any]) -> None:
    """The state, saved as safetensors and loaded into a fresh component, gives the same output."""
    unet = tiny_unet()
    trained, other = _trained(case, unet), case.on(unet)
    require(isinstance(trained, nn.Module), f"{type(trained).__name__} is no torch module, so it has no state to save.")
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        save_file({key: value.contiguous() for key, value in trained.state_dict().items()}, path)
        other.load_state_dict(load_file(path))
    outputs: list[Tensor] = []
    for part in (trained, other):
        with part.attach(unet):
            outputs.append(denoise(unet, case.condition(part, case.signal(rows=ROWS, seed=0), unet)))
    require(
        torch.equal(*outputs),
        "loaded into a fresh component, the saved state gives another output; keep all weights in parameters or "
        "buffers, none of them shared with the denoiser's.",
    )


CHECKS: tuple[CheckFunction, ...] = (
    without_a_condition_nothing_changes,
    detaching_restores_the_same_objects,
    attaching_twice_is_refused,
    the_condition_is_heard,
    each_row_hears_its_own,
    guidance_leaves_the_unconditional_half,
    gradients_reach_weights_and_condition,
    weights_survive_a_file,
)


def _trained(case: AttachedCase[Any], unet: UNet2DConditionModel) -> Any:
    return stirred(case.on(unet))


def _raise_inside(part: Any, unet: UNet2DConditionModel) -> None:
    with part.attach(unet):
        raise KeyError("on purpose")
