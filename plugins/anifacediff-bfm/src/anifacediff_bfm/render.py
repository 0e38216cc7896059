"""The picture of a textured, lit face that MIMAFace conditions on."""

from dataclasses import dataclass

import torch

from anifacediff.geometry.contracts import Rasterizer
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.shapes import Bool, Float, Tensor
from anifacediff_bfm.coefficients import Coefficients, to_parameters
from anifacediff_bfm.light import lit
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.normals import posed_normals
from anifacediff_bfm.setups import Setup


@dataclass(frozen=True)
class FacePictures:
    """Faces drawn without anything around them.

    Attributes:
        mask: f h w, whether the mesh covers a pixel's centre.
        picture: f 3 h w, RGB, 0 to 255; 0 where there is no face.
    """

    mask: Bool[Tensor, "f h w"]
    picture: Float[Tensor, "f 3 h w"]

    def condition(self) -> Float[Tensor, "f 3 h w"]:
        """What MIMAFace's denoiser is shown: RGB in [-1, 1], -1 where there is no face."""
        return self.picture / 127.5 - 1


@dataclass(frozen=True, eq=False)
class FaceRenderer:
    """Draws faces from their coefficients: vertices lit one by one, colours interpolated, clipped to 0 to 255.

    Attributes:
        model: of the face.
        setup: whose camera and normals are used.
        rasterizer: finds the visible triangles.

    Source: ``models/D3DFR/BFM`` of MIMAFace: one face a pixel, all light in the colours of the vertices.
    """

    model: BfmModel
    setup: Setup
    rasterizer: Rasterizer

    @classmethod
    def of(cls, model: BfmModel, setup: Setup) -> "FaceRenderer":
        """The renderer with the default rasteriser."""
        return cls(model, setup, SpanRasterizer())

    def colours(self, coefficients: Coefficients) -> Float[Tensor, "f v 3"]:
        """Compute the lit colour of every vertex: RGB, 0 to 255, not clipped."""
        c = coefficients
        normals = posed_normals(self.model, c.shape, c.expression, c.pose, self.setup.normals)
        return lit(self.model.texture(c.texture), normals, c.light)

    def __call__(self, coefficients: Coefficients, face: FaceParameters | None = None) -> FacePictures:
        """Draw faces.

        Args:
            coefficients: of the faces; light falls on them as in the crop that they were read off.
            face: where they are drawn, for instance the parameters brought back to a picture; the crop of the setup
                if None.
        """
        face = to_parameters(coefficients, self.model, self.setup) if face is None else face
        height, width = face.canvas
        vertices = self.model(face.shape, face.expression, face.pose)
        screen = face.camera.project(vertices)
        seen = self.rasterizer(
            screen, self.model.triangles, height=height, width=width, perspective=face.camera.perspective
        )
        colours = seen.interpolate(self.colours(coefficients))
        return FacePictures(seen.mask, seen.scatter(torch.clamp(colours, 0, 255)))
