"""Files that users obtain themselves: what they are, where they lie, and how they are read without running code."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset as Asset
    from anifacediff.assets.contracts import AssetFile as AssetFile
    from anifacediff.assets.contracts import Converted as Converted
    from anifacediff.assets.contracts import Licence as Licence
    from anifacediff.assets.mat_files import read_mat as read_mat
    from anifacediff.assets.npy_files import read_npy as read_npy
    from anifacediff.assets.npy_files import read_npz as read_npz
    from anifacediff.assets.pickles import read_pickle as read_pickle
    from anifacediff.assets.places import assets_folder as assets_folder
    from anifacediff.assets.places import find as find
    from anifacediff.assets.places import is_in_place as is_in_place
    from anifacediff.assets.sparse import SparseMatrix as SparseMatrix
    from anifacediff.assets.store import Stored as Stored
    from anifacediff.assets.store import load as load
    from anifacediff.assets.store import place as place
    from anifacediff.assets.torch_files import read_torch as read_torch
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("Asset", "AssetFile", "Converted", "Licence"),
            "mat_files": ("read_mat",),
            "npy_files": ("read_npy", "read_npz"),
            "pickles": ("read_pickle",),
            "places": ("assets_folder", "find", "is_in_place"),
            "sparse": ("SparseMatrix",),
            "store": ("Stored", "load", "place"),
            "torch_files": ("read_torch",),
        },
    )
