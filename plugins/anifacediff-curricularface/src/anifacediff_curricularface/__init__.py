"""CurricularFace as the identity encoder ``"curricularface"`` of anifacediff.

Importing this package loads no torch; components are imported when they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset
    from anifacediff.conditioning.contracts import IdentityEncoder
    from anifacediff.registry import Loader
    from anifacediff_curricularface.encoder import crop as crop
    from anifacediff_curricularface.loading import curricularface as curricularface
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(__name__, {"encoder": ("crop",), "loading": ("curricularface",)})


@hookimpl
def anifacediff_identity_encoders() -> "Mapping[str, Loader[Callable[..., IdentityEncoder]]]":
    """Offer the identity encoder ``"curricularface"``."""
    return {"curricularface": _encoder}


@hookimpl
def anifacediff_assets() -> "Mapping[str, Loader[Callable[[], Asset]]]":
    """Offer the description of its file."""
    return {"curricularface": _asset}


def _encoder() -> "Callable[..., IdentityEncoder]":
    from anifacediff_curricularface.loading import curricularface

    return curricularface


def _asset() -> "Callable[[], Asset]":
    from anifacediff_curricularface.loading import asset

    return asset
