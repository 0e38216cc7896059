"""PyTorch3D's rasteriser behind anifacediff's protocol."""

from typing import Any

import torch

from anifacediff.errors import PluginError
from anifacediff.geometry.fragments import Fragments
from anifacediff.geometry.rasterizer import check_mesh
from anifacediff.shapes import Float, Int, Tensor
from anifacediff_pytorch3d.conventions import to_fragments, to_ndc

try:
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes  # pyright: ignore[reportMissingImports]
    from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise PluginError(
        f"PyTorch3D cannot be imported ({error}). The package index has it for no current PyTorch on Linux; build it: "
        'pip install --no-build-isolation "git+https://github.com/facebookresearch/pytorch3d.git@stable" (a C++ '
        "compiler is needed, and nvcc for GPUs), or see "
        "https://github.com/facebookresearch/pytorch3d/blob/main/INSTALL.md for conda. The built-in rasterizer "
        '"span" needs none of it.'
    ) from error


class Pytorch3dRasterizer:
    """Finds the triangle seen at every pixel centre, as the renderers of DECA and of its successors do.

    One face for each pixel, no blur; both sides of a triangle are drawn. In contrast to the default rasteriser a pixel
    centre exactly on the edge between two triangles belongs to neither, and on a CPU the time grows with the number of
    pixels times the number of triangles.

    Args:
        bin_size: side in pixels of the bins that a GPU sorts faces into first; 0 is none, which is slow but never
            loses a face to a full bin; None leaves it to PyTorch3D. A CPU has no bins.

    Source: Ravi et al., "Accelerating 3D deep learning with PyTorch3D", 2020; ``rasterize_meshes`` of version 0.7.9.
    """

    def __init__(self, *, bin_size: int | None = None) -> None:
        self.bin_size = bin_size

    def __call__(
        self,
        screen: Float[Tensor, "f v 3"],
        triangles: Int[Tensor, "t 3"],
        *,
        height: int,
        width: int,
        perspective: bool = False,
    ) -> Fragments:
        """Rasterise a mesh, in single precision.

        Args:
            screen: f v 3, x and y in pixels (pixel centres at +0.5) and depth growing away from the viewer.
            triangles: t 3, vertex indices.
            height: of the picture in pixels.
            width: of the picture in pixels.
            perspective: whether barycentric coordinates are corrected by depth, which must then be positive.

        Raises:
            ShapeError: if ``screen`` or ``triangles`` have other axes.
            InputError: if the picture has no pixel or a triangle names a vertex that does not exist.
        """
        check_mesh(screen, triangles, height, width)
        corners = triangles.to(screen.device, torch.int64)
        frames = len(screen)
        if frames == 0 or len(corners) == 0:  # PyTorch3D refuses a mesh without faces
            nothing = screen.new_zeros(frames, height, width, 3, dtype=torch.float32)
            return to_fragments(torch.full_like(nothing[..., 0], -1, dtype=torch.int64), nothing, corners)
        meshes: Any = Meshes(
            verts=to_ndc(screen, height=height, width=width, perspective=perspective),
            faces=corners.expand(frames, -1, -1),
        )
        seen, _, barycentric, _ = rasterize_meshes(
            meshes,
            image_size=(height, width),
            blur_radius=0.0,
            faces_per_pixel=1,
            bin_size=self.bin_size,
            perspective_correct=perspective,
            clip_barycentric_coords=False,
            cull_backfaces=False,
        )
        return to_fragments(seen[..., 0], barycentric[..., 0, :], corners)
