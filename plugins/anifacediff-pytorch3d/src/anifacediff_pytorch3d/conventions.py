"""Between anifacediff's screen and fragments and those of PyTorch3D; nothing here needs PyTorch3D.

Convention: PyTorch3D has x to the left, y up and positive depth; the shorter side of the picture spans [-1, 1], the
longer one as much more as it is longer, and the edges of pixels, not their centres, lie on its ends.
"""

import torch

from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Int, Tensor

_NEAREST = 1.0  # depth of the nearest vertex without perspective; PyTorch3D drops what is not in front of the viewer
_FARTHEST = 2.0**20  # pixels from the picture's corner, beyond which the default rasteriser drops a vertex, too


def to_ndc(screen: Float[Tensor, "f v 3"], *, height: int, width: int, perspective: bool) -> Float[Tensor, "f v 3"]:
    """Move vertices from the screen to PyTorch3D's normalised device coordinates.

    Vertices that are not finite, beyond 2^20 pixels, or (under perspective) without positive depth get a negative
    depth, for which PyTorch3D drops their triangles whole, as the default rasteriser does.

    Args:
        screen: f v 3, x right and y down in pixels (centres at +0.5), depth growing away from the viewer.
        height: of the picture in pixels.
        width: of the picture in pixels.
        perspective: whether depth must be kept as it is, because barycentric coordinates are corrected by it. Without,
            it is only shifted to be positive.

    Returns:
        f v 3: ``x = (width - 2 x) / shorter``, ``y = (height - 2 y) / shorter``, positive depth.
    """
    x, y, depth = screen.to(torch.float32).unbind(-1)
    usable = screen.isfinite().all(-1) & (x.abs() < _FARTHEST) & (y.abs() < _FARTHEST)
    shorter = min(height, width)
    if perspective:
        usable = usable & (depth > 0)
    elif bool(usable.any()):
        depth = depth + (_NEAREST - depth.detach()[usable].min())
    moved = torch.stack([(width - 2 * x) / shorter, (height - 2 * y) / shorter, depth], dim=-1)
    return torch.where(usable[..., None], moved, moved.new_tensor([0.0, 0.0, -1.0]))


def to_fragments(
    faces: Int[Tensor, "f h w"],
    barycentric: Float[Tensor, "f h w 3"],
    triangles: Int[Tensor, "t 3"],
) -> Fragments:
    """Read what PyTorch3D rasterised.

    Args:
        faces: f h w, ``pix_to_face``: the face seen at every pixel, counted through all frames; -1 where there is none.
        barycentric: f h w 3, ``bary_coords``. Without perspective they do not quite sum to one on slivers, since
            PyTorch3D adds 1e-8 to the area of a face; they are divided by their sum.
        triangles: t 3, the vertex indices that were rasterised in every frame.
    """
    frames, height, width = faces.shape
    seen = faces.flatten()
    pixel = (seen >= 0).nonzero()[:, 0]
    weights = barycentric.flatten(0, 2).index_select(0, pixel)
    return Fragments(
        pixel=pixel,
        triangle=seen.index_select(0, pixel) % max(len(triangles), 1),
        barycentric=weights / weights.sum(-1, keepdim=True),
        triangles=triangles,
        frames=frames,
        height=height,
        width=width,
    )
