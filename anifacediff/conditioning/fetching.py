"""Pixels of one picture, fetched to other places; what the ways to move a reference have in common."""

import torch
import torch.nn.functional as F

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import Camera, FaceParameters, Similarity
from anifacediff.shapes import Float, Tensor, check_finite, check_shape


def check_reference(image: Tensor, reference: FaceParameters, image_size: int) -> None:
    """Check a picture and the face in it, from which pixels are to be moved.

    Raises:
        ShapeError: if the image is not 1 3 h w of that size, or the reference not one frame.
        InputError: if the image holds NaN or infinity.
    """
    check_finite("image", image)
    check_shape("image", image, "1 3 h w", 1, 3, image_size, image_size)
    check_one_face(reference)


def check_one_face(reference: FaceParameters) -> None:
    """Raise :class:`ShapeError` if the face of a reference is not one frame."""
    if len(reference) != 1:
        raise ShapeError(f"reference: expected exactly 1 frame, found {len(reference)}; choose one of them.")


def on_picture(name: str, face: FaceParameters, image_size: int) -> Camera:
    """The camera of a face whose square canvas is brought to the size of a picture.

    Raises:
        InputError: if the canvas is not square.
    """
    height, width = face.canvas
    if height != width or height < 1:
        raise InputError(f"{name}.canvas: expected a square, found {height} x {width}; crop before tracking.")
    scale = torch.full_like(face.box.size, image_size / height)
    return face.camera.moved(Similarity(scale, scale.new_zeros(len(face), 2)))


def fetched(image: Float[Tensor, "#f c h w"], where: Float[Tensor, "f 2 h w"]) -> Float[Tensor, "f c h w"]:
    """Give each pixel the colour of another place of a picture; beyond its border, of the border.

    Args:
        image: f c h w, or one for all frames.
        where: f 2 h w, x and y in pixels.
    """
    height, width = image.shape[-2:]
    grid = where.permute(0, 2, 3, 1) * (2 / where.new_tensor([width, height])) - 1
    frames = image.to(where.dtype).expand(len(where), -1, -1, -1)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=False).to(image.dtype)


def places(like: Float[Tensor, "f c h w"]) -> Float[Tensor, "1 2 h w"]:
    """x and y of every pixel's centre."""
    rows, columns = (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5 for size in like.shape[-2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
