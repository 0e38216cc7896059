"""Tracked motion as plain facts and tensors, which a file can hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from re import fullmatch
from typing import Any

import torch

from anifacediff import __version__
from anifacediff.errors import InputError
from anifacediff.geometry.faces import Box, Camera, FaceParameters, WeakPerspective
from anifacediff.geometry.perspective import Perspective
from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Tensor, check_finite, check_shape
from anifacediff.tracking.shots import Shot
from anifacediff.tracking.tracked import TrackedClip, TrackingReport

_FORMAT = 1
_CAMERAS: Mapping[str, type[WeakPerspective] | type[Perspective]] = {
    camera.__name__: camera for camera in (WeakPerspective, Perspective)
}
_FASTEST = 1000  # frames per second
_LARGEST = 1 << 16  # pixels


@dataclass(frozen=True)
class Motion:
    """What a driver does.

    Attributes:
        clip: the face in every frame.
        fps: frames per second.
        model: registered name of the face model whose coefficients they are.
    """

    clip: TrackedClip
    fps: Fraction
    model: str

    def check_model(self, model: str) -> None:
        """Raise :class:`InputError` if the motion is of another face model than the one that is drawn."""
        if self.model != model:
            raise InputError(
                f"The motion is of the face model {self.model!r}, but {model!r} is drawn here. Track the clip again "
                "for this pipeline (command line: anifacediff track, with the same --model)."
            )


def facts_of(motion: Motion) -> dict[str, Any]:
    """Everything but numbers of frames, as JSON can hold it.

    Raises:
        InputError: if the camera is none of ours.
    """
    camera = type(motion.clip.parameters.camera).__name__
    if camera not in _CAMERAS:
        raise InputError(f"camera: a {camera} cannot be written to a file.")
    clip = motion.clip
    return {
        "format": _FORMAT,
        "made_with": {"anifacediff": __version__, "torch": torch.__version__},
        "fps": str(motion.fps.limit_denominator(1_000_000)),
        "model": motion.model,
        "camera": camera,
        "canvas": list(clip.parameters.canvas),
        "crop": asdict(clip.crop),
        "later_shots": [asdict(shot) for shot in clip.later_shots],
        "missing": list(clip.report.missing),
        "filled_by": clip.report.filled_by,
    }


def tensors_of(clip: TrackedClip) -> dict[str, Tensor]:
    """The numbers of all frames, by name."""
    face = clip.parameters
    optional = {"gaze": face.gaze, "eyelids": face.eyelids}
    return {
        "shape": face.shape,
        "expression": face.expression,
        "pose": face.pose,
        "box": face.box.corners,
        "reprojection_error": clip.report.reprojection_error,
        **{f"camera.{name}": values for name, values in vars(face.camera).items()},
        **{name: values for name, values in optional.items() if values is not None},
    }


def motion_of(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Motion:
    """Put together again what :func:`facts_of` and :func:`tensors_of` took apart.

    Raises:
        ArithmeticError, KeyError, TypeError, ValueError: if something is missing, left over or impossible.
    """
    if facts["format"] != _FORMAT:
        raise ValueError(f"its format is {facts['format']}, this version reads {_FORMAT}.")
    height, width = map(int, facts["canvas"])
    if not (0 < height <= _LARGEST and 0 < width <= _LARGEST):
        raise ValueError(f"a canvas of {width} x {height} pixels makes no sense.")
    fps, model = _speed(facts["fps"]), str(facts["model"])
    parameters = _parameters(_CAMERAS[facts["camera"]], (height, width), tensors)
    error = tensors["reprojection_error"]
    check_shape("reprojection_error", error, "f", len(parameters))
    check_finite("reprojection_error", error)
    if facts["filled_by"] not in ("interpolate", "hold", "raise"):
        raise ValueError(f"frames are filled by {facts['filled_by']!r}, which is unknown.")
    numbers = range(len(parameters))
    report = TrackingReport(_ascending(facts["missing"], numbers), facts["filled_by"], error)
    firsts = _ascending([shot["first"] for shot in facts["later_shots"]], numbers[1:])
    crops = [SquareCrop(**shot["crop"]) for shot in facts["later_shots"]]
    shots = tuple(Shot(first, crop) for first, crop in zip(firsts, crops, strict=True))
    return Motion(TrackedClip(SquareCrop(**facts["crop"]), parameters, report, shots), fps, model)


def _parameters(
    camera: type[WeakPerspective] | type[Perspective], canvas: tuple[int, int], tensors: Mapping[str, Tensor]
) -> FaceParameters:
    names = [f"camera.{field.name}" for field in fields(camera)]
    known = {"shape", "expression", "pose", "box", "reprojection_error", "gaze", "eyelids", *names}
    if unknown := sorted(tensors.keys() - known):
        raise ValueError(f"it holds {', '.join(unknown[:5])}, which no motion has.")
    if strange := sorted({str(values.dtype) for values in tensors.values()} - {"torch.float32", "torch.float64"}):
        raise ValueError(f"it holds numbers of the kind {', '.join(strange)}.")
    if not len(tensors["shape"]):
        raise ValueError("it has no frames.")
    made: Camera = camera(*(tensors[name] for name in names))
    return FaceParameters(
        shape=tensors["shape"],
        expression=tensors["expression"],
        pose=tensors["pose"],
        camera=made,
        box=Box(tensors["box"]),
        canvas=canvas,
        gaze=tensors.get("gaze"),
        eyelids=tensors.get("eyelids"),
    )


def _speed(text: str) -> Fraction:
    """A fraction of digits alone: an exponent could ask for more memory than there is."""
    if not fullmatch(r"[0-9]{1,9}(/[0-9]{1,9})?", text) or not 0 < Fraction(text) <= _FASTEST:
        raise ValueError(f"{text[:30]!r} frames per second make no sense.")
    return Fraction(text)


def _ascending(found: list[int], allowed: range) -> tuple[int, ...]:
    if found != sorted(set(found)) or not all(type(number) is int and number in allowed for number in found):
        raise ValueError(f"{found[:5]} ... are no ascending numbers of frames.")
    return tuple(found)
