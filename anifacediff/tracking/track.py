"""From an image or a clip to the parameters of the face it shows, in pixels of one square crop."""

from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.errors import InputError, NoFaceError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.media.cuts import SceneCuts
from anifacediff.media.images import check_picture
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.choice import IN_CLIP, IN_IMAGE, choose, name_of, search, size_of
from anifacediff.tracking.contracts import DetectedFace, ParameterTracker, Tracker
from anifacediff.tracking.estimates import Estimates, joined, reads
from anifacediff.tracking.fit import LandmarkFit, reprojection_error
from anifacediff.tracking.follower import FaceFollower
from anifacediff.tracking.gaps import Gaps, Missing
from anifacediff.tracking.shots import Shot, shot_crops, shot_spans
from anifacediff.tracking.smoothing import smooth_parameters
from anifacediff.tracking.tracked import TrackedClip, TrackedImage, TrackingReport, ranges

Picture = UInt8[np.ndarray, "h w 3"]


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
    found = search(tracker, image, "the image")
    if not found:
        raise NoFaceError(f"No face was found in the image {size_of(image)} by {name_of(tracker)}. {IN_IMAGE}")
    chosen = choose(found, face, f"the image {size_of(image)}", option="--face")
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
            f"model: {name_of(tracker)} finds landmarks and no parameters; say which model is to be fitted to them."
        )
    if not isinstance(tracker.model, LandmarkedModel):
        raise InputError(
            f"tracker: {name_of(tracker)} reads parameters of a {type(tracker.model).__name__}, which has no landmarks "
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
        raise NoFaceError(f"No face was found in any of {len(faces)} frames. {IN_CLIP}")
    if absent and missing == "raise":
        raise NoFaceError(
            f"No face was found in {len(absent)} of {len(faces)} frames: {ranges(absent)}. "
            f"Fill them with missing='interpolate' or 'hold', or leave them out. {IN_CLIP}"
        )
    return absent


def _check_missing(missing: str) -> None:
    if missing not in get_args(Missing):
        raise InputError(f"missing: expected one of {', '.join(get_args(Missing))}; found {missing!r}.")
