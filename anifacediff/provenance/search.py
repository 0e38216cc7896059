"""Where in a picture a marked square is, whatever its place and size."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Complex
from torch.nn.functional import interpolate, pad

from anifacediff.provenance.pattern import LOWEST, ORDER, Pattern, contrast, mean_around
from anifacediff.shapes import Float, Tensor

_GRID = 2 * ORDER  # pixels of the square at which it is looked for: four for the finest wave
_SMALLEST, _LEAST_SHARE = 64, 0.1  # side of a square in pixels of the picture, and over its shorter side
_STEP = 1.03  # from one side to the next: the finest wave is off by a sixth of a period at the edges
_KEPT = 8  # places that are looked at closely
_NEAR = (-0.5, 0.0, 0.5)  # pixels of the grid
_SCALES = (0.99, 1.0, 1.01)


@dataclass(frozen=True)
class Found:
    """The best of all places.

    Attributes:
        agreement: with the pattern, see :meth:`Pattern.agreement`.
        place: left, top, right, bottom in pixels of the picture.
        places: how many places it is the best of.
    """

    agreement: float
    place: tuple[float, float, float, float]
    places: int


@dataclass(frozen=True)
class _Candidate:
    """A square in pixels of the picture, and how well it agrees at a glance."""

    glance: float
    left: float
    top: float
    side: float

    def moved(self, right: float, down: float, scale: float) -> "_Candidate":
        unit, side = self.side / _GRID, self.side * scale
        left, top = (start + (self.side - side) / 2 for start in (self.left, self.top))
        return _Candidate(self.glance, left + right * unit, top + down * unit, side)


def search(pattern: Pattern, picture: Float[Tensor, "h w"]) -> Found:
    """Look for a marked square at every place: of every side from 64 pixels, and a tenth of the shorter side, on.

    Args:
        pattern: of the mark.
        picture: one channel.
    """
    candidates: list[_Candidate] = []
    places = 1
    for side in _sides(min(picture.shape)):
        glances = _glances(pattern, picture, side)
        places += glances.numel() * len(_NEAR) ** 2 * len(_SCALES)
        candidates += _best(glances, side, picture)
    close = sorted(candidates, key=lambda each: -each.glance)[:_KEPT]
    found = [_look(pattern, picture, each) for candidate in close for each in _around(candidate)]
    if not found:
        height, width = picture.shape
        return Found(0.0, (0.0, 0.0, float(width), float(height)), places)
    agreement, best = max(found, key=lambda each: each[0])
    return Found(agreement, (best.left, best.top, best.left + best.side, best.top + best.side), places)


def _sides(largest: int) -> Iterator[float]:
    side = float(largest)
    while side >= max(_SMALLEST, _LEAST_SHARE * largest):
        yield side
        side /= _STEP


def _glances(pattern: Pattern, picture: Float[Tensor, "h w"], side: float) -> Float[Tensor, "y x"]:
    """Correlation with the pattern at every place where a square of a side fits, by Fourier transform."""
    scale = _GRID / side
    size = [max(_GRID, round(pixels * scale)) for pixels in picture.shape]
    scaled = interpolate(picture[None, None], size=size, mode="bilinear", antialias=True, align_corners=False)[0, 0]
    spectrum = _band(size) * torch.fft.rfft2(scaled - scaled.mean())
    inside = torch.fft.irfft2(spectrum, s=size)
    even = inside / (contrast(inside, _GRID // 12) + 0.5)
    spectrum = _whitened(_band(size) * torch.fft.rfft2(even), size)
    even = torch.fft.irfft2(spectrum, s=size)
    kernel = torch.fft.rfft2(pattern.drawn(_GRID, _GRID), s=size)
    fits = tuple(pixels - _GRID + 1 for pixels in size)
    correlation = torch.fft.irfft2(spectrum * kernel.conj(), s=size)[: fits[0], : fits[1]]
    return correlation / (_energy(even) + 1e-6)


def _band(size: list[int]) -> Float[Tensor, "y x"]:
    """1 at the frequencies of the pattern, else 0."""
    down, across = torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])[None]
    half_periods = 2 * _GRID * torch.hypot(down, across)
    return ((half_periods >= LOWEST) & (half_periods < ORDER)).float()


def _whitened(spectrum: Complex[Tensor, "y x"], size: list[int]) -> Complex[Tensor, "y x"]:
    """Divide each frequency by the root mean square of those around it."""
    reach = [round(pixels / _GRID) for pixels in size]  # two half periods of the pattern
    power = spectrum.abs().square()[None, None]
    around = pad(pad(power, (0, 0, reach[0], reach[0]), mode="circular"), (reach[1], reach[1], 0, 0), mode="reflect")
    level = mean_around(around[0, 0], *reach)
    return spectrum / (level.sqrt() + 1e-6)


def _energy(even: Float[Tensor, "h w"]) -> Float[Tensor, "y x"]:
    """Root of the sum of squares in every square of the grid's side."""
    sums = pad(even.double().square().cumsum(0).cumsum(1), (1, 0, 1, 0))
    total = sums[_GRID:, _GRID:] - sums[:-_GRID, _GRID:] - sums[_GRID:, :-_GRID] + sums[:-_GRID, :-_GRID]
    return total.clamp(min=0).sqrt().float()


def _best(glances: Float[Tensor, "y x"], side: float, picture: Float[Tensor, "h w"]) -> list[_Candidate]:
    """The two best places of one side."""
    values, places = glances.flatten().topk(min(2, glances.numel()))
    rows, columns = glances.shape
    height, width = picture.shape
    down, right = (rows + _GRID - 1) / height, (columns + _GRID - 1) / width
    return [
        _Candidate(value, place % columns / right, place // columns / down, side)
        for value, place in zip(values.tolist(), places.tolist(), strict=True)
    ]


def _around(candidate: _Candidate) -> Iterator[_Candidate]:
    return (candidate.moved(right, down, scale) for right, down, scale in product(_NEAR, _NEAR, _SCALES))


def _look(pattern: Pattern, picture: Float[Tensor, "h w"], place: _Candidate) -> tuple[float, _Candidate]:
    return pattern.agreement(picture, place.left, place.top, place.side, place.side), place
