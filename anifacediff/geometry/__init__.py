"""A 3D face becomes a picture; knows nothing of diffusion."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.geometry.contracts import LandmarkedModel as LandmarkedModel
    from anifacediff.geometry.contracts import MorphableModel as MorphableModel
    from anifacediff.geometry.contracts import PartialModel as PartialModel
    from anifacediff.geometry.contracts import Rasterizer as Rasterizer
    from anifacediff.geometry.faces import Box as Box
    from anifacediff.geometry.faces import Camera as Camera
    from anifacediff.geometry.faces import FaceParameters as FaceParameters
    from anifacediff.geometry.faces import Similarity as Similarity
    from anifacediff.geometry.faces import WeakPerspective as WeakPerspective
    from anifacediff.geometry.fragments import Fragments as Fragments
    from anifacediff.geometry.head import ParametricHead as ParametricHead
    from anifacediff.geometry.morphable import SkinnedModel as SkinnedModel
    from anifacediff.geometry.perspective import Perspective as Perspective
    from anifacediff.geometry.rasterizer import SpanRasterizer as SpanRasterizer
    from anifacediff.geometry.snapshots import CONVENTIONS as CONVENTIONS
    from anifacediff.geometry.snapshots import ControlMaps as ControlMaps
    from anifacediff.geometry.snapshots import Topology as Topology
    from anifacediff.geometry.snapshots import render_maps as render_maps
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("LandmarkedModel", "MorphableModel", "PartialModel", "Rasterizer"),
            "faces": ("Box", "Camera", "FaceParameters", "Similarity", "WeakPerspective"),
            "fragments": ("Fragments",),
            "head": ("ParametricHead",),
            "morphable": ("SkinnedModel",),
            "perspective": ("Perspective",),
            "rasterizer": ("SpanRasterizer",),
            "snapshots": ("CONVENTIONS", "ControlMaps", "Topology", "render_maps"),
        },
    )
