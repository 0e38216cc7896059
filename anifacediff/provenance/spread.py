"""The built-in mark: a faint pattern over the whole region, the same in every frame."""

import math
from collections.abc import Iterable
from itertools import chain

import numpy as np
import torch
from torch.nn.functional import pad

from anifacediff.errors import InputError
from anifacediff.media.images import check_picture
from anifacediff.provenance.contracts import MarkEvidence, Region, check_region
from anifacediff.provenance.pattern import Pattern, mean_around
from anifacediff.provenance.search import search
from anifacediff.shapes import Float, Tensor, UInt8

OPEN_KEY = "anifacediff open mark 1"
"""The key of the mark that everyone can find, and therefore also remove."""

_MOST = 2.005  # root mean square of the change in grey levels: 42.09 dB
_LESS = 0.995  # weakens in small steps, so that rounding up costs no more strength than it must
_BOUND = 3.178  # by which chance may exceed a normal deviate, see Pattern.agreement
_LUMA = (0.299, 0.587, 0.114)


class SpreadMark:
    """Adds a pattern of middle frequencies to the brightness, one grey level strong where the picture is even.

    The pattern is stretched over the marked region, so that it survives scaling, and is the same in every frame, so
    that the detector can look at the mean of all frames. Its strength keeps every marked region 42 dB or more from
    what it was. Pasted-back regions are found wherever they are, if they are squares.

    Args:
        key: any text. Who knows it can find the mark, and also imitate or remove it.
        threshold: of :class:`MarkEvidence`: 5 is at most one false alarm in 100,000 unmarked clips.

    Source: Cox et al. 1997, "Secure spread spectrum watermarking for multimedia".
    """

    def __init__(self, key: str = OPEN_KEY, *, threshold: float | int = 5.0) -> None:
        if not threshold > 0:
            raise InputError(f"threshold: expected a positive number, found {threshold}.")
        self._pattern = Pattern(key)
        self._threshold = float(threshold)

    def embed(self, frames: UInt8[np.ndarray, "f h w 3"], region: Region | None = None) -> UInt8[np.ndarray, "f h w 3"]:
        """Mark frames, see :class:`Mark`."""
        height, width = frames.shape[1:3]
        left, top, right, bottom = region or (0, 0, width, height)
        check_region((left, top, right, bottom), height, width)
        marked = frames.copy()
        pattern = self._pattern.drawn(bottom - top, right - left)
        for frame in marked[:, top:bottom, left:right]:  # alone, so that others do not change how it is rounded
            levels = torch.from_numpy(frame.astype(np.float32))
            change = _limited(_visible_from(_luma(levels)) * pattern)
            frame[:] = (levels + change[..., None]).clamp(0, 255).numpy().astype(np.uint8)
        return marked

    def detect(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> MarkEvidence:
        """Look for the mark, see :class:`Mark`: first over the whole frame, then in squares anywhere in it."""
        mean = _mean_luma(frames)
        height, width = mean.shape
        whole = self._pattern.agreement(mean, 0, 0, width, height)
        evidence = MarkEvidence(surprise(whole, 2), self._threshold, (0.0, 0.0, float(width), float(height)))
        if evidence.found:
            return evidence
        found = search(self._pattern, mean)
        elsewhere = MarkEvidence(surprise(found.agreement, 2 * found.places), self._threshold, found.place)
        return max(evidence, elsewhere, key=lambda each: each.score)


def surprise(agreement: float, places: int) -> float:
    """Minus the decimal logarithm of a bound on how often chance agrees so well in one of many places.

    Args:
        agreement: the best of all places, see :meth:`Pattern.agreement`.
        places: how many were looked at.
    """
    tail = float(torch.special.log_ndtr(torch.tensor(-agreement, dtype=torch.float64)))
    return max(0.0, -(tail + math.log(_BOUND * places)) / math.log(10))


def _luma(picture: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    return picture @ torch.tensor(_LUMA)


def _visible_from(luma: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How much may change at each place, in grey levels: 1 where it is even, up to 4 where there is more to look at."""
    side = min(luma.shape)
    reach = min(max(1, side // 64), side - 1)
    around = pad(luma[None, None], (reach,) * 4, mode="reflect")[0, 0]
    mean, square = (mean_around(each, reach, reach) for each in (around, around.square()))
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return (1 + deviation / 10).clamp(max=4)


def _limited(change: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Round to whole grey levels, weakened as far as the mark would change more than it may."""
    change = change * (_MOST / change.square().mean().sqrt().clamp(min=1e-12)).clamp(max=1)
    rounded = change.round()
    while rounded.square().mean().sqrt() > _MOST:
        change = change * _LESS
        rounded = change.round()
    return rounded


def _mean_luma(frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Float[Tensor, "h w"]:
    """The mean brightness of a clip, with every frame in memory for a moment only."""
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError("frames: the clip is empty, there is nothing to look for a mark in.")
    total, count = np.zeros(first.shape, dtype=np.float64), 0
    for frame in chain((first,), rest):
        check_picture(f"frame {count}", frame)
        if frame.shape != first.shape:
            raise InputError(f"frame {count}: has the shape {frame.shape}, the first one {first.shape}; give one size.")
        total += frame
        count += 1
    return _luma(torch.from_numpy(total / count).float())
