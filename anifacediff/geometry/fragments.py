"""What a rasteriser returns: the covered pixels, and which point of the mesh each one shows."""

from dataclasses import dataclass

import torch

from anifacediff.shapes import Bool, Float, Int, Tensor


@dataclass(frozen=True)
class Fragments:
    """The covered pixels of a batch of frames, in ascending order of ``pixel``.

    Attributes:
        pixel: p, flat index into (frames, height, width).
        triangle: p, index of the triangle seen there.
        barycentric: p 3, weights of its corners; they sum to one and carry gradients to the vertices.
        triangles: t 3, the vertex indices that were rasterised.
        frames: number of frames.
        height: in pixels.
        width: in pixels.
    """

    pixel: Int[Tensor, "p"]
    triangle: Int[Tensor, "p"]
    barycentric: Float[Tensor, "p 3"]
    triangles: Int[Tensor, "t 3"]
    frames: int
    height: int
    width: int

    @property
    def mask(self) -> Bool[Tensor, "f h w"]:
        """Whether a pixel is covered."""
        covered = torch.zeros(self.frames * self.height * self.width, dtype=torch.bool, device=self.pixel.device)
        covered[self.pixel] = True
        return covered.view(self.frames, self.height, self.width)

    @property
    def triangle_map(self) -> Int[Tensor, "f h w"]:
        """The triangle seen at every pixel, -1 where there is none."""
        seen = torch.full((self.frames * self.height * self.width,), -1, device=self.pixel.device)
        seen[self.pixel] = self.triangle
        return seen.view(self.frames, self.height, self.width)

    def interpolate(self, attributes: Float[Tensor, "f v c"]) -> Float[Tensor, "p c"]:
        """Interpolate one attribute per vertex to every covered pixel."""
        channels = attributes.shape[2]
        faces = attributes.index_select(1, self.triangles.flatten()).reshape(-1, 3 * channels)
        frame = self.pixel.div(self.height * self.width, rounding_mode="floor")
        corners = faces.index_select(0, self.triangle + frame * len(self.triangles))
        first, second, third = corners.split(channels, dim=1)
        weights = self.barycentric.to(attributes.dtype)
        return first * weights[:, :1] + second * weights[:, 1:2] + third * weights[:, 2:]

    def scatter(self, values: Float[Tensor, "p c"], background: float = 0.0) -> Float[Tensor, "f c h w"]:
        """Spread one value per covered pixel into pictures."""
        size = self.frames * self.height * self.width
        picture = values.new_full((size, values.shape[1]), background)
        picture = picture.index_copy(0, self.pixel, values)
        return picture.view(self.frames, self.height, self.width, values.shape[1]).permute(0, 3, 1, 2)
