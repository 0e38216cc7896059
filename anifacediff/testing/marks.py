"""Checks of marks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.evaluation.pixels import psnr
from anifacediff.provenance.contracts import Mark, MarkEvidence, Region
from anifacediff.shapes import Float, Tensor, UInt8
from anifacediff.testing.checks import Case, CheckFunction, raised, require

SIZE, FRAMES, LEAST_PSNR, MOST_FALSE_ALARMS = 128, 4, 40.0, 1e-3
INNER: Region = (16, 24, 112, 120)


@dataclass(frozen=True)
class MarkCase(Case[Mark]):
    """A mark to check.

    Attributes:
        name: of the component, in reports.
        build: makes a mark; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def is_found_again(case: MarkCase) -> None:
    """A marked clip counts as marked, and the same clip without the mark does not."""
    mark, plain = case.made(), clip()
    with_mark, without = mark.detect(mark.embed(plain)), mark.detect(plain)
    require(with_mark.found, f"a clip that was just marked scores {with_mark.score:.3g}, below {with_mark.threshold}.")
    require(not without.found, f"a clip without a mark scores {without.score:.3g}, not below {without.threshold}.")


def says_how_sure_it_is(case: MarkCase) -> None:
    """The score is finite, and the threshold promises at most one false alarm in a thousand clips."""
    evidence: Any = case.made().detect(clip())
    require(isinstance(evidence, MarkEvidence), f"detect: expected a MarkEvidence, found {evidence!r}.")
    require(math.isfinite(evidence.score), f"score: {evidence.score} is not finite.")
    require(
        evidence.false_alarms <= MOST_FALSE_ALARMS,
        f"threshold: {evidence.threshold} allows a false alarm in a share of {evidence.false_alarms:.2g} of unmarked "
        "clips; raise it to 3 or more.",
    )


def is_invisible(case: MarkCase) -> None:
    """Every frame stays within 40 dB of what it was; the array that was given stays as it was."""
    plain = clip()
    before = plain.copy()
    after = case.made().embed(plain)
    require(np.array_equal(before, plain), "embed changed the array that it was given; work on a copy.")
    require(after.shape == plain.shape and after.dtype == np.uint8, f"embed returned {after.dtype} {after.shape}.")
    worst = float(psnr(_images(after), _images(plain)).min())
    require(worst >= LEAST_PSNR, f"a marked frame is {worst:.1f} dB from what it was; at least {LEAST_PSNR:.0f} dB.")


def keeps_to_its_region(case: MarkCase) -> None:
    """Outside the region nothing changes, and inside something does."""
    plain = clip()
    left, top, right, bottom = INNER
    after = case.made().embed(plain, INNER)
    changed = np.any(after != plain, axis=(0, 3))
    require(changed[top:bottom, left:right].any(), "embed changed nothing inside of the region.")
    changed[top:bottom, left:right] = False
    require(not changed.any(), f"embed changed {int(changed.sum())} pixels outside of the region.")


def frames_may_come_one_by_one(case: MarkCase) -> None:
    """Frames that are marked one by one are those that are marked together, also by a mark that is built again."""
    together = case.made().embed(clip())
    again = case.made()
    single = np.concatenate([again.embed(frame[None]) for frame in clip()])
    require(np.array_equal(together, single), "a frame's mark depends on the frames that are marked with it.")


def bad_input_is_refused(case: MarkCase) -> None:
    """An empty clip, and a region beyond the edges, are an InputError."""
    mark = case.made()
    nothing: Sequence[UInt8[np.ndarray, "h w 3"]] = ()
    error = raised(lambda: mark.detect(nothing))
    require(isinstance(error, InputError), f"detect of no frames: expected an InputError, found {error!r}.")
    error = raised(lambda: mark.embed(clip(), (0, 0, SIZE + 1, SIZE)))
    require(isinstance(error, InputError), f"embed beyond the edges: expected an InputError, found {error!r}.")


CHECKS: tuple[CheckFunction, ...] = (
    is_found_again,
    says_how_sure_it_is,
    is_invisible,
    keeps_to_its_region,
    frames_may_come_one_by_one,
    bad_input_is_refused,
)


@cache
def _clip() -> UInt8[np.ndarray, "f h w 3"]:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(coarse).resize((SIZE + 8, SIZE + 8), Image.Resampling.BICUBIC))
    return np.stack([large[shift : shift + SIZE, :SIZE] for shift in range(FRAMES)])


def clip() -> UInt8[np.ndarray, "f h w 3"]:
    """Four smooth pictures of 128 pixels that move a little."""
    return _clip().copy()


def _images(pictures: UInt8[np.ndarray, "f h w 3"]) -> Float[Tensor, "f 3 h w"]:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
