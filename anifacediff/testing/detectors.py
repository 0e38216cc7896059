"""Checks of detectors of generated pictures."""

from dataclasses import dataclass
from typing import Any

import torch

from anifacediff.evaluation.contracts import Detector
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import Case, CheckFunction, require

SIZE, FRAMES = 64, 3


@dataclass(frozen=True)
class DetectorCase(Case[Detector]):
    """A detector to check.

    Attributes:
        name: of the component, in reports.
        build: makes a detector; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def scores_each_frame(case: DetectorCase) -> None:
    """There is one finite score for each frame, also where there is one frame only."""
    detector = case.made()
    for frames in (1, FRAMES):
        scores: Any = detector(pictures(frames))
        require(isinstance(scores, Tensor), f"expected a tensor, found a {type(scores).__name__}.")
        require(scores.shape == (frames,), f"{frames} frames gave scores of shape {tuple(scores.shape)}; one each.")
        require(scores.is_floating_point(), f"scores: expected floating point, found {scores.dtype}; call .float().")
        require(bool(scores.isfinite().all()), f"scores: {scores.tolist()} are not all finite.")


def is_deterministic(case: DetectorCase) -> None:
    """The same frames have the same scores, also from a detector that is built again, and stay as they were."""
    detector, again, given = case.made(), case.made(), pictures(FRAMES)
    first = detector(given)
    require(torch.equal(given, pictures(FRAMES)), "the detector changed the frames that it was given.")
    require(
        torch.equal(first, detector(given)) and torch.equal(first, again(given)),
        "the same frames gave other scores; call .eval() on networks, and give random parts a fixed seed.",
    )


def keeps_no_gradient(case: DetectorCase) -> None:
    """Scores carry no gradient, so that memory does not grow with the clips."""
    require(not case.made()(pictures(1)).requires_grad, "the scores require a gradient; compute under torch.no_grad().")


CHECKS: tuple[CheckFunction, ...] = (scores_each_frame, is_deterministic, keeps_no_gradient)


def pictures(frames: int) -> Float[Tensor, "f 3 h w"]:
    """Noise; the same at every call.

    Args:
        frames: how many.
    """
    return torch.rand(frames, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
