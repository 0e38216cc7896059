"""Pictures side by side, to be looked at."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from anifacediff.errors import InputError

SEPARATOR = 2
"""Width in pixels of the white line between two pictures."""

_LABEL_HEIGHT = 18


def side_by_side(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, height: int | None = None, labels: Sequence[str] = ()
) -> UInt8[np.ndarray, "h w 3"]:
    """Set pictures in a row, scaled to one height with their proportions kept.

    Args:
        images: each h w 3, RGB; sizes may differ.
        height: of the row in pixels, without labels; the height of the last picture if not given.
        labels: a word above each picture, or none at all.

    Returns:
        h w 3: the pictures with thin white lines between them, under a white strip if there are labels.

    Raises:
        InputError: if there are no images, or not as many labels as images.
    """
    if not images:
        raise InputError("images: there are none to set side by side.")
    if labels and len(labels) != len(images):
        raise InputError(f"labels: there are {len(labels)} for {len(images)} images; give one each, or none.")
    row = height or images[-1].shape[0]
    pictures = [_scaled(image, row) for image in images]
    top = _LABEL_HEIGHT if labels else 0
    width = sum(picture.width for picture in pictures) + SEPARATOR * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, row + top), "white")
    draw = ImageDraw.Draw(sheet)
    left = 0
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (left, top))
        if labels:
            middle = (left + picture.width / 2, top / 2)
            draw.text(middle, labels[index], fill="black", anchor="mm", font=ImageFont.load_default(12))
        left += picture.width + SEPARATOR
    return np.array(sheet)


def _scaled(image: UInt8[np.ndarray, "h w 3"], height: int) -> Image.Image:
    picture = Image.fromarray(image)
    if picture.height == height:
        return picture
    width = max(1, round(picture.width * height / picture.height))
    return picture.resize((width, height), Image.Resampling.LANCZOS)
