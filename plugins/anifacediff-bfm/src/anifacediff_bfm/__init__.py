"""The Basel Face Model and the D3DFR networks that read its coefficients off pictures, for anifacediff.

Importing this package loads no torch; components are imported when they are asked for.
"""

from collections.abc import Callable, Mapping
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
    """Offer the Basel Face Model in both published layouts."""
    return {"bfm-deep3d": _deep3d_model, "bfm-mimaface": _mimaface_model}


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the trackers that read the model's parameters with the networks of both systems."""
    return {"d3dfr-deep3d": ByNameOnly(_deep3d_tracker), "d3dfr-mimaface": ByNameOnly(_mimaface_tracker)}


@hookimpl
def anifacediff_assets() -> "Mapping[str, Loader[Callable[[], Asset]]]":
    """Offer descriptions of the models' and networks' files."""
    return {
        "bfm-deep3d": _bfm_deep3d,
        "bfm-mimaface": _bfm_mimaface,
        "d3dfr-deep3d": _d3dfr_deep3d,
        "d3dfr-mimaface": _d3dfr_mimaface,
    }


def _deep3d_model() -> "Callable[..., MorphableModel]":
    from anifacediff_bfm.loading import deep3d_model

    return deep3d_model


def _mimaface_model() -> "Callable[..., MorphableModel]":
    from anifacediff_bfm.loading import mimaface_model

    return mimaface_model


def _deep3d_tracker() -> "Callable[..., Tracker]":
    from anifacediff_bfm.loading import deep3d_tracker

    return deep3d_tracker


def _mimaface_tracker() -> "Callable[..., Tracker]":
    from anifacediff_bfm.loading import mimaface_tracker

    return mimaface_tracker


def _bfm_deep3d() -> "Callable[[], Asset]":
    from anifacediff_bfm.assets import bfm_deep3d

    return bfm_deep3d


def _bfm_mimaface() -> "Callable[[], Asset]":
    from anifacediff_bfm.assets import bfm_mimaface

    return bfm_mimaface


def _d3dfr_deep3d() -> "Callable[[], Asset]":
    from anifacediff_bfm.assets import d3dfr_deep3d

    return d3dfr_deep3d


def _d3dfr_mimaface() -> "Callable[[], Asset]":
    from anifacediff_bfm.assets import d3dfr_mimaface

    return d3dfr_mimaface
