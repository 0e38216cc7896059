"""The published systems: how each one crops a face, reads it, and sees it."""

from dataclasses import dataclass

import torch

from anifacediff.geometry.perspective import Perspective
from anifacediff.shapes import Float, Tensor
from anifacediff_bfm.crops import FaceCrop, PoseCrop, TemplateCrop
from anifacediff_bfm.normals import NormalRule

CAMERA_DISTANCE = 10.0
"""From the camera to the origin of model space, in decimetres."""


@dataclass(frozen=True)
class Setup:
    """One published system.

    Pixels here have the centre of the top-left one at (0.5, 0.5), unlike those of the published code, which counts it
    as (0, 0) in pictures and has no pixels but a plane in its renderers.

    Attributes:
        name: of the system.
        size: height and width of its crops in pixels.
        focal: length in pixels of the crop.
        principal: x and y of the pixel that the camera looks at.
        crop: how a face is cut out.
        lowest: what black is at the network's input; white is 1.
        heads: how many coefficients each head of the network gives.
        head_key: what the heads are called in the published weights.
        normals: how it computes normals.
    """

    name: str
    size: int
    focal: float
    principal: tuple[float, float]
    crop: FaceCrop
    lowest: float
    heads: tuple[int, ...]
    head_key: str
    normals: NormalRule

    def camera(self, translation: Float[Tensor, "f 3"]) -> Perspective:
        """The camera before faces that stand at ``translation``.

        Args:
            translation: f 3, decimetres, the coefficients of that name.
        """
        frames = len(translation)
        return Perspective(
            translation.new_full((frames,), self.focal),
            translation.new_tensor(self.principal).repeat(frames, 1),
            translation - translation.new_tensor((0.0, 0.0, CAMERA_DISTANCE)),
        )

    def scaled(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f 3 h w"]:
        """Bring images in [0, 1] to the range that the network reads."""
        return torch.lerp(images.new_tensor(self.lowest), images.new_tensor(1.0), images)


_HEADS = (80, 64, 80, 3, 27, 2, 1)

DEEP3D = Setup(
    name="deep3d",
    size=224,
    focal=1015.0,
    principal=(112.5, 111.5),
    crop=PoseCrop(),
    lowest=0.0,
    heads=_HEADS,
    head_key="final_layers",
    normals="unit-faces",
)
"""Deep3DFaceRecon_pytorch 9167c71.

It saves landmarks as indices of pixels, ``x = u`` and ``y = 223 - v``, where u and v are the projections around 112
with v upwards: so the camera here looks at (112.5, 111.5). Its rasteriser draws around the middle, (112, 112).
"""

MIMAFACE = Setup(
    name="mimaface",
    size=256,
    focal=1160.0,
    principal=(128.0, 128.0),
    crop=TemplateCrop(),
    lowest=-1.0,
    heads=(*_HEADS, 4),
    head_key="fianl_layers",
    normals="area",
)
"""D3DFR as MIMAFace 8787c56 has it.

Its landmarks, ``x = u`` and ``y = 256 - v`` around 128, and its renderings agree if the edge of the picture is at 0, as
it is here: the camera looks at (128, 128).
"""
