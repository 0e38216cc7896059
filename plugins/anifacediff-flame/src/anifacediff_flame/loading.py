"""Builds the models and the tracker from assets that are in place."""

from pathlib import Path

import torch

from anifacediff.assets.contracts import Asset
from anifacediff.assets.places import is_in_place
from anifacediff.assets.store import load
from anifacediff.checkpoint import load_strict
from anifacediff.tracking.contracts import Tracker
from anifacediff.tracking.default import default_tracker
from anifacediff_flame import assets
from anifacediff_flame.encoder import DecaEncoder
from anifacediff_flame.files import FLAME_SHAPES, LANDMARK_SHAPES, flame_arrays
from anifacediff_flame.landmarks import LandmarkEmbedding, YawConvention
from anifacediff_flame.model import FlameModel
from anifacediff_flame.tracker import DecaTracker


def flame_model(
    asset: Asset,
    *,
    num_shape: int = 100,
    num_expression: int = 50,
    yaw: YawConvention = "deca",
    folder: Path | None = None,
) -> FlameModel:
    """Build a FLAME model of an edition that is in place.

    Args:
        asset: the edition, see :mod:`anifacediff_flame.assets`.
        num_shape: identity coefficients, 1 to 300.
        num_expression: expression coefficients, 1 to 100.
        yaw: which sign of yaw chooses the contour, see :func:`~anifacediff_flame.landmarks.contour_rows`.
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the asset is not in place or damaged, or neither ``"flame-landmarks"`` nor
            ``"flame-landmarks-deca"`` is in place.
        InputError: if there are not so many coefficients, or the arrays do not fit together.
    """
    arrays = flame_arrays(load(asset, FLAME_SHAPES, folder).tensors)
    embedding = LandmarkEmbedding(**load(_landmarks(folder), LANDMARK_SHAPES, folder).tensors)
    return FlameModel(arrays, embedding, num_shape=num_shape, num_expression=num_expression, yaw=yaw)


def deca_tracker(detector: Tracker | None = None, *, folder: Path | None = None) -> DecaTracker:
    """Build the tracker that reads parameters of FLAME 2020 with DECA's network.

    Args:
        detector: finds the faces; the default tracker if None.
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the assets ``"deca"`` and ``"flame-2020"``, or all landmarks, are not in place or damaged.
        UnknownComponentError: if no detector is given or installed.
    """
    model = flame_model(assets.flame_2020(), folder=folder)
    return DecaTracker(_encoder(folder), model, default_tracker() if detector is None else detector)


def _landmarks(folder: Path | None) -> Asset:
    """The landmarks that are in place; RingNet's if both are, or none."""
    ringnet, deca = assets.flame_landmarks(), assets.flame_landmarks_deca()
    return deca if is_in_place(deca, folder) and not is_in_place(ringnet, folder) else ringnet


def _encoder(folder: Path | None) -> DecaEncoder:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in DecaEncoder().state_dict().items()}
    asset = assets.deca()
    weights = load(asset, shapes, folder).tensors
    encoder = DecaEncoder()
    load_strict(encoder, weights, asset.name)
    return encoder
