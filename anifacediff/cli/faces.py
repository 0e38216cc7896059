"""Finding the two faces that every command starts from."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff import registry
from anifacediff.cli.options import Missing
from anifacediff.cli.report import note, progress
from anifacediff.errors import InputError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.media.images import read_image
from anifacediff.media.video import VideoSource
from anifacediff.tracking import (
    LandmarkDetector,
    ManualBox,
    TrackedClip,
    TrackedImage,
    Tracker,
    default_tracker,
    track_clip,
    track_image,
)


@dataclass(frozen=True)
class Request:
    """Where the faces are, and how they are followed; the fields are the command line's options."""

    reference: Path
    driving: Path
    face: int | None
    box: str | None
    driving_face: int | None
    missing: Missing
    smooth: float
    fps: float | None
    tracker: str | None


@dataclass(frozen=True)
class Media:
    """The two inputs, readable.

    Attributes:
        picture: h w 3, the reference.
        source: the driving clip.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    source: VideoSource


@dataclass(frozen=True)
class Faces:
    """The two faces.

    Attributes:
        picture: h w 3, the whole reference.
        source: the driving clip.
        reference: the avatar's face.
        driving: the driver's face in every frame.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    source: VideoSource
    reference: TrackedImage
    driving: TrackedClip


def open_media(request: Request) -> Media:
    """Read the reference and look into the driving clip: before anything that takes long."""
    return Media(read_image(request.reference), VideoSource(request.driving, fps=_exact(request.fps)))


def another_driver(request: Request, text: str) -> Request:
    """The request for another face of the same reference.

    Args:
        request: for the first face.
        text: ``FACE=CLIP``; FACE is an index or a box, as for the first face.

    Raises:
        InputError: if the text is of another form.
    """
    face, equals, clip = text.partition("=")
    if not (face and equals and clip):
        raise InputError(f"--driver {text}: expected FACE=CLIP, such as 1=other.mp4, or LEFT,TOP,RIGHT,BOTTOM=CLIP.")
    index = int(face) if face.isdecimal() else None
    return replace(request, driving=Path(clip), face=index, box=None if face.isdecimal() else face, driving_face=None)


def find_faces(request: Request, media: Media, model: LandmarkedModel, image_size: int, margin: float = 1.8) -> Faces:
    """Track the reference and the driving clip, telling the user how it went.

    Args:
        request: the options.
        media: what :func:`open_media` returned.
        model: the morphable model that is fitted.
        image_size: height and width of the crops in pixels.
        margin: side of the crops over the size of a face.
    """
    source = media.source
    tracker = default_tracker() if request.tracker is None else registry.trackers[request.tracker]()
    told = tracker if request.box is None else ManualBox(_landmark_detector(tracker), _rectangle(request.box))
    with _naming(request.reference):
        reference = track_image(
            media.picture, tracker=told, model=model, face=request.face, margin=margin, image_size=image_size
        )
    with _naming(request.driving):
        driving = track_clip(
            progress(source, "Tracking the driving clip", source.num_frames),
            tracker=tracker,
            model=model,
            face=request.driving_face,
            missing=request.missing,
            smoothing=request.smooth,
            margin=margin,
            image_size=image_size,
        )
    note(f"{request.driving.name}: {driving.report}.")
    return Faces(media.picture, source, reference, driving)


def landmarked_model(name: str) -> LandmarkedModel:
    """Build a registered morphable model that can be fitted to landmarks.

    Raises:
        InputError: if it has no landmarks.
    """
    model = registry.morphable_models[name]()
    if not isinstance(model, LandmarkedModel):
        raise InputError(
            f"--morphable-model {name}: {type(model).__name__} cannot be fitted to a face; for that a face model needs "
            "the members of anifacediff.geometry.LandmarkedModel, its method landmarks among them."
        )
    return model


def find_device(name: str | None) -> torch.device:
    """The device asked for, or the best one found.

    Raises:
        InputError: if there is no such device.
    """
    if name is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: cannot be used here ({_first_line(error)}). Try --device cpu.") from error
    return device


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Put the file's name before what is said about its faces."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _landmark_detector(tracker: Tracker) -> LandmarkDetector:
    if not isinstance(tracker, LandmarkDetector):
        raise InputError(f"--box: the tracker {type(tracker).__name__} cannot place landmarks inside a given box.")
    return tracker


def _rectangle(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"--box {text}: expected LEFT,TOP,RIGHT,BOTTOM in pixels, such as 120,80,340,330.") from None
    if not (left < right and top < bottom):
        raise InputError(f"--box {text}: the box is empty; give LEFT,TOP,RIGHT,BOTTOM in pixels.")
    return left, top, right, bottom


def _exact(fps: float | None) -> Fraction | None:
    return None if fps is None else Fraction(fps).limit_denominator(1001)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
