"""The pattern of the spread-spectrum mark: cosines over a rectangle, whose signs are drawn from a key."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, pad

from anifacediff.shapes import Float, Tensor

Number: TypeAlias = float | int

ORDER = 48
"""Cosines across and down: of up to 23.5 periods over the marked rectangle."""

LOWEST = 10.0
"""Slower patterns, below five periods, are left out: pictures are strong there and eyes see it."""

_RADIUS = torch.hypot(torch.arange(ORDER).float()[:, None], torch.arange(ORDER).float())


@dataclass(frozen=True)
class Pattern:
    """Signs of two-dimensional cosines, which a key decides: to those without it they are fair coins.

    Attributes:
        key: any text.
    """

    key: str

    @cached_property
    def band(self) -> Float[Tensor, "48 48"]:
        """1 where a cosine takes part, else 0; rows are frequencies down, columns across, in half periods."""
        return ((_RADIUS >= LOWEST) & (_RADIUS < ORDER)).float()

    @cached_property
    def signs(self) -> Float[Tensor, "48 48"]:
        """1, -1, or 0 where a cosine takes no part."""
        digest = hashlib.shake_256(self.key.encode()).digest(ORDER * ORDER // 8)
        bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8)).reshape(ORDER, ORDER)
        return self.band * (2.0 * torch.from_numpy(bits) - 1)

    def drawn(self, height: int, width: int) -> Float[Tensor, "{height} {width}"]:
        """The pattern over a rectangle of pixels, with a mean square of 1.

        Cosines that are too fine for the pixels are left out.
        """
        down, across = cosines(height, 0, height), cosines(width, 0, width)
        pattern = down.T @ (self.signs * _RADIUS.sqrt()) @ across  # pictures are weaker where waves are finer
        return pattern / pattern.square().mean().sqrt().clamp(min=1e-12)

    def agreement(
        self, picture: Float[Tensor, "h w"], left: Number, top: Number, width: Number, height: Number
    ) -> float:
        """How well a rectangle of a picture agrees with the signs, in standard deviations of fair coins.

        The picture is divided by its local contrast, and each cosine's coefficient ``c`` by that of its neighbours,
        so that no edge and no frequency outweighs the others. The result is the sum of ``sign * c`` over the root of
        the sum of ``c * c``. For any picture that was made without the key it reaches ``z`` with a probability of at
        most ``1 / (4 (1 - Phi(sqrt 2)))``, which is 3.18, times that of a normal deviate.

        Args:
            picture: one channel, any unit.
            left: of the rectangle, in pixels; so are the next three, and they may be fractions.
            top: of the rectangle.
            width: of the rectangle.
            height: of the rectangle.

        Source: Cox et al. 1997 (spread spectrum); Bentkus and Dzindzalieta 2015, "A tight Gaussian bound for weighted
        sums of Rademacher random variables" (the bound).
        """
        rows = slice(max(0, math.floor(top)), max(1, math.ceil(top + height)))
        columns = slice(max(0, math.floor(left)), max(1, math.ceil(left + width)))
        part = picture[rows, columns]
        down = cosines(len(part), top - rows.start, height)
        across = cosines(part.shape[1], left - columns.start, width)
        inside = down.T @ (self.band * (down @ part @ across.T)) @ across
        even = inside / (contrast(inside, min(part.shape) // 12) + 0.5)
        coefficients = self.band * (down @ even @ across.T)
        coefficients = coefficients / (_neighbourhood(coefficients, self.band) + 1e-9)
        size = coefficients.square().sum().sqrt()
        return float((self.signs * coefficients).sum() / size.clamp(min=1e-12))


def cosines(pixels: int, start: Number, length: Number) -> Float[Tensor, "48 {pixels}"]:
    """Orthonormal cosines (DCT-II) over an interval, at pixel centres; zero outside, and where they are too fine.

    Args:
        pixels: how many there are.
        start: where the interval begins, in pixels.
        length: of the interval, in pixels.
    """
    place = torch.arange(pixels) + (0.5 - start)
    frequency = torch.arange(ORDER)[:, None]
    wave = torch.cos(math.pi / length * frequency * place) * math.sqrt(2 / length)
    return wave * ((place >= 0) & (place < length) & (frequency < length))


def contrast(picture: Float[Tensor, "h w"], window: int) -> Float[Tensor, "h w"]:
    """Root mean square around each pixel.

    Args:
        picture: of mean 0.
        window: side in pixels of the square that is looked at; made odd, and no larger than the picture.
    """
    reach = min(max(1, window // 2), *(side - 1 for side in picture.shape))
    squares = pad(picture.square()[None, None], (reach,) * 4, mode="reflect")[0, 0]
    return mean_around(squares, reach, reach).clamp(min=0).sqrt()


def mean_around(picture: Float[Tensor, "h w"], down: int, across: int) -> Float[Tensor, "_ _"]:
    """Mean over a rectangle around each pixel that is far enough from the edges.

    Args:
        picture: one channel.
        down: rows above and below that belong to the rectangle.
        across: columns on either side.
    """
    columns = avg_pool2d(picture[None, None], (2 * down + 1, 1), stride=1)
    return avg_pool2d(columns, (1, 2 * across + 1), stride=1)[0, 0]


def _neighbourhood(coefficients: Float[Tensor, "48 48"], band: Float[Tensor, "48 48"]) -> Float[Tensor, "48 48"]:
    """Root mean square of the coefficients that are at most two frequencies away and take part."""
    squares, count = (mean_around(pad(each, (2, 2, 2, 2)), 2, 2) for each in (coefficients**2, band))
    return (squares / count.clamp(min=1e-9)).sqrt()
