"""The FLAME head model, and DECA as a tracker that reads its parameters off pictures.

Importing this package loads no torch; components are imported when they are asked for.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from anifacediff import hookimpl
from anifacediff.registry import ByNameOnly

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset
    from anifacediff.geometry.contracts import MorphableModel
    from anifacediff.registry import Loader
    from anifacediff.tracking.contracts import Tracker


@hookimpl
def anifacediff_morphable_models() -> "Mapping[str, Loader[Callable[..., MorphableModel]]]":
    """Offer the editions of FLAME."""
    return {name: partial(_flame_model, name) for name in ("flame-2020", "flame-2023", "flame-2023-open")}


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the tracker ``"deca"``, which another one tells where the face is."""
    return {"deca": ByNameOnly(_deca_tracker)}


@hookimpl
def anifacediff_assets() -> "Mapping[str, Loader[Callable[[], Asset]]]":
    """Offer descriptions of the files of FLAME and DECA."""
    names = ("flame-2020", "flame-2023", "flame-2023-open", "flame-landmarks", "flame-landmarks-deca", "deca")
    return {name: partial(_asset, name) for name in names}


def _flame_model(name: str) -> "Callable[..., MorphableModel]":
    from anifacediff_flame.loading import flame_model

    return partial(flame_model, _asset(name)())


def _deca_tracker() -> "Callable[..., Tracker]":
    from anifacediff_flame.loading import deca_tracker

    return deca_tracker


def _asset(name: str) -> "Callable[[], Asset]":
    from anifacediff_flame import assets

    described = {
        "flame-2020": assets.flame_2020,
        "flame-2023": assets.flame_2023,
        "flame-2023-open": assets.flame_2023_open,
        "flame-landmarks": assets.flame_landmarks,
        "flame-landmarks-deca": assets.flame_landmarks_deca,
        "deca": assets.deca,
    }
    return described[name]
