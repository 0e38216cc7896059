"""Checks of the faces that a tracker finds."""

from typing import Any

import numpy as np

from anifacediff.testing.checks import require
from anifacediff.testing.pictured import PicturedCase, found_faces
from anifacediff.tracking.contracts import DetectedFace, Tracker


def finds_the_face(case: PicturedCase) -> None:
    """It is a Tracker, and answers the picture with a tuple of faces."""
    tracker: Any = case.made()
    require(isinstance(tracker, Tracker), f"{type(tracker).__name__} cannot be called with a picture.")
    faces: Any = tracker(case.shown)
    require(
        isinstance(faces, tuple) and all(isinstance(face, DetectedFace) for face in faces),
        f"expected a tuple of DetectedFace, found {type(faces).__name__}: {faces!r:.80}.",
    )
    require(
        faces,
        "no face was found in the picture; give one in which the tracker finds a face: TrackerCase(..., picture=...).",
    )


def faces_are_finite_and_in_the_picture(case: PicturedCase) -> None:
    """Boxes and landmarks are finite, boxes are not empty, and faces lie in the picture or beside its edge."""
    height, width = case.shown.shape[:2]
    for face in found_faces(case):
        numbers = np.array([*face.box, *face.landmarks.flat])
        require(np.isfinite(numbers).all(), f"box {face.box} or landmarks hold NaN or infinity; drop such a face.")
        left, top, right, bottom = face.box
        require(left < right and top < bottom, f"box {face.box}: expected left < right and top < bottom.")
        x, y = np.concatenate([face.landmarks, np.reshape(face.box, (2, 2))]).T
        near = (x > -width / 2) & (x < 1.5 * width) & (y > -height / 2) & (y < 1.5 * height)
        require(
            near.all(),
            f"{int((~near).sum())} points lie more than half a picture outside of {width} x {height} pixels; answer in "
            "pixels of the picture given, also if a smaller one is searched.",
        )


def landmarks_are_in_the_ibug_order(case: PicturedCase) -> None:
    """Left eye, right eye, mouth and chin of the first face are where an upright face has them."""
    points = found_faces(case)[0].landmarks
    left_eye, right_eye, mouth = points[36:42].mean(0), points[42:48].mean(0), points[48:68].mean(0)
    require(
        left_eye[0] < right_eye[0],
        "landmarks 36-41 should be the eye at the picture's left, 42-47 the one at its right; they are swapped.",
    )
    require(
        max(left_eye[1], right_eye[1]) < mouth[1] < points[8, 1],
        "eyes (36-47), mouth (48-67) and chin (8) should follow from top to bottom; y points down, in pixels.",
    )


def is_deterministic(case: PicturedCase) -> None:
    """The same picture has the same faces, also for a tracker that is built again and one that saw another picture."""
    tracker, again = case.made(), case.made()
    first = tracker(case.shown)
    tracker(np.zeros((32, 48, 3), np.uint8))
    for second in (tracker(case.shown), again(case.shown)):
        require(_alike(first, second), "the same picture gave other faces; a tracker keeps nothing between pictures.")


def takes_any_memory_layout(case: PicturedCase) -> None:
    """Pictures that are views of others, not contiguous, or read-only, have the same faces, and are not written to."""
    tracker, shown = case.made(), case.shown
    view = np.repeat(shown, 2, axis=1)[:, ::2]
    frozen = shown.copy()
    frozen.setflags(write=False)
    layouts = {"a view": view, "Fortran order": np.asfortranarray(shown), "read-only memory": frozen}
    expected = tracker(shown)
    for layout, picture in layouts.items():
        require(
            _alike(expected, tracker(picture)),
            f"a picture in {layout} has other faces; call np.ascontiguousarray(image) first.",
        )
        require(np.array_equal(picture, shown), f"the tracker changed the picture given (in {layout}); copy it.")


def pictures_without_a_face_raise_nothing(case: PicturedCase) -> None:
    """Empty, tiny and long pictures are answered by a tuple, which may be empty."""
    tracker = case.made()
    for height, width in ((64, 64), (1, 1), (16, 200)):
        faces: Any = tracker(np.full((height, width, 3), 90, np.uint8))
        require(
            isinstance(faces, tuple),
            f"a grey picture of {height} x {width} pixels gave a {type(faces).__name__}; no face is an empty tuple.",
        )


def largest_face_comes_first(case: PicturedCase) -> None:
    """Boxes become smaller from face to face, also beside a second, smaller copy of the picture."""
    shown = case.shown
    small = np.zeros_like(shown)
    half = shown[::2, ::2]
    small[: len(half), : half.shape[1]] = half
    faces = case.made()(np.concatenate([small, shown], axis=1))
    areas = [(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for face in faces]
    require(areas == sorted(areas, reverse=True), f"the boxes have areas {areas}; sort the faces, the largest first.")


def _alike(first: tuple[DetectedFace, ...], second: tuple[DetectedFace, ...]) -> bool:
    return len(first) == len(second) and all(
        a.box == b.box and np.array_equal(a.landmarks, b.landmarks) for a, b in zip(first, second, strict=True)
    )
