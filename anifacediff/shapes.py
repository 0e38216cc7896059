"""The legend of axis letters, used in every annotation, einops pattern and docstring.

===== ===========================================  ===== =====================================
b     batch                                        c     channels
f     frames                                       h w   height, width in pixels or latents
v     vertices of a mesh                           l     tokens
t     triangles of a mesh                          d     width of a token
k     landmarks                                    s     identity (shape) coefficients
j     joints                                       e     expression coefficients
p     covered pixels                               n     any other count
===== ===========================================  ===== =====================================

Image tensors are RGB, ``c h w``, row 0 at the top. Pixel coordinates are x right, y down, in
units of pixels; the centre of the top-left pixel is (0.5, 0.5). Model space is right-handed:
x to the image's right, y up, z towards the viewer.
"""

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from anifacediff.errors import InputError, ShapeError

__all__ = ["Bool", "Float", "Int", "Tensor", "UInt8", "check_finite", "check_shape"]


def check_shape(name: str, tensor: Tensor, expected: str, *sizes: int | None) -> None:
    """Check the shape of an argument at a public entry point.

    Args:
        name: the argument's name, for the message.
        tensor: the argument.
        expected: the axes in the letters of the legend, for the message.
        sizes: the size of every axis; ``None`` accepts any.

    Raises:
        ShapeError: naming the argument, what was expected and what was found.
    """
    found = tuple(tensor.shape)
    fits = len(found) == len(sizes) and all(
        size is None or size == actual for size, actual in zip(sizes, found, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in sizes)
        raise ShapeError(f"{name}: expected shape ({expected}) = ({wanted}), found {found}.")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise :class:`InputError` if ``tensor`` holds NaN or infinity, saying where; a tensor on ``meta`` passes."""
    if tensor.is_meta:  # has no values
        return
    bad = ~tensor.isfinite()
    if bool(bad.any()):
        where = tuple(int(index) for index in bad.nonzero()[0])
        raise InputError(
            f"{name}: {int(bad.sum())} of {tensor.numel()} values are NaN or infinite, the first at index {where}. "
            "Check the step that made them (a tracker that lost the face, a diverged fit)."
        )
