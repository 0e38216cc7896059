"""One animation from its files to the finished video, shown while it is made."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.assemblies.face_finder import FaceFinder
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.assemblies.recorded import record_of
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media import VideoSource, VideoWriter, read_image
from anifacediff.provenance import Record, SpreadMark
from anifacediff.sampling import sampling_options
from anifacediff.tracking import TrackedClip, Tracker
from anifacediff.tracking.fit import projected_landmarks
from anifacediff.web.clip import frames_within, open_clip
from anifacediff.web.order import Order, Progress, Tell

Picture = UInt8[np.ndarray, "_ _ 3"]

_WINDOW = 4  # frames
_DOT = 1.5  # radius in pixels of a landmark
_DOT_COLOUR = (64, 255, 160)


@dataclass(frozen=True)
class Animator:
    """Makes animations, one at a time; all have the open mark and a record of where they come from.

    Attributes:
        pipe: what draws them.
        tracker: finds faces.
        longest: of driving clips, in seconds.
    """

    pipe: AnimationPipeline
    tracker: Tracker
    longest: float

    def __call__(self, order: Order, folder: Path, tell: Tell) -> None:
        """Make one, into a folder.

        Args:
            order: what is asked for; its model is not looked at.
            folder: of the result.
            tell: is shown every state, the last with the result.

        Raises:
            AniFaceDiffError: whatever there is to say about the files and settings.
        """
        picture, screen = read_image(order.reference), _Screen(tell)
        screen("Opening the clip")
        clip = open_clip(order.driving, self.longest, screen.again)
        options = {**sampling_options(self.pipe, order.preset, order.steps), **self._windows()}
        finder = FaceFinder.of(self.pipe, self.tracker)
        screen("Looking for the face in the picture")
        reference = finder.in_picture(picture, face=order.face)
        screen("The face in the picture is found", avatar=_marked(reference.image, finder.model, reference.parameters))
        driving = finder.in_clip(self._watched(clip, screen), face=order.driving_face)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UntrainedWarning)  # the page says so
            frames = self.pipe.stream(
                reference,
                driving.parameters,
                start=order.start,
                seed=order.seed,
                on_window=screen.drawing,
                mark=SpreadMark(),
                **options,
            )
        result = folder / "animated.mp4"
        with VideoWriter(result, clip.fps, audio_from=clip.path, notes=self._record(order)) as writer:
            for frame, driver in zip(frames, _drivers(clip, driving, finder), strict=True):
                writer.write(frame.image)
                screen("Drawing", driver=driver, control=frame.control, result=frame.image)
        number, unseen = len(driving.parameters), len(driving.report.missing)
        screen(f"Done. The face was found in {number - unseen} of {number} frames.", 1.0, finished=result)

    def _record(self, order: Order) -> Record:
        inputs = {"reference": order.reference, "driving": order.driving}
        settings = {"seed": order.seed, "steps": order.steps, "preset": order.preset, "start": order.start}
        return record_of(self.pipe, inputs, settings, mark="spread")

    def _windows(self) -> dict[str, Any]:
        """Where frames do not see each other, small windows give the same frames, sooner."""
        return {} if "motion_max_seq_length" in self.pipe.unet.config else {"window_size": _WINDOW, "overlap": 0}

    def _watched(self, clip: VideoSource, screen: "_Screen") -> Iterator[Picture]:
        """The frames of a clip, which is seen as it passes."""
        total = clip.num_frames
        for number, frame in enumerate(frames_within(clip, self.longest)):
            screen("Following the face in the clip", number / total if total else None, driver=frame)
            yield frame


class _Screen:
    """What is to be seen: pictures and the share that is done stay until there are others."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._last = Progress("")

    def __call__(
        self, text: str, share: float | None = None, *, finished: Path | None = None, **pictures: Picture
    ) -> None:
        share = self._last.share if share is None else share
        self._last = Progress(text, share, {**self._last.pictures, **pictures}, finished)
        self.again()

    def again(self) -> None:
        """Tell what was told last, which ends the work if nobody waits for it."""
        self._tell(self._last)

    def drawing(self, done: int, total: int) -> None:
        """Tell how many windows are evaluated."""
        self("Drawing", done / total)


def _drivers(clip: VideoSource, driving: TrackedClip, finder: FaceFinder) -> Iterator[Picture]:
    """The driver's face in every frame, with what was found of it."""
    for number, frame in enumerate(clip):
        picture = driving.crop_at(number).apply(frame, finder.image_size)
        yield _marked(picture, finder.model, driving.parameters[number : number + 1])


def _marked(picture: Picture, model: LandmarkedModel, parameters: FaceParameters) -> Picture:
    """A face crop with the landmarks of the fitted model."""
    marked = Image.fromarray(picture)
    draw = ImageDraw.Draw(marked)
    for x, y in projected_landmarks(model, parameters)[0].tolist():
        draw.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=_DOT_COLOUR)
    return np.array(marked)
