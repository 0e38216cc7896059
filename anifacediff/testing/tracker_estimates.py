"""Checks of the parameters that a tracker reads off pictures itself."""

from typing import Any

import torch

from anifacediff.errors import AniFaceDiffError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.morphable import posed
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import NotApplicable, raised, require
from anifacediff.testing.pictured import PicturedCase, found_faces
from anifacediff.tracking.contracts import DetectedFace, ParameterTracker


def estimate_agrees_with_the_picture(case: PicturedCase) -> None:
    """``estimate`` gives finite parameters of its model for each picture, on a canvas of the pictures' size."""
    tracker, images, faces = _estimator(case)
    found = tracker.estimate(images, faces)
    height, width = images.shape[2:]
    require(len(found) == len(images), f"{len(images)} pictures gave parameters of {len(found)} frames.")
    require(
        tuple(found.canvas) == (height, width),
        f"canvas is {found.canvas}, the pictures are {height} x {width} (height, width).",
    )
    model = tracker.model
    sizes = (found.shape.shape[1], found.expression.shape[1], found.pose.shape[1])
    expected = (model.num_shape, model.num_expression, len(model.joint_names))
    require(sizes == expected, f"shape, expression and joints count {sizes}, but the tracker's model has {expected}.")
    points = found.camera.project(posed(model, found))
    require(_finite(found) and points.isfinite().all(), "parameters or projected vertices hold NaN or infinity.")


def estimate_lies_on_the_face(case: PicturedCase) -> None:
    """The model's landmarks, projected, are within a quarter of the face's size of those that the tracker found."""
    tracker, images, faces = _estimator(case)
    model = tracker.model
    if not isinstance(model, LandmarkedModel):
        raise NotApplicable("the tracker's model has no landmarks")
    found = tracker.estimate(images, faces)
    points = found.camera.project(model.landmarks(posed(model, found), found.pose))[..., :2]
    truth = torch.stack([torch.from_numpy(face.landmarks) for face in faces])
    size = float((truth[0].amax(0) - truth[0].amin(0)).mean())
    error = float((points - truth).norm(dim=-1).mean()) / size
    require(
        error < 0.25,
        f"the projected landmarks are {error:.0%} of the face's size away from those found; camera and box are in "
        "pixels of the pictures given, not of a crop.",
    )


def estimate_looks_at_each_picture_alone(case: PicturedCase) -> None:
    """The parameters of a picture do not depend on those beside it."""
    tracker, images, faces = _estimator(case)
    together = tracker.estimate(images, faces)
    for index, face in enumerate(faces):
        alone = tracker.estimate(images[index : index + 1], [face])
        for field in ("shape", "expression", "pose"):
            first, second = getattr(together, field)[index], getattr(alone, field)[0]
            require(
                torch.allclose(first, second, rtol=1e-3, atol=1e-3),
                f"{field} of picture {index} is another one beside other pictures than alone; put the network into "
                "eval mode, and normalise each picture by itself.",
            )


def estimate_never_answers_nan(case: PicturedCase) -> None:
    """A picture of NaN raises an error of the library, or gives finite parameters; so does a black one."""
    tracker, images, faces = _estimator(case)
    for images_ in (torch.full_like(images, torch.nan), torch.zeros_like(images)):
        answer: list[FaceParameters] = []
        problem = raised(lambda images_=images_, answer=answer: answer.append(tracker.estimate(images_, faces)))
        require(
            isinstance(problem, AniFaceDiffError) if problem else _finite(answer[0]),
            f"a picture of {float(images_[0, 0, 0, 0])} gave {'NaN' if problem is None else repr(problem)}; look at "
            "the pictures with anifacediff.shapes.check_finite before the network does.",
        )


def _estimator(case: PicturedCase) -> tuple[ParameterTracker, Float[Tensor, "2 3 h w"], list[DetectedFace]]:
    """A tracker that reads parameters itself, two pictures that differ, and the face in both."""
    tracker: Any = case.made()
    if not isinstance(tracker, ParameterTracker):
        raise NotApplicable("the tracker does not read parameters itself")
    image = torch.from_numpy(case.shown.copy()).permute(2, 0, 1).float() / 255
    return tracker, torch.stack([image, 0.7 * image]), [found_faces(case)[0]] * 2


def _finite(found: FaceParameters) -> bool:
    parts = (found.shape, found.expression, found.pose, found.box.corners, found.gaze, found.eyelids)
    return all(bool(part.isfinite().all()) for part in parts if part is not None)
