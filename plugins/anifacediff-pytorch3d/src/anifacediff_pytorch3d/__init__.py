"""PyTorch3D's rasteriser, as ``"pytorch3d"`` of anifacediff.

Importing this package loads neither PyTorch3D nor torch; the rasteriser is imported when it is asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.geometry.contracts import Rasterizer
    from anifacediff.registry import Loader


@hookimpl
def anifacediff_rasterizers() -> "Mapping[str, Loader[Callable[..., Rasterizer]]]":
    """Offer the rasteriser ``"pytorch3d"``."""
    return {"pytorch3d": _pytorch3d_rasterizer}


def _pytorch3d_rasterizer() -> "Callable[..., Rasterizer]":
    from anifacediff_pytorch3d.rasterizer import Pytorch3dRasterizer

    return Pytorch3dRasterizer
