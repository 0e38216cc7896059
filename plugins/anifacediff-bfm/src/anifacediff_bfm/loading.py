"""Builds the models and trackers from assets that are in place."""

from pathlib import Path

import torch

from anifacediff.assets.contracts import Asset
from anifacediff.assets.store import load
from anifacediff.checkpoint import load_strict
from anifacediff.tracking.contracts import Tracker
from anifacediff.tracking.default import default_tracker
from anifacediff.tracking.resnet import ResNet50
from anifacediff_bfm import assets
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.layout import SHAPES
from anifacediff_bfm.model import BfmArrays, BfmModel
from anifacediff_bfm.setups import DEEP3D, MIMAFACE, Setup
from anifacediff_bfm.tracker import D3dfrTracker


def deep3d_model(*, folder: Path | None = None) -> BfmModel:
    """Build the Basel Face Model as Deep3DFaceRecon has it: 80 identity and 64 expression coefficients.

    Args:
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the asset ``"bfm-deep3d"`` is not in place or damaged.
    """
    return _model(assets.bfm_deep3d(), folder)


def mimaface_model(*, folder: Path | None = None) -> BfmModel:
    """Build the Basel Face Model as MIMAFace has it: 80 identity and 64 expression coefficients.

    Args:
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the asset ``"bfm-mimaface"`` is not in place or damaged.
    """
    return _model(assets.bfm_mimaface(), folder)


def deep3d_tracker(detector: Tracker | None = None, *, folder: Path | None = None) -> D3dfrTracker:
    """Build the tracker that reads parameters with Deep3DFaceRecon's network.

    Args:
        detector: finds the faces; the default tracker if None.
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the assets ``"bfm-deep3d"`` and ``"d3dfr-deep3d"`` are not in place or damaged.
    """
    network = _network(assets.d3dfr_deep3d(), DEEP3D, folder)
    return D3dfrTracker(default_tracker() if detector is None else detector, deep3d_model(folder=folder), network)


def mimaface_tracker(detector: Tracker | None = None, *, folder: Path | None = None) -> D3dfrTracker:
    """Build the tracker that reads parameters, gaze among them, with the network inside MIMAFace.

    Args:
        detector: finds the faces; the default tracker if None.
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the assets ``"bfm-mimaface"`` and ``"d3dfr-mimaface"`` are not in place or damaged.
    """
    network = _network(assets.d3dfr_mimaface(), MIMAFACE, folder)
    return D3dfrTracker(default_tracker() if detector is None else detector, mimaface_model(folder=folder), network)


def _model(asset: Asset, folder: Path | None) -> BfmModel:
    return BfmModel(BfmArrays(**load(asset, SHAPES, folder).tensors))


def _network(asset: Asset, setup: Setup, folder: Path | None) -> CoefficientNetwork:
    with torch.device("meta"):
        keys = CoefficientNetwork(setup, ResNet50()).state_dict()
    stored = load(asset, {key: tuple(value.shape) for key, value in keys.items()}, folder)
    network = CoefficientNetwork(setup, ResNet50())
    load_strict(network, stored.tensors, asset.name)
    return network
