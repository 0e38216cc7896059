"""Parameters that a tracker reads off the frames itself, a batch at a time."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.errors import InputError
from anifacediff.geometry.contracts import MorphableModel, PartialModel
from anifacediff.geometry.faces import FaceParameters, PerFrame, PerFrameT
from anifacediff.shapes import Float, Tensor, check_finite
from anifacediff.tracking.contracts import DetectedFace, ParameterTracker, Tracker

_AT_ONCE = 8  # frames, which are kept as floats: 25 MB each in full HD


class Estimates:
    """Collects a tracker's estimates of the frames of a clip that show the face; keeps no more frames than a batch.

    Args:
        tracker: reads the parameters.
        at_once: how many frames it is given together.
    """

    def __init__(self, tracker: ParameterTracker, *, at_once: int = _AT_ONCE) -> None:
        self._tracker = tracker
        self._at_once = at_once
        self._images: list[Float[Tensor, "3 h w"]] = []
        self._faces: list[DetectedFace] = []
        self._numbers: list[int] = []
        self._parts: list[FaceParameters] = []

    def add(self, number: int, image: NDArray[Any], face: DetectedFace | None) -> None:
        """Take up a frame, unless it has no face.

        Args:
            number: of the frame, for messages.
            image: h w 3, RGB, uint8.
            face: where to look in it.

        Raises:
            InputError: if the tracker's estimate of a frame cannot be used.
        """
        if face is None:
            return
        picture = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        if len(self._images) == self._at_once or (self._images and self._images[0].shape != picture.shape):
            self._read()
        self._images.append(picture)
        self._faces.append(face)
        self._numbers.append(number)

    def joined(self) -> FaceParameters:
        """The parameters of all frames with a face, in pixels of their frames.

        Raises:
            InputError: if the tracker's estimate of a frame cannot be used.
        """
        if self._images:
            self._read()
        return joined(self._parts)

    def _read(self) -> None:
        images = torch.stack(self._images)
        try:
            self._parts.append(_checked(self._tracker, images, self._faces))
        except InputError as error:
            raise InputError(f"{type(self._tracker).__name__}, {self._culprit(images, error)}") from error
        for kept in (self._images, self._faces, self._numbers):
            kept.clear()

    def _culprit(self, images: Tensor, error: InputError) -> str:
        """Which frame the tracker fails at, by itself, and why; ``error`` is what the batch failed with."""
        for index, number in enumerate(self._numbers):
            try:
                _checked(self._tracker, images[index : index + 1], self._faces[index : index + 1])
            except InputError as alone:
                return f"frame {number}: {alone}"
        return f"frames {self._numbers[0]} to {self._numbers[-1]} together: {error}"


def reads(tracker: Tracker, model: MorphableModel) -> TypeGuard[ParameterTracker]:
    """Whether a tracker reads the parameters of a model itself: its own model moves as this one does."""
    return isinstance(tracker, ParameterTracker) and _alike(_complete(tracker.model), _complete(model))


def _complete(model: MorphableModel) -> MorphableModel:
    return model.complete() if isinstance(model, PartialModel) else model


def _alike(one: MorphableModel, other: MorphableModel) -> bool:
    if one is other:
        return True
    if _sizes(one) != _sizes(other) or not torch.equal(one.triangles.cpu(), other.triangles.cpu()):
        return False
    probes = [_probe(model) for model in (one, other)]
    return probes[0].shape == probes[1].shape and torch.allclose(*probes, rtol=1e-4, atol=1e-6)


def _sizes(model: MorphableModel) -> tuple[int, int, tuple[str, ...]]:
    return model.num_shape, model.num_expression, model.joint_names


@torch.no_grad()
def _probe(model: MorphableModel) -> Tensor:
    """The vertices of one face that all coefficients and joints have moved."""
    device = model.triangles.device
    sizes = ((1, model.num_shape), (1, model.num_expression), (1, len(model.joint_names), 3))
    shape, expression, pose = (torch.linspace(-0.3, 0.7, torch.Size(size).numel()).reshape(size) for size in sizes)
    return model(shape.to(device), expression.to(device), pose.to(device)).cpu()


@torch.no_grad()
def _checked(tracker: ParameterTracker, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
    found = tracker.estimate(images, tuple(faces))
    if len(found) != len(images):
        raise InputError(f"estimate() returned {len(found)} frames of parameters for {len(images)} pictures.")
    if not isinstance(found.camera, PerFrame):
        raise InputError(f"estimate() returned a {type(found.camera).__name__} as camera, which is no PerFrame.")
    pictured = tuple(images.shape[2:])
    if tuple(found.canvas) != pictured:
        raise InputError(
            f"estimate() answered in pixels of a canvas of {found.canvas} (height, width), but the pictures have "
            f"{pictured}; move the parameters there."
        )
    for name, values in vars(found.camera).items():
        check_finite(f"FaceParameters.camera.{name}", values)
    return replace(found).to("cpu")  # which looks for NaN again: copies are made without


def joined(parts: Sequence[FaceParameters]) -> FaceParameters:
    """The frames of all parts, at least one; the canvas is that of the first. A single part is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    cameras = [part.camera for part in parts if isinstance(part.camera, PerFrame)]  # which was checked
    return FaceParameters(
        shape=torch.cat([part.shape for part in parts]),
        expression=torch.cat([part.expression for part in parts]),
        pose=torch.cat([part.pose for part in parts]),
        camera=_stacked(cameras),
        box=_stacked([part.box for part in parts]),
        canvas=parts[0].canvas,
        gaze=_stacked_if_any([part.gaze for part in parts]),
        eyelids=_stacked_if_any([part.eyelids for part in parts]),
    )


def _stacked(parts: Sequence[PerFrameT]) -> PerFrameT:
    stacked = copy(parts[0])
    vars(stacked).update({name: torch.cat([vars(part)[name] for part in parts]) for name in vars(stacked)})
    return stacked


def _stacked_if_any(parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None
