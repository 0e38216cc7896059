"""Files that users obtain themselves: what they are, where they lie, and how they are read without running code."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset as Asset
    from anifacediff.assets.contracts import AssetFile as AssetFile
    from anifacediff.assets.contracts import Converted as Converted
    from anifacediff.assets.contracts import Licence as Licence
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("Asset", "AssetFile", "Converted", "Licence"),
        },
    )
