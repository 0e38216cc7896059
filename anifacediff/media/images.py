"""Still images: any common file to RGB bytes and back."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from anifacediff.errors import InputError, MediaError, OutputError, ShapeError

IMAGE_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""The formats, in Pillow's words, that are read; anything else is left to the video reader."""

MAX_PIXELS = 80_000_000
"""The largest picture that is decoded (240 MB as RGB); a larger one is refused before it is decoded."""

BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises, or warns of, where a picture is too large."""


def read_image(path: str | os.PathLike[str]) -> UInt8[np.ndarray, "h w 3"]:
    """Read a still image as it is meant to be seen.

    The EXIF rotation is applied, transparent parts are laid on white, 16-bit channels are reduced to
    their upper 8 bits, and palette and grayscale pictures become RGB. Of an animation the first
    picture is read. Colour profiles are not applied.

    Args:
        path: the image file.

    Returns:
        h w 3, RGB, row 0 at the top.

    Raises:
        MediaError: if the file is missing, a folder, empty, truncated, not an image, or has more than
            :data:`MAX_PIXELS` pixels.
    """
    with open_image(path) as image:
        return decode_image(image, Path(path))


def write_image(path: str | os.PathLike[str], image: UInt8[np.ndarray, "h w 3"], *, comment: str | None = None) -> None:
    """Write an image; the format follows the suffix.

    Args:
        path: the file to write; an existing one is replaced.
        image: h w 3, RGB, row 0 at the top.
        comment: text that is kept inside of a PNG.

    Raises:
        ShapeError: if the image is not h w 3 bytes.
        OutputError: if the suffix is unknown or the file cannot be written.
    """
    check_picture("image", image)
    options: dict[str, Any] = {}
    if comment is not None:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("comment", comment)
    try:
        Image.fromarray(image).save(path, **options)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: the image cannot be written ({error}).") from error


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open an image file and check its size, without decoding it; the caller closes it.

    Raises:
        MediaError: as :func:`read_image` does.
    """
    image = identify_image(path)
    if image is None:
        raise MediaError(
            f"{path}: this is not an image that can be read. Readable formats: {', '.join(IMAGE_FORMATS)}."
        )
    return image


def identify_image(path: str | os.PathLike[str]) -> Image.Image | None:
    """Open a file as :func:`open_image` does if it is an image, else return None.

    Raises:
        MediaError: if there is no file, or if it is an image that cannot be read.
    """
    path = Path(path)
    require_file(path)
    Image.init()
    try:
        image = Image.open(path, formats=[name for name in IMAGE_FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        return None
    except BOMB as error:
        raise MediaError(f"{path}: the picture is too large ({error}). {_shrink_hint()}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"{path}: the image cannot be opened ({error}). Is the file complete?") from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        image.close()
        raise MediaError(f"{path}: the picture has {size} pixels, too large. {_shrink_hint()}")
    return image


def decode_image(image: Image.Image, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the current picture of an opened image to upright RGB.

    Args:
        image: what :func:`open_image` returned.
        path: for the message.

    Raises:
        MediaError: if the data are truncated or corrupted.
    """
    try:
        upright = ImageOps.exif_transpose(image)
        return np.array(to_rgb(upright))
    except InputError as error:
        raise MediaError(f"{path}: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, *BOMB) as error:
        raise MediaError(
            f"{path}: the image is truncated or corrupted ({error}). Copy or export the file again."
        ) from error


def oriented_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an opened image after its EXIF rotation."""
    turned = image.getexif().get(0x0112, 1) >= 5
    return (image.width, image.height) if turned else (image.height, image.width)


def check_picture(name: str, image: NDArray[Any]) -> None:
    """Raise :class:`ShapeError` unless ``image`` is RGB bytes, h w 3, with at least one pixel."""
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ShapeError(f"{name}: expected uint8 pixels (h w 3) in RGB, found {image.dtype} {image.shape}.")


def require_file(path: Path) -> None:
    """Raise :class:`MediaError` unless ``path`` is a file with something in it."""
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that no file can have
        raise MediaError(f"{path}: this is a folder; give a file.")
    if not os.path.isfile(path):
        raise MediaError(f"{path}: there is no such file.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty (0 bytes). Copy or export it again.")


def to_rgb(image: Image.Image) -> Image.Image:
    """Bring any image that Pillow reads to RGB, transparent parts laid on white.

    Raises:
        InputError: if its pixels have no agreed range.
    """
    if image.mode.startswith("I"):
        return _from_16_bit(image).convert("RGB")
    if image.mode == "F":
        raise InputError("floating-point pixels have no agreed range. Convert the picture to 8 or 16 bits.")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.array(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise InputError("pixels outside of 0..65535 have no agreed range. Convert the picture to 8 or 16 bits.")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _shrink_hint() -> str:
    return f"The limit is {MAX_PIXELS:,} pixels: scale the picture down first."
