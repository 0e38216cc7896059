"""Tracked motion as a file: a driver that can be replayed without its video."""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from anifacediff import __version__
from anifacediff.errors import InputError, MediaError, OutputError
from anifacediff.geometry.faces import Box, Camera, FaceParameters, WeakPerspective
from anifacediff.geometry.perspective import Perspective
from anifacediff.media.crop import SquareCrop
from anifacediff.media.writer import check_writable
from anifacediff.shapes import Tensor, check_finite, check_shape
from anifacediff.tracking.shots import Shot
from anifacediff.tracking.track import TrackedClip, TrackingReport

SUFFIX = ".safetensors"
"""Of the files."""

_HEADER = "anifacediff.motion"
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


def check_motion_path(path: str | os.PathLike[str], *, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Check, before long work, that a motion can be written.

    Args:
        path: the file.
        inputs: files and folders that must not be overwritten.

    Raises:
        OutputError: if its name does not end in ``.safetensors``, or as
            :func:`~anifacediff.media.check_writable` does.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise OutputError(f"{path}: a motion is written to a file whose name ends in {SUFFIX}.")
    check_writable(path, inputs=inputs, suffixes=(SUFFIX,))


def write_motion(path: str | os.PathLike[str], motion: Motion) -> None:
    """Write a motion; the file appears whole or not at all, and an existing one is replaced.

    It is a safetensors file: one tensor for each field of the parameters, and facts as JSON in its header.

    Raises:
        InputError: if the camera is none of ours.
        OutputError: if it cannot be written, or its name does not end in ``.safetensors``.
    """
    check_motion_path(path)
    path = Path(path)
    parameters = motion.clip.parameters
    if type(parameters.camera).__name__ not in _CAMERAS:
        raise InputError(f"camera: a {type(parameters.camera).__name__} cannot be written to a file.")
    header = {_HEADER: json.dumps(_facts(motion))}
    tensors = {name: values.cpu().contiguous() for name, values in _tensors(motion.clip).items()}
    try:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=path.parent) as folder:
            partial = Path(folder, path.name)
            save_file(tensors, partial, header)
            os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: the motion cannot be written ({error}).") from error


def read_motion(path: str | os.PathLike[str]) -> Motion:
    """Read what :func:`write_motion` wrote, bit for bit.

    Raises:
        MediaError: if the file is missing, truncated, of another kind, or says something impossible.
    """
    if not os.path.isfile(path):
        raise MediaError(f"{path}: there is no such file.")
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()} if header else {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MediaError(f"{path}: no readable motion ({error}). Is the file complete?") from error
    if header is None:
        raise MediaError(f"{path}: this is a safetensors file, but no motion; `anifacediff track` writes those.")
    try:
        return _motion(json.loads(header), tensors)
    except (ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
        told = f"{error!r}" if isinstance(error, KeyError) else str(error)
        raise MediaError(f"{path}: the motion is damaged, or from another version: {told}") from error


def _facts(motion: Motion) -> dict[str, Any]:
    clip = motion.clip
    return {
        "format": _FORMAT,
        "made_with": {"anifacediff": __version__, "torch": torch.__version__},
        "fps": str(motion.fps.limit_denominator(1_000_000)),
        "model": motion.model,
        "camera": type(clip.parameters.camera).__name__,
        "canvas": list(clip.parameters.canvas),
        "crop": asdict(clip.crop),
        "later_shots": [asdict(shot) for shot in clip.later_shots],
        "missing": list(clip.report.missing),
        "filled_by": clip.report.filled_by,
    }


def _tensors(clip: TrackedClip) -> dict[str, Tensor]:
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


def _motion(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Motion:
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
    if not re.fullmatch(r"[0-9]{1,9}(/[0-9]{1,9})?", text) or not 0 < Fraction(text) <= _FASTEST:
        raise ValueError(f"{text[:30]!r} frames per second make no sense.")
    return Fraction(text)


def _ascending(found: list[int], allowed: range) -> tuple[int, ...]:
    if found != sorted(set(found)) or not all(type(number) is int and number in allowed for number in found):
        raise ValueError(f"{found[:5]} ... are no ascending numbers of frames.")
    return tuple(found)
