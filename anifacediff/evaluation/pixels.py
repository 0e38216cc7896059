"""How far the pixels of a clip are from what they should be."""

from dataclasses import dataclass

import torch
from torch.nn.functional import conv1d, pad

from anifacediff.errors import InputError
from anifacediff.evaluation.contracts import Animation
from anifacediff.shapes import Float, Tensor, check_shape

_LEAST_ERROR = 1e-10  # 100 dB, so that the mean over frames stays finite where one of them is perfect
_WINDOW, _SIGMA = 11, 1.5
_STEADY_MEAN, _STEADY_VARIANCE = 0.01**2, 0.03**2


def psnr(
    found: Float[Tensor, "f 3 h w"], truth: Float[Tensor, "f 3 h w"], where: Float[Tensor, "f 1 h w"] | None = None
) -> Float[Tensor, "f"]:
    """Peak signal-to-noise ratio of each picture, in decibels, at most 100.

    Args:
        found: pictures, clipped to [0, 1].
        truth: what they should be, clipped likewise.
        where: the weight of each pixel, for instance from :func:`inside`; all count alike if None.

    Returns:
        f, NaN for pictures in which no pixel counts: take their ``nanmean``.

    Raises:
        ShapeError: if the arguments do not have the same shape, but for the axis of colours.
    """
    _check_alike(found, truth)
    error = (found.clamp(0, 1) - truth.clamp(0, 1)).square().mean(1, keepdim=True)
    weight = torch.ones_like(error) if where is None else where
    check_shape("where", weight, "f 1 h w", *error.shape)
    mean = (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    return -10 * mean.clamp(min=_LEAST_ERROR).log10()


def inside(boxes: Float[Tensor, "f 4"], height: int, width: int) -> Float[Tensor, "f 1 h w"]:
    """One for pixels whose middle is within a picture's box, else zero.

    Args:
        boxes: f 4, left, top, right, bottom in pixels.
        height: of the pictures, in pixels.
        width: of the pictures, in pixels.
    """
    down = torch.arange(height, device=boxes.device)[:, None] + 0.5
    right = torch.arange(width, device=boxes.device) + 0.5
    left, top, end, bottom = boxes[:, :, None, None].unbind(1)
    return ((left < right) & (right < end) & (top < down) & (down < bottom)).to(boxes.dtype)[:, None]


def ssim(found: Float[Tensor, "f 3 h w"], truth: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f"]:
    """Structural similarity of each picture, at most 1, under a Gaussian window of 11x11 pixels, sigma 1.5.

    The mean over colours and pixels; beyond its border the picture is mirrored, as in torchmetrics.

    Args:
        found: pictures, clipped to [0, 1].
        truth: what they should be, clipped likewise.

    Raises:
        ShapeError: if the two do not have the same shape.
        InputError: if the pictures are smaller than the window.

    Source: Wang et al., Image quality assessment, IEEE TIP 2004, equation 13 with K1 = 0.01 and K2 = 0.03.
    """
    _check_alike(found, truth)
    if min(found.shape[2:]) < _WINDOW:
        raise InputError(f"SSIM needs pictures of {_WINDOW}x{_WINDOW} pixels or more, found {tuple(found.shape[2:])}.")
    x, y = found.clamp(0, 1), truth.clamp(0, 1)
    mean_x, mean_y, square_x, square_y, product = _blurred(torch.stack([x, y, x * x, y * y, x * y])).unbind()
    variances = (square_x - mean_x**2).clamp(min=0) + (square_y - mean_y**2).clamp(min=0)
    structure = (2 * (product - mean_x * mean_y) + _STEADY_VARIANCE) / (variances + _STEADY_VARIANCE)
    luminance = (2 * mean_x * mean_y + _STEADY_MEAN) / (mean_x**2 + mean_y**2 + _STEADY_MEAN)
    return (structure * luminance).mean((1, 2, 3))


def temporal_error(found: Float[Tensor, "f 3 h w"], truth: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f-1"]:
    """Flicker: how far the change from each frame to the next is from the change there should be.

    Args:
        found: f frames, clipped to [0, 1].
        truth: what they should be, clipped likewise.

    Returns:
        f-1, means of |(found[t+1] - found[t]) - (truth[t+1] - truth[t])|, in steps of 1/255.

    Raises:
        ShapeError: if the two do not have the same shape.
        InputError: if there is one frame only.
    """
    _check_alike(found, truth)
    if len(found) < 2:
        raise InputError("the temporal error needs 2 frames or more, found 1.")
    error = found.clamp(0, 1) - truth.clamp(0, 1)
    return 255 * error.diff(dim=0).abs().mean((1, 2, 3))


@dataclass(frozen=True)
class PSNR:
    """The mean of :func:`psnr` over the frames."""

    unit = "dB"
    higher_is_better = True

    def __call__(self, animation: Animation) -> float:
        return float(psnr(animation.output, animation.needed("truth", "PSNR")).mean())


@dataclass(frozen=True)
class SSIM:
    """The mean of :func:`ssim` over the frames."""

    unit = ""
    higher_is_better = True

    def __call__(self, animation: Animation) -> float:
        return float(ssim(animation.output, animation.needed("truth", "SSIM")).mean())


@dataclass(frozen=True)
class TemporalError:
    """The mean of :func:`temporal_error` over the frames."""

    unit = "1/255"
    higher_is_better = False

    def __call__(self, animation: Animation) -> float:
        return float(temporal_error(animation.output, animation.needed("truth", "the temporal error")).mean())


def _check_alike(found: Tensor, truth: Tensor) -> None:
    check_shape("found", found, "f 3 h w", None, 3, None, None)
    check_shape("truth", truth, "f 3 h w", *found.shape)


def _blurred(images: Float[Tensor, "n f 3 h w"]) -> Float[Tensor, "n f 3 h w"]:
    return _window(images, images.shape[-2]).T @ images @ _window(images, images.shape[-1])


def _window(like: Tensor, size: int) -> Float[Tensor, "{size} {size}"]:
    """The blur of a mirrored row as a matrix, by which a row is multiplied: ten times faster than convolutions."""
    offsets = torch.arange(_WINDOW, dtype=like.dtype, device=like.device) - _WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    rows = pad(torch.eye(size, dtype=like.dtype, device=like.device)[None], (_WINDOW // 2,) * 2, mode="reflect")
    return conv1d(rows[0, :, None], (window / window.sum())[None, None])[:, 0]
