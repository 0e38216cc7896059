"""The published file, and the encoder built from it."""

from pathlib import Path

import torch

from anifacediff.assemblies.published.conversion import convert, tensors_of
from anifacediff.assets.contracts import Asset, AssetFile, Converted, Licence
from anifacediff.assets.store import load
from anifacediff.assets.torch_files import read_torch
from anifacediff.checkpoint import load_strict
from anifacediff.errors import AssetError, CheckpointError
from anifacediff_curricularface.encoder import CurricularFaceEncoder, Features


def curricularface(*, features: Features = "map", folder: Path | None = None) -> CurricularFaceEncoder:
    """Build the encoder from the asset ``"curricularface"``.

    Args:
        features: see :class:`~anifacediff_curricularface.encoder.CurricularFaceEncoder`.
        folder: of all assets; the user's own if None.

    Raises:
        AssetError: if the asset is not in place or damaged.
    """
    shapes = {key: tuple(value.shape) for key, value in _without_memory().state_dict().items()}
    stored = load(asset(), shapes, folder)
    encoder = CurricularFaceEncoder(features=features)
    load_strict(encoder, stored.tensors, "curricularface")
    return encoder


def asset() -> Asset:
    """Describe ``"curricularface"``: the network's published weights."""
    return Asset(
        name="curricularface",
        purpose='the identity encoder "curricularface", with which MIMAFace was trained',
        source="https://github.com/HuangYG123/CurricularFace, the IR101 model linked in its README",
        licence=Licence(
            "MIT for the code; none said for the weights, trained on pictures gathered for research",
            "ask",
            "https://github.com/HuangYG123/CurricularFace/blob/master/LICENSE",
        ),
        files=(AssetFile("CurricularFace_Backbone.pth"),),
        convert=_convert,
    )


def _convert(paths: tuple[Path, ...]) -> Converted:
    (path,) = paths
    try:
        weights = tensors_of(read_torch(path), str(path))
        tensors = convert(weights, _without_memory(), source=str(path)).tensors
    except CheckpointError as error:
        raise AssetError(f"{error}\nGet CurricularFace's file.") from error
    return Converted({key: value.numpy() for key, value in tensors.items()})


def _without_memory() -> CurricularFaceEncoder:
    with torch.device("meta"):
        return CurricularFaceEncoder()
