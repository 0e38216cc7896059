"""Every check of trackers catches a tracker that is broken in its way."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from broken import complaint, conforms, names

from anifacediff.geometry import Box, FaceParameters, ParametricHead, WeakPerspective
from anifacediff.shapes import Tensor, check_finite
from anifacediff.testing import TrackerCase
from anifacediff.testing.pictured import Picture
from anifacediff.testing.trackers import CHECKS
from anifacediff.tracking import DetectedFace

HEAD = ParametricHead()
SHOWN = np.random.default_rng(0).integers(0, 255, (48, 40, 3), np.uint8)


def neutral(frames: int, height: int, width: int) -> FaceParameters:
    """The built-in head in the middle of pictures."""
    shape, expression = torch.zeros(frames, HEAD.num_shape), torch.zeros(frames, HEAD.num_expression)
    camera = WeakPerspective(torch.full((frames,), 3.0 * height), torch.tensor([[width / 2, height / 2]] * frames))
    box = Box(torch.tensor([[0.0, 0.0, width, height]] * frames))
    return FaceParameters(shape, expression, torch.zeros(frames, 5, 3), camera, box, canvas=(height, width))


def landmarks(face: FaceParameters) -> np.ndarray:
    vertices = HEAD(face.shape, face.expression, face.pose)
    return face.camera.project(HEAD.landmarks(vertices, face.pose))[0, :, :2].double().numpy()


class Middle:
    """A conformant tracker: every picture shows a face, in its middle."""

    model = HEAD

    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        return (DetectedFace.at(landmarks(neutral(1, *image.shape[:2]))),)

    def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
        check_finite("images", images)
        return neutral(len(images), *images.shape[2:])


def test_a_tracker_without_faults_conforms():
    assert conforms(TrackerCase("middle", Middle, picture=SHOWN)) == []


class Blind(Middle):
    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        return ()


class Listing(Middle):
    def __call__(self, image: Picture) -> Any:
        return list(super().__call__(image))


class Placed(Middle):
    """Answers other landmarks or another box."""

    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        (face,) = super().__call__(image)
        return (self.placed(face, image),)

    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return face


class NanBox(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return replace(face, box=(math.nan, 0.0, 1.0, 1.0))


class SpoiltLandmarks(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        face.landmarks[0, 0] = math.nan  # after it was looked at
        return face


class NanLandmarks(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return DetectedFace.at(face.landmarks * math.nan)


class EmptyBox(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return replace(face, box=(5.0, 5.0, 5.0, 9.0))


class OfALargerPicture(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return DetectedFace.at(face.landmarks * 4)


class Mirrored(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return DetectedFace.at([[image.shape[1], 0]] + face.landmarks * [[-1, 1]])


class UpsideDown(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return DetectedFace.at([[0, image.shape[0]]] + face.landmarks * [[1, -1]])


class Drifting(Placed):
    def __init__(self):
        self.seen = 0

    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        self.seen += 1
        return DetectedFace.at(face.landmarks + self.seen / 10)


class ReadingMemory(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        return DetectedFace.at(face.landmarks + image.strides[0] % 7)


class Writing(Placed):
    def placed(self, face: DetectedFace, image: Picture) -> DetectedFace:
        if image.flags.writeable and image.shape == SHOWN.shape:
            image[0, 0] ^= 1
        return face


class Fragile(Middle):
    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        if image.shape[0] < 4:
            raise IndexError("cannot be reduced")
        return super().__call__(image)


class NoneForNoFace(Middle):
    def __call__(self, image: Picture) -> Any:
        return super().__call__(image) if image.std() else None


class SmallestFirst(Middle):
    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        (face,) = super().__call__(image)
        return (DetectedFace.at(face.landmarks / 2), face) if image.shape[1] > 50 else (face,)


class Estimating(Middle):
    """Answers other parameters."""

    def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
        return self.changed(super().estimate(images, faces), images)

    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return face


class OneFrame(Estimating):
    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return face[:1]


class WidthFirst(Estimating):
    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return replace(face, canvas=face.canvas[::-1])


class TooManyCoefficients(Estimating):
    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return replace(face, shape=torch.zeros(len(face), 100))


class InPixelsOfACrop(Estimating):
    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return replace(face, camera=neutral(len(face), 224, 224).camera)


class BatchMixing(Estimating):
    def changed(self, face: FaceParameters, images: Tensor) -> FaceParameters:
        return replace(face, shape=face.shape + images.mean())


class DividingByBrightness(Middle):
    def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
        face = neutral(len(images), *images.shape[2:])
        brightness = images.mean((1, 2, 3))[:, None]
        vars(face)["shape"] = face.shape / brightness  # past the checks of FaceParameters, as its copies are
        return face


BROKEN: list[tuple[str, type[Any], str]] = [
    ("finds_the_face", Blind, "no face was found"),
    ("finds_the_face", Listing, "expected a tuple of DetectedFace, found list"),
    ("faces_are_finite_and_in_the_picture", NanBox, "InputError was raised where none is expected.*box.*NaN"),
    ("faces_are_finite_and_in_the_picture", SpoiltLandmarks, "NaN or infinity; drop such a face"),
    ("faces_are_finite_and_in_the_picture", NanLandmarks, "InputError was raised where none is expected.*NaN"),
    ("faces_are_finite_and_in_the_picture", EmptyBox, "left < right"),
    ("faces_are_finite_and_in_the_picture", OfALargerPicture, "in pixels of the picture given"),
    ("landmarks_are_in_the_ibug_order", Mirrored, "swapped"),
    ("landmarks_are_in_the_ibug_order", UpsideDown, "from top to bottom"),
    ("is_deterministic", Drifting, "keeps nothing between pictures"),
    ("takes_any_memory_layout", ReadingMemory, "ascontiguousarray"),
    ("takes_any_memory_layout", Writing, "changed the picture"),
    ("pictures_without_a_face_raise_nothing", Fragile, "IndexError was raised"),
    ("pictures_without_a_face_raise_nothing", NoneForNoFace, "gave a NoneType"),
    ("largest_face_comes_first", SmallestFirst, "sort the faces"),
    ("estimate_agrees_with_the_picture", OneFrame, "2 pictures gave parameters of 1"),
    ("estimate_agrees_with_the_picture", WidthFirst, r"canvas is \(40, 48\)"),
    ("estimate_agrees_with_the_picture", TooManyCoefficients, "but the tracker's model has"),
    ("estimate_lies_on_the_face", InPixelsOfACrop, "not of a crop"),
    ("estimate_looks_at_each_picture_alone", BatchMixing, "eval mode"),
    ("estimate_never_answers_nan", DividingByBrightness, "gave NaN"),
]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_a_broken_tracker_is_caught(name: str, build: type[Any], message: str):
    found = complaint(TrackerCase("tracker", build, picture=SHOWN.copy()), name)
    assert re.search(message, found), found
