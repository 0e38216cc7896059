"""From an image or a clip to the parameters of the face it shows, in pixels of one square crop."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray

from anifacediff.errors import InputError, NoFaceError, SeveralFacesError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import Box, FaceParameters
from anifacediff.media.crop import SquareCrop
from anifacediff.media.cuts import SceneCuts
from anifacediff.media.images import check_picture
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.contracts import DetectedFace, FaceRectangle, ParameterTracker, Tracker
from anifacediff.tracking.estimates import Estimates, joined, reads
from anifacediff.tracking.fit import LandmarkFit, reprojection_error
from anifacediff.tracking.gaps import Gaps, Missing
from anifacediff.tracking.shots import Shot, shot_crops, shot_spans
from anifacediff.tracking.smoothing import smooth_parameters

Picture = UInt8[np.ndarray, "h w 3"]
Unchecked = NDArray[Any]

_BY_HAND = (
    "Try another picture, or say where the face is: for a reference image --box on the command line; in Python "
    "anifacediff.tracking.ManualBox, or its landmarks (ManualTracker, track_faces), or ready FaceParameters."
)


@dataclass(frozen=True)
class TrackedImage:
    """The face of one image.

    Attributes:
        image: the crop, RGB.
        crop: where it lies in the image.
        parameters: one frame, in pixels of the crop.
        reprojection_error: mean distance of the fitted landmarks from the found ones, as a share of the face's width.
    """

    image: UInt8[np.ndarray, "size size 3"]
    crop: SquareCrop
    parameters: FaceParameters
    reprojection_error: float


@dataclass(frozen=True)
class TrackingReport:
    """How well a clip was tracked.

    Attributes:
        missing: numbers of the frames in which the face was not found, from 0.
        filled_by: how their landmarks were made up: ``"interpolate"`` or ``"hold"``.
        reprojection_error: f, mean distance of the final parameters' landmarks from the found (or made up)
            ones, as a share of the face's width.
    """

    missing: tuple[int, ...]
    filled_by: Missing
    reprojection_error: Float[Tensor, "f"]

    def __str__(self) -> str:
        frames, error = len(self.reprojection_error), 100 * self.reprojection_error
        off = f"landmarks off by {error.mean():.1f} % of its width, at most {error.max():.1f} %"
        found = f"face found in {frames - len(self.missing)} of {frames} frames"
        filled = f" (frames {_ranges(self.missing)} filled by {self.filled_by!r})" if self.missing else ""
        return f"{found}{filled}; {off}"


@dataclass(frozen=True)
class TrackedClip:
    """The face of a clip.

    Attributes:
        crop: where the crop lies in the frames of the first shot, which is the whole clip if there are no scene cuts.
        parameters: one row for each frame, in pixels of its shot's crop.
        report: frames without a face, and the error of the fit.
        later_shots: those after the first scene cut, in order.
    """

    crop: SquareCrop
    parameters: FaceParameters
    report: TrackingReport
    later_shots: tuple[Shot, ...] = ()

    def crop_at(self, frame: int) -> SquareCrop:
        """Where the crop lies in a frame, given by its number; cut it with ``crop_at(n).apply(image, image_size)``."""
        begun = [shot.crop for shot in self.later_shots if shot.first <= frame]
        return begun[-1] if begun else self.crop

    def boxes(self) -> Box:
        """The face boxes of all frames, in pixels of the frames."""
        size = self.parameters.canvas[0]
        shots = (Shot(0, self.crop), *self.later_shots)
        ends = [*(shot.first for shot in self.later_shots), len(self.parameters)]
        corners = [
            self.parameters.box[shot.first : end].moved(shot.crop.from_crop(size)).corners
            for shot, end in zip(shots, ends, strict=True)
        ]
        return Box(torch.cat(corners))


def track_image(
    image: Picture,
    *,
    tracker: Tracker,
    model: LandmarkedModel | None = None,
    face: int | None = None,
    margin: float = 1.8,
    image_size: int = 256,
) -> TrackedImage:
    """Find the face of an image, cut it out and fit a model to it.

    Args:
        image: h w 3, RGB.
        tracker: finds faces; see :func:`~anifacediff.tracking.default_tracker`. One that reads this model's parameters
            itself (a :class:`ParameterTracker`) is asked for them, and nothing is fitted.
        model: fitted to the landmarks; may be left out if the tracker reads parameters of its own model.
        face: which face, the largest is 0; needed where there are several.
        margin: side of the crop over the face's size, see :meth:`SquareCrop.around`; 1.8 shows the whole head.
        image_size: height and width of the crop in pixels.

    Raises:
        NoFaceError: if there is none.
        SeveralFacesError: if there are several and ``face`` is not given.
        InputError: if ``face`` is no index of a face, no model is known, or the tracker's estimate cannot be used.
    """
    model, estimates = _reading(tracker, model)
    found = _search(tracker, image, "the image")
    if not found:
        raise NoFaceError(f"No face was found in the image {_size(image)} by {_name(tracker)}. {_BY_HAND}")
    chosen = _choose(found, face, f"the image {_size(image)}", option="--face")
    height, width = image.shape[:2]
    if estimates is not None:
        estimates.add(0, image, chosen)
    tracked = _track(
        [chosen],
        estimates,
        cuts=(),
        model=model,
        missing="raise",
        smoothing=0.0,
        margin=margin,
        image_size=image_size,
        frame_size=(height, width),
    )
    error = float(tracked.report.reprojection_error[0])
    return TrackedImage(tracked.crop.apply(image, image_size), tracked.crop, tracked.parameters, error)


def track_clip(
    frames: Iterable[Picture],
    *,
    tracker: Tracker,
    model: LandmarkedModel | None = None,
    face: int | None = None,
    missing: Missing = "interpolate",
    smoothing: float = 1.0,
    margin: float = 1.8,
    image_size: int = 256,
    find_cuts: bool = True,
) -> TrackedClip:
    """Follow one face through a clip and fit a model to it; the frames are read once and not kept.

    Each shot between two scene cuts has a crop of its own; smoothing and the filling of gaps do not cross a cut, and
    after it the nearest face is followed, however far away.

    Args:
        frames: f of h w 3, RGB. For a progress bar wrap them, for instance in ``rich.progress.track``.
        tracker: finds faces; see :func:`~anifacediff.tracking.default_tracker`. One that reads this model's parameters
            itself (a :class:`ParameterTracker`) is asked for them, a few frames at a time, and nothing is fitted; then
            each frame has the identity that the tracker reads off it.
        model: fitted to the landmarks; may be left out if the tracker reads parameters of its own model.
        face: which face of the first frame that shows any, the largest is 0; needed where there are several.
        missing: what to do about frames without the face, see :func:`track_faces`.
        smoothing: strength in frames, see :func:`smooth_parameters`; 0 is off.
        margin: side of the crop over the face's size, see :meth:`SquareCrop.around`; 1.8 shows the whole head.
        image_size: height and width of the crop in pixels.
        find_cuts: whether to look for scene cuts, see :class:`~anifacediff.media.SceneCuts`.

    Raises:
        NoFaceError: if no frame shows a face, or one does not and ``missing`` is ``"raise"``.
        SeveralFacesError: if there are several and ``face`` is not given.
        InputError: if there are no frames, ``face`` is no index of a face, ``missing`` is another word, no model is
            known, or the tracker's estimate of a frame cannot be used.
    """
    _check_missing(missing)
    model, estimates = _reading(tracker, model)
    follower = FaceFollower(tracker, face)
    begins_shot = SceneCuts() if find_cuts else _never
    cuts: list[int] = []
    faces: list[DetectedFace | None] = []
    for number, image in enumerate(frames):
        check_picture(f"frame {number}", image)
        if begins_shot(image):
            cuts.append(number)
            follower.look_everywhere()
        faces.append(follower(image))
        if estimates is not None:
            estimates.add(number, image, faces[-1])
    follower.check()
    return _track(
        faces,
        estimates,
        cuts=cuts,
        model=model,
        missing=missing,
        smoothing=smoothing,
        margin=margin,
        image_size=image_size,
        frame_size=follower.frame_size,
    )


def track_faces(
    faces: Sequence[DetectedFace | None],
    *,
    model: LandmarkedModel,
    missing: Missing = "interpolate",
    smoothing: float = 1.0,
    margin: float = 1.8,
    image_size: int = 256,
    frame_size: tuple[int, int] | None = None,
    cuts: Sequence[int] = (),
) -> TrackedClip:
    """Fit a model to the faces of a clip that were found before, or given by hand.

    The crop is one square for a whole shot, so movements and zooms inside it survive; see
    :func:`~anifacediff.tracking.shots.shot_crops`.

    Args:
        faces: one for each frame, in pixels of the frames; None where the face is not seen.
        model: fitted to the landmarks.
        missing: landmarks of frames without a face are interpolated between the neighbours (``"interpolate"``)
            or repeated (``"hold"``); before the first and after the last face they are repeated. ``"raise"`` refuses.
        smoothing: strength in frames, see :func:`smooth_parameters`; 0 is off.
        margin: side of the crop over the face's size, see :meth:`SquareCrop.around`; 1.8 shows the whole head.
        image_size: height and width of the crop in pixels.
        frame_size: height and width of the frames in pixels; if given, the crop is moved, and shrunk down to a
            margin of 1.25, so that it shows as little as possible from beyond their edges.
        cuts: numbers of the frames that begin a new shot, without the first.

    Raises:
        NoFaceError: if there is none at all, or one is None and ``missing`` is ``"raise"``.
        InputError: if ``missing`` is another word, or ``cuts`` are no ascending numbers of frames.
    """
    _check_missing(missing)
    if list(cuts) != sorted({cut for cut in cuts if 0 < cut < len(faces)}):
        raise InputError(f"cuts: expected ascending numbers of frames between 1 and {len(faces) - 1}, found {cuts}.")
    return _track(
        faces,
        None,
        cuts=cuts,
        model=model,
        missing=missing,
        smoothing=smoothing,
        margin=margin,
        image_size=image_size,
        frame_size=frame_size,
    )


def _reading(tracker: Tracker, model: LandmarkedModel | None) -> tuple[LandmarkedModel, Estimates | None]:
    """The model, and what collects the tracker's own estimates of it if it makes any."""
    if model is None:
        model = _own_model(tracker)
    return model, Estimates(tracker) if reads(tracker, model) else None


def _own_model(tracker: Tracker) -> LandmarkedModel:
    if not isinstance(tracker, ParameterTracker):
        raise InputError(
            f"model: {_name(tracker)} finds landmarks and no parameters; say which model is to be fitted to them."
        )
    if not isinstance(tracker.model, LandmarkedModel):
        raise InputError(
            f"tracker: {_name(tracker)} reads parameters of a {type(tracker.model).__name__}, which has no landmarks "
            "to compare with those found. Its model needs the members of anifacediff.geometry.LandmarkedModel."
        )
    return tracker.model


def _track(
    faces: Sequence[DetectedFace | None],
    estimates: Estimates | None,
    *,
    cuts: Sequence[int],
    model: LandmarkedModel,
    missing: Missing,
    smoothing: float,
    margin: float,
    image_size: int,
    frame_size: tuple[int, int] | None,
) -> TrackedClip:
    """Arguments as for :func:`track_faces`, and the tracker's own estimates of the frames with a face, if any."""
    absent = _absent(faces, missing)
    seen = [face is not None for face in faces]
    spans = shot_spans(seen, cuts)
    gaps = [Gaps.between(seen[span], missing) for span in spans]
    landmarks = [gap.fill(_landmarks(faces[span])) for gap, span in zip(gaps, spans, strict=True)]
    crops = shot_crops(landmarks, margin, frame_size)
    canvas, ways = (image_size, image_size), [crop.to_crop(image_size) for crop in crops]
    moved = torch.cat([way(marks.float()) for way, marks in zip(ways, landmarks, strict=True)])
    if estimates is None:
        found = LandmarkFit(model)(moved, canvas=canvas)
    else:
        known = estimates.joined()
        rows = [slice(sum(seen[: span.start]), sum(seen[: span.stop])) for span in spans]
        filled = [gap.fill_parameters(known[part]) for gap, part in zip(gaps, rows, strict=True)]
        found = joined([part.moved(way, canvas) for part, way in zip(filled, ways, strict=True)])
        found = found.to(model.triangles.device)
    parameters = joined([smooth_parameters(found[span], smoothing) for span in spans])
    report = TrackingReport(absent, missing, reprojection_error(model, parameters, moved))
    shots = tuple(Shot(span.start, crop) for span, crop in zip(spans, crops, strict=True))
    return TrackedClip(crops[0], parameters, report, shots[1:])


def _landmarks(faces: Sequence[DetectedFace | None]) -> Float[Tensor, "n 68 2"]:
    """Those of the faces that are seen."""
    return torch.stack([torch.from_numpy(face.landmarks) for face in faces if face is not None])


def _never(image: Picture) -> bool:
    return False


def _absent(faces: Sequence[DetectedFace | None], missing: Missing) -> tuple[int, ...]:
    """The frames without a face, if that is allowed."""
    absent = tuple(number for number, face in enumerate(faces) if face is None)
    if len(absent) == len(faces):
        raise NoFaceError(f"No face was found in any of {len(faces)} frames. {_BY_HAND}")
    if absent and missing == "raise":
        raise NoFaceError(
            f"No face was found in {len(absent)} of {len(faces)} frames: {_ranges(absent)}. "
            f"Fill them with missing='interpolate' or 'hold', or leave them out. {_BY_HAND}"
        )
    return absent


class FaceFollower:
    """Finds the chosen face in frame after frame: after the first it is the one nearest to where it was last seen.

    Args:
        tracker: finds all faces of a frame.
        face: which face of the first frame that shows any, the largest is 0; needed where there are several.

    Raises:
        SeveralFacesError: when called, if there are several at first and ``face`` is not given.
        InputError: when called, if ``face`` is no index of a face.
    """

    def __init__(self, tracker: Tracker, face: int | None):
        self.frame_size: tuple[int, int] | None = None
        self._tracker = tracker
        self._face = face
        self._number = 0
        self._last: DetectedFace | None = None
        self._unseen = 0.0  # frames

    def __call__(self, image: Unchecked) -> DetectedFace | None:
        found = _search(self._tracker, image, f"frame {self._number}")
        if self._last is not None:
            chosen = _nearest(found, self._last.box, self._unseen)
        else:
            where = f"frame {self._number} {_size(image)}"
            chosen = _choose(found, self._face, where, option="--driving-face") if found else None
        self.frame_size = image.shape[0], image.shape[1]
        self._number += 1
        self._unseen = 0.0 if chosen is not None else self._unseen + 1
        self._last = chosen or self._last
        return chosen

    def look_everywhere(self) -> None:
        """Say that a new shot begins, in which the face may be anywhere."""
        self._unseen = math.inf

    def check(self) -> None:
        """Raise if there was no frame, or no face in any."""
        if self._number == 0:
            raise InputError("frames: the clip is empty, there is nothing to track. Check the video file.")
        if self._last is None:
            raise NoFaceError(
                f"No face was found in any of {self._number} frames by {_name(self._tracker)}. {_BY_HAND}"
            )


def _check_missing(missing: str) -> None:
    if missing not in get_args(Missing):
        raise InputError(f"missing: expected one of {', '.join(get_args(Missing))}; found {missing!r}.")


def _search(tracker: Tracker, image: Unchecked, where: str) -> tuple[DetectedFace, ...]:
    check_picture(where, image)
    try:
        return tracker(image)
    except InputError as error:  # such as faces of NaN
        raise type(error)(f"{_name(tracker)}, {where}: {error}") from error


def _choose(found: tuple[DetectedFace, ...], face: int | None, where: str, *, option: str) -> DetectedFace:
    if face is None and len(found) == 1:
        return found[0]
    if face is not None and 0 <= face < len(found):
        return found[face]
    listed = "; ".join(f"[{index}] {_box_text(one.box)}" for index, one in enumerate(found))
    how = f"Choose one with face=INDEX (command line: {option} INDEX)"
    if face is None:
        raise SeveralFacesError(f"{len(found)} faces were found in {where}: {listed}. {how}.")
    raise InputError(f"face={face}: {where} shows {len(found)} face(s): {listed}. {how}.")


def _nearest(found: tuple[DetectedFace, ...], box: FaceRectangle, unseen: float) -> DetectedFace | None:
    """The face nearest to ``box``; none if it is farther than a face can move, which grows with frames unseen."""
    x, y, size = _middle(box)
    away = [(np.hypot(_middle(one.box)[0] - x, _middle(one.box)[1] - y), index) for index, one in enumerate(found)]
    if not away:
        return None
    distance, index = min(away)
    return found[index] if distance <= size * (1 + unseen) else None


def _middle(box: FaceRectangle) -> tuple[float, float, float]:
    """The centre of a box, and the mean of its sides."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 2


def _box_text(box: FaceRectangle) -> str:
    left, top, right, bottom = box
    return f"left {left:.0f}, top {top:.0f}, right {right:.0f}, bottom {bottom:.0f}"


def _size(image: Picture) -> str:
    return f"({image.shape[1]}x{image.shape[0]} pixels)"


def _name(tracker: Tracker) -> str:
    return type(tracker).__name__


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in ascending order as text: ``3-5, 9``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups)
