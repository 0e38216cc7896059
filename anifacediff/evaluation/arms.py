"""The arms of the benchmark: who is compared, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch

from anifacediff.conditioning.reference_warp import ReferenceWarp
from anifacediff.errors import InputError
from anifacediff.evaluation.animate import Animated, Studio
from anifacediff.evaluation.scenes import TASKS, Task
from anifacediff.shapes import Float, Tensor

Maker: TypeAlias = Callable[[Studio, int], Float[Tensor, "f 3 h w"]]
"""Makes the clip of a scene, chosen by its number."""


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        about: what it is, in a line.
        make: makes its clips.
        tasks: where it says anything.
    """

    about: str
    make: Maker
    tasks: tuple[Task, ...] = TASKS


def _truth(studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
    return studio.scenes[index].truth


def _copy(studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
    scene = studio.scenes[index]
    return scene.reference.expand_as(scene.truth)


def _mean(studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
    truths = [scene.truth[1:].mean(0) for scene in studio.scenes]
    return torch.stack(truths).mean(0).expand_as(studio.scenes[index].truth)


@torch.no_grad()
def _warp(studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
    scene, align = studio.scenes[index], studio.pipeline.alignment
    face = align.aligned(align.plan(scene.portrait.parameters, scene.driving[:1]), scene.driving)
    warp = ReferenceWarp(align.morphable_model, image_size=scene.reference.shape[-1])
    return warp(scene.reference, scene.portrait.parameters, face).image


@torch.no_grad()
def _through_vae(studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
    vae, truth = studio.pipeline.vae, studio.scenes[index].truth
    encoded = vae.encode(truth.to(vae.device, vae.dtype) * 2 - 1, return_dict=False)[0]
    latents = encoded if isinstance(encoded, Tensor) else encoded.mode()
    decoded = vae.decode(latents, return_dict=False)[0]  # pyright: ignore[reportArgumentType]
    return (decoded / 2 + 0.5).clamp(0, 1).float().cpu()


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "truth": Arm("the answer itself: what the metrics say of perfection", _truth),
        "vae": Arm("the answer through the autoencoder: as good as the model can get", _through_vae),
        "copy": Arm("the reference, repeated", _copy),
        "warp": Arm("the reference's pixels, moved with the mesh: no network, and what the guide shows", _warp),
        "mean": Arm("the mean image of all answers of the task", _mean),
        "model": Arm("the pipeline, given true parameters", Animated()),
        "model-tracked": Arm("the pipeline, given parameters read off the pictures", Animated(tracked=True)),
        "model-no-expression": Arm("the weight of the Expression Adapter is zero", Animated(expressive=False)),
        "model-shuffled-expression": Arm(
            "the Expression Adapter is told of another clip; the control maps are right", Animated(shuffled=True)
        ),
        "align-none": Arm(
            "control maps with the driver's shape and scale", Animated(alignment=(False, False)), ("cross",)
        ),
        "align-shape": Arm("with the reference's shape", Animated(alignment=(True, False)), ("cross",)),
        "align-scale": Arm("with the reference's scale", Animated(alignment=(False, True)), ("cross",)),
        "align-both": Arm(
            "with both, as the model row if the pipeline does so", Animated(alignment=(True, True)), ("cross",)
        ),
    }
)
"""All arms. Without a mismatch of shape and scale, as in ``same``, alignments are one and the same."""


def needs_tracker(arm: str) -> bool:
    """Whether an arm reads parameters off pictures."""
    make = ARMS[arm].make
    return isinstance(make, Animated) and make.tracked


def choose(names: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """Check a choice of names.

    Args:
        names: the choice; all that are known if it is empty.
        known: what there is.
        what: a word for them, for the message.

    Raises:
        InputError: if a name is unknown; the message lists the known ones.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"{what}: expected some of {', '.join(known)}; found {unknown[0]!r}.")
    return tuple(names) or tuple(known)
