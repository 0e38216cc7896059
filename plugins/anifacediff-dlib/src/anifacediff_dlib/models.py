"""dlib's detectors and landmark predictor, from the files that face_recognition_models installs."""

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlib  # it has no types: hence Any, and the checks it cannot pass

from anifacediff.errors import PluginError

_DISTRIBUTION = "face_recognition_models"


class NonCommercialDataWarning(UserWarning):
    """A model file was trained on data whose licence excludes commercial use."""


@cache
def frontal_detector() -> Any:
    """Load the detector of upright frontal faces (HOG), which is part of dlib."""
    return dlib.get_frontal_face_detector()  # pyright: ignore[reportAttributeAccessIssue]


@cache
def convolutional_detector() -> Any:
    """Load the slower convolutional detector, which also finds faces that the frontal one misses."""
    path = str(_file("mmod_human_face_detector.dat"))
    return dlib.cnn_face_detection_model_v1(path)  # pyright: ignore[reportAttributeAccessIssue]


@cache
def recognition_model() -> Any:
    """Load the network that embeds faces in 128 numbers."""
    path = str(_file("dlib_face_recognition_resnet_model_v1.dat"))
    return dlib.face_recognition_model_v1(path)  # pyright: ignore[reportAttributeAccessIssue]


@cache
def landmark_predictor() -> Any:
    """Load the predictor of 68 landmarks.

    Warns:
        NonCommercialDataWarning: once per process.
    """
    warnings.warn(
        "dlib's 68-landmark file was trained on the iBUG 300-W data, whose licence excludes commercial use. "
        "For commercial work use another tracker, or landmarks given by hand.",
        NonCommercialDataWarning,
        stacklevel=2,
    )
    path = str(_file("shape_predictor_68_face_landmarks.dat"))
    return dlib.shape_predictor(path)  # pyright: ignore[reportAttributeAccessIssue]


def rectangle(left: int, top: int, right: int, bottom: int) -> Any:
    """Build dlib's rectangle from the indices of its outermost pixels."""
    return dlib.rectangle(left, top, right, bottom)  # pyright: ignore[reportAttributeAccessIssue]


def chip(pixels: Any, box: Any, landmarks: Any, size: int) -> Any:
    """Cut out the face with 68 landmarks (x, y in indices of pixels) as the recognition model was trained: upright."""
    points = dlib.points([dlib.point(round(x), round(y)) for x, y in landmarks])  # pyright: ignore[reportAttributeAccessIssue]
    shape = dlib.full_object_detection(box, points)  # pyright: ignore[reportAttributeAccessIssue]
    return dlib.get_face_chip(pixels, shape, size=size)  # pyright: ignore[reportAttributeAccessIssue]


def _file(name: str) -> Path:
    # The distribution's own __init__ needs pkg_resources, which current setuptools no longer has: never import it.
    spec = find_spec(_DISTRIBUTION)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = [path for path in (Path(folder) / "models" / name for folder in folders) if path.is_file()]
    if not found:
        raise PluginError(
            f"dlib's model file {name} was not found; looked in the package {_DISTRIBUTION} "
            f"({', '.join(folders) or 'not installed'}). Install it with: pip install {_DISTRIBUTION}"
        )
    return found[0]
