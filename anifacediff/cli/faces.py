"""Finding the two faces that every command starts from."""

from collections.abc import Generator, Iterator, Sequence
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
    Motion,
    TrackedClip,
    TrackedImage,
    Tracker,
    default_tracker,
    read_motion,
    track_clip,
    track_image,
)
from anifacediff.tracking.motion_files import SUFFIX


@dataclass(frozen=True)
class DriverRequest:
    """Whose face moves, and how it is followed; the fields are the command line's options."""

    path: Path
    face: int | None = None
    missing: Missing = "interpolate"
    smooth: float = 1.0
    fps: float | None = None
    tracker: str | None = None

    @property
    def tracked(self) -> bool:
        """Whether the face was followed before: the file is a motion."""
        return self.path.suffix.lower() == SUFFIX


@dataclass(frozen=True)
class Request:
    """Where the two faces are; the fields are the command line's options."""

    reference: Path
    face: int | None
    box: str | None
    driver: DriverRequest


@dataclass(frozen=True)
class NamedModel:
    """A face model that can be fitted, and its registered name."""

    name: str
    model: LandmarkedModel


@dataclass(frozen=True)
class Media:
    """The two inputs, readable.

    Attributes:
        picture: h w 3, the reference.
        driver: the driving clip, or the motion that was tracked in one before.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    driver: VideoSource | Motion


@dataclass(frozen=True)
class Faces:
    """The two faces.

    Attributes:
        picture: h w 3, the whole reference.
        driver: the driving clip, or the motion that was tracked in one before.
        reference: the avatar's face.
        driving: the driver's face in every frame.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    driver: VideoSource | Motion
    reference: TrackedImage
    driving: TrackedClip

    def driver_pictures(self, height: int) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], ...]]:
        """For each frame the driver's crop, or nothing if there is no clip."""
        if isinstance(self.driver, Motion):
            yield from ((),) * len(self.driving.parameters)
            return
        for number, frame in enumerate(self.driver):
            yield (self.driving.crop_at(number).apply(frame, height),)


def open_media(request: Request) -> Media:
    """Read the reference and look into the driving clip: before anything that takes long."""
    return Media(read_image(request.reference), open_driver(request.driver))


def open_driver(request: DriverRequest) -> VideoSource | Motion:
    """Open a driving clip, or read a motion, whose name ends in ``.safetensors``.

    Raises:
        InputError: if it cannot be read, or a motion is to be followed in another way.
    """
    if request.tracked:
        if request != DriverRequest(request.path, tracker=request.tracker):
            raise InputError(
                f"{request.path}: is a motion, tracked before; give --driving-face, --missing, --smooth and --fps to "
                "anifacediff track."
            )
        return read_motion(request.path)
    return VideoSource(request.path, fps=_exact(request.fps))


def sound_of(driver: VideoSource | Motion) -> Path | None:
    """The file whose sound belongs to the driver; a motion has none."""
    return driver.path if isinstance(driver, VideoSource) else None


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
    driver = replace(request.driver, path=Path(clip), face=None)
    if driver.tracked:
        driver = DriverRequest(driver.path, tracker=driver.tracker)
    return replace(request, face=index, box=None if face.isdecimal() else face, driver=driver)


def cast_requests(first: Request, drivers: Sequence[str]) -> list[Request]:
    """The requests for every face that moves.

    Args:
        first: for the first face.
        drivers: for the others, see :func:`another_driver`.

    Raises:
        InputError: if a text cannot be understood, or names a face that has a driver.
    """
    requests = [first]
    taken: set[tuple[int | None, str | None]] = {(first.face or 0, None) if first.box is None else (None, first.box)}
    for text in drivers:
        request = another_driver(first, text)
        place = request.face, request.box
        if place in taken:
            raise InputError(f"--driver {text}: this face of {first.reference} has a driver already; name another one.")
        taken.add(place)
        requests.append(request)
    return requests


def find_faces(request: Request, media: Media, model: NamedModel, image_size: int, margin: float = 1.8) -> Faces:
    """Track the reference and the driving clip, telling the user how it went.

    Args:
        request: the options.
        media: what :func:`open_media` returned.
        model: the morphable model that is fitted.
        image_size: height and width of the crops in pixels.
        margin: side of the crops over the size of a face.

    Raises:
        InputError: if a face is not found, or a motion is of another model.
    """
    tracker = _tracker(request.driver.tracker)
    told = tracker if request.box is None else ManualBox(_landmark_detector(tracker), _rectangle(request.box))
    with _naming(request.reference):
        reference = track_image(
            media.picture, tracker=told, model=model.model, face=request.face, margin=margin, image_size=image_size
        )
    driving = _driving(request.driver, media.driver, model, image_size, margin)
    return Faces(media.picture, media.driver, reference, driving)


def find_driver(
    request: DriverRequest, source: VideoSource, model: LandmarkedModel, image_size: int, margin: float
) -> TrackedClip:
    """Track a driving clip alone; arguments as for :func:`find_faces`."""
    with _naming(request.path):
        driving = track_clip(
            progress(source, "Tracking the driving clip", source.num_frames),
            tracker=_tracker(request.tracker),
            model=model,
            face=request.face,
            missing=request.missing,
            smoothing=request.smooth,
            margin=margin,
            image_size=image_size,
        )
    note(f"{request.path.name}: {driving.report}.")
    return driving


def _driving(
    request: DriverRequest, driver: VideoSource | Motion, model: NamedModel, image_size: int, margin: float
) -> TrackedClip:
    if isinstance(driver, VideoSource):
        return find_driver(request, driver, model.model, image_size, margin)
    with _naming(request.path):
        driver.check_model(model.name)
    return driver.clip


def _tracker(name: str | None) -> Tracker:
    return default_tracker() if name is None else registry.trackers[name]()


def landmarked_model(name: str) -> NamedModel:
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
    return NamedModel(name, model)


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
