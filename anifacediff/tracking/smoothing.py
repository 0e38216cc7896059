"""Take the jitter out of a clip's parameters without delay, keeping short movements such as blinks."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import FaceParameters, PerFrame
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.rotations import axis_angle, nearest_rotation

_REACH = 3  # standard deviations of the window that are summed
_RIDGE = 1e-6  # makes the parabola unique where a window holds fewer than three frames


def smooth_signal(values: Float[Tensor, "f *n"], strength: float) -> Float[Tensor, "f *n"]:
    """Smooth along the frames by a parabola fitted around each frame in a Gaussian window.

    Unlike a plain average it leaves constant speed and acceleration as they are, also at the ends, so it
    neither lags nor flattens peaks that are wider than the window.

    Args:
        values: f *n, one value or array for each frame.
        strength: standard deviation of the window in frames; 0 returns ``values`` unchanged.

    Raises:
        InputError: if ``strength`` is negative or not finite.

    Source: Cleveland 1979 (local regression), of order two; Savitzky-Golay with a Gaussian window.
    """
    if not math.isfinite(strength) or strength < 0:
        raise InputError(f"strength: expected a window in frames, 0 or more, found {strength}.")
    if strength == 0:
        return values
    kernels, window = _kernels(values.shape[0], strength)
    flat = values.flatten(1) if values.ndim > 1 else values[:, None]
    neighbours = flat[window.to(flat.device)]
    return torch.einsum("ft,ftn->fn", kernels.to(flat), neighbours).reshape(values.shape)


def smooth_parameters(parameters: FaceParameters, strength: float) -> FaceParameters:
    """Smooth all but the identity over the frames; rotations stay rotations.

    Args:
        parameters: consecutive frames of a clip. A camera that is no :class:`PerFrame` is left as it is.
        strength: standard deviation of the window in frames; 0 returns ``parameters`` unchanged.
    """
    if strength == 0:
        return parameters
    return along_frames(parameters, lambda values: smooth_signal(values, strength), shape=parameters.shape)


def along_frames(
    parameters: FaceParameters, change: Callable[[Tensor], Tensor], *, shape: Float[Tensor, "f s"]
) -> FaceParameters:
    """Apply a linear operation along the frames to all but the identity; rotations stay rotations.

    Args:
        parameters: consecutive frames. A camera that is no :class:`PerFrame` is left as it is.
        change: is given tensors whose first axis is the frames; may return more or fewer of them.
        shape: f s, the identity of the frames after it.
    """
    camera = parameters.camera
    return replace(
        parameters,
        shape=shape,
        expression=change(parameters.expression),
        pose=axis_angle(nearest_rotation(change(rotation_matrix(parameters.pose)))),
        camera=camera.map(change) if isinstance(camera, PerFrame) else camera,
        box=parameters.box.map(change),
        gaze=None if parameters.gaze is None else change(parameters.gaze),
        eyelids=None if parameters.eyelids is None else change(parameters.eyelids),
    )


def _kernels(frames: int, strength: float) -> tuple[Float[Tensor, "f t"], Tensor]:
    """For every frame the weights of its neighbours, and their numbers (those outside the clip weigh nothing)."""
    reach = math.ceil(_REACH * strength)
    offsets = torch.arange(-reach, reach + 1)
    window = torch.arange(frames)[:, None] + offsets
    inside = (window >= 0) & (window < frames)
    time = offsets.double() / strength
    weights = torch.exp(-(time**2) / 2) * inside
    powers = torch.stack([torch.ones_like(time), time, time**2], dim=-1)
    moments = torch.einsum("ft,ti,tj->fij", weights, powers, powers)
    moments = moments + torch.diag(moments.new_tensor([0.0, _RIDGE, _RIDGE]))
    first = torch.linalg.inv(moments)[:, 0]
    return weights * (first @ powers.T), window.clamp(0, frames - 1)
