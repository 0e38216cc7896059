"""DECA's crop and camera, in pixels of the picture that the crop was cut from."""

import torch

from anifacediff.geometry.faces import Similarity, WeakPerspective
from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.contracts import DetectedFace
from anifacediff_flame.encoder import IMAGE_SIZE


def deca_crop(face: DetectedFace, *, margin: float = 1.25) -> SquareCrop:
    """The square that DECA cuts out around the extent of 68 landmarks.

    Args:
        face: in pixels of the picture.
        margin: DECA's ``scale``; MagicPortrait has 1.3.

    Source: Feng et al. 2021 (DECA), crop of the published code.
    """
    left, top = face.landmarks.min(axis=0).tolist()
    right, bottom = face.landmarks.max(axis=0).tolist()
    return SquareCrop.as_deca((left, top, right, bottom), size=IMAGE_SIZE, margin=margin)


def to_picture(crop: SquareCrop) -> Similarity:
    """From pixels of DECA's crop to those of the picture, as DECA carries meshes over, one frame.

    DECA counts the centre of a picture's top-left pixel as (0, 0) when it crops, but draws its edge there.
    """
    half = Similarity(torch.ones(1), torch.full((1, 2), 0.5))
    return half.then(crop.from_crop(IMAGE_SIZE)).then(half.inverse())


def crop_camera(camera: Float[Tensor, "f 3"]) -> WeakPerspective:
    """The camera of DECA in pixels of its crop.

    Args:
        camera: f 3, scale s and translation t: a point p lands on s (p + t) in a crop from -1 to 1, y up.

    Raises:
        InputError: if a scale is not positive, or a value not finite.
    """
    scale, shift = camera[:, 0] * (IMAGE_SIZE / 2), camera[:, 1:] * camera.new_tensor([1.0, -1.0])
    return WeakPerspective(scale, IMAGE_SIZE / 2 + scale[:, None] * shift)
