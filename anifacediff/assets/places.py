"""Where files that users obtain themselves lie, and what is told where they do not."""

import os
import sys
from pathlib import Path

from anifacediff.assets.contracts import Asset
from anifacediff.errors import AssetError

FOLDER_VARIABLE = "ANIFACEDIFF_ASSETS"
DESCRIPTION = "asset.json"
TENSORS = "model.safetensors"


def assets_folder() -> Path:
    """Give the folder of all assets: ``ANIFACEDIFF_ASSETS`` if it is set, else one for the user's data."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else _user_data() / "anifacediff" / "assets"


def asset_folder(asset: Asset, folder: Path | None = None) -> Path:
    """Give the folder of one asset, whether it exists or not.

    Args:
        asset: what is looked for.
        folder: of all assets; :func:`assets_folder` if not given.

    Raises:
        AssetError: if the asset's name cannot be that of a folder.
    """
    if not asset.name or asset.name.startswith(".") or set(asset.name) & set('/\\:*?"<>|'):
        raise AssetError(f"an asset cannot be called {asset.name!r}: it is to be the name of a folder.")
    return (folder or assets_folder()) / asset.name


def is_in_place(asset: Asset, folder: Path | None = None) -> bool:
    """Tell whether an asset was placed; whether it is whole is told by ``load`` and ``check``.

    Args:
        asset: what is looked for.
        folder: of all assets; :func:`assets_folder` if not given.
    """
    return (asset_folder(asset, folder) / DESCRIPTION).is_file()


def find(asset: Asset, folder: Path | None = None) -> Path:
    """Give the folder of an asset that is in place.

    Args:
        asset: what is looked for.
        folder: of all assets; :func:`assets_folder` if not given.

    Raises:
        AssetError: if it is not in place, naming its files, where they are obtained, their licence, and the command
            that puts them in place.
    """
    place = asset_folder(asset, folder)
    if not is_in_place(asset, folder):
        names = " ".join(file.name for file in asset.files)
        licence = asset.licence
        elsewhere = f" -o {folder}" if folder else ""
        raise AssetError(
            f"{asset.name} is not in {place}: {asset.purpose}. Get {names} from {asset.source} (licence: "
            f"{licence.name}, {licence.url}; commercial use: {licence.commercial}), then run "
            f"`anifacediff assets convert {asset.name} {names}{elsewhere}`."
        )
    return place


def _user_data() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
