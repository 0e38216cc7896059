"""Pictures of a mesh that tell a denoiser where the face is; the one place for map conventions.

How a map is coloured is part of the weights that were trained on it, so every convention has a name
in :data:`CONVENTIONS` and does not change.

All conventions share the camera space of the normals (x to the image's right, y up, z to the
viewer), a background of 0, and the rules for depth and light in :func:`render_maps`. They differ in:

======================== =============================== ===================== =========================
name                     normal vector n of a pixel      normal map            range of every map
======================== =============================== ===================== =========================
anifacediff              unit length                     0.5 + 0.5 n           clipped to [0, 1]
deca                     as interpolated, length <= 1    n                     not clipped
magicportrait-published  as interpolated, length <= 1    n                     clipped to [0, 1], so that
                                                                               negative parts are lost
======================== =============================== ===================== =========================
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch.nn import functional as F

from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks, frames_at_once
from anifacediff.geometry.contracts import Rasterizer
from anifacediff.geometry.faces import Camera
from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Bool, Float, Int, Tensor, check_shape

MAPS = ("normal", "depth", "shaded")
_HARMONICS = (
    (1 / math.sqrt(4 * math.pi),)
    + 3 * (2 * math.pi / 3 * math.sqrt(3 / (4 * math.pi)),)
    + 3 * (math.pi / 4 * 3 * math.sqrt(5 / (12 * math.pi)),)
    + (math.pi / 4 * 3 / 2 * math.sqrt(5 / (12 * math.pi)), math.pi / 4 / 2 * math.sqrt(5 / (4 * math.pi)))
)


@dataclass(frozen=True)
class Convention:
    """How the quantities of a pixel become colours.

    Attributes:
        unit_normals: whether normals are brought back to unit length after interpolation.
        normal_offset: the colour of a normal of length zero.
        normal_gain: the change of colour for a unit of the normal.
        limits: the range that every map is clipped to, if any.
    """

    unit_normals: bool
    normal_offset: float
    normal_gain: float
    limits: tuple[float, float] | None


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "anifacediff": Convention(unit_normals=True, normal_offset=0.5, normal_gain=0.5, limits=(0.0, 1.0)),
        "deca": Convention(unit_normals=False, normal_offset=0.0, normal_gain=1.0, limits=None),
        "magicportrait-published": Convention(
            unit_normals=False, normal_offset=0.0, normal_gain=1.0, limits=(0.0, 1.0)
        ),
    }
)


@dataclass(frozen=True)
class ControlMaps:
    """What the denoiser is told to draw; maps that were not asked for are None.

    Attributes:
        mask: f h w, whether the mesh covers a pixel's centre.
        normal: f 3 h w, surface normals.
        depth: f 1 h w, 1 at the vertex nearest to the viewer and 0 at the farthest.
        shaded: f 3 h w, RGB of the lit surface.
    """

    mask: Bool[Tensor, "f h w"]
    normal: Float[Tensor, "f 3 h w"] | None = None
    depth: Float[Tensor, "f 1 h w"] | None = None
    shaded: Float[Tensor, "f 3 h w"] | None = None

    @classmethod
    def joined(cls, parts: Sequence["ControlMaps"]) -> "ControlMaps":
        """Put the maps of consecutive parts of a clip together."""
        return cls(
            torch.cat([part.mask for part in parts]),
            _joined([part.normal for part in parts]),
            _joined([part.depth for part in parts]),
            _joined([part.shaded for part in parts]),
        )


def _joined(pictures: Sequence[Tensor | None]) -> Tensor | None:
    present = [picture for picture in pictures if picture is not None]
    return torch.cat(present) if present else None


@dataclass(frozen=True)
class Topology:
    """The triangles of a mesh, and which of them meet at each vertex.

    Vertices are ranked by how many triangles meet there, most first. Round k lists the k-th triangle
    of every vertex that has one, in the order of the ranks.

    Attributes:
        triangles: t 3, vertex indices, counter-clockwise seen from outside.
        incident: n, the rounds' triangles, one round after the other.
        rounds: the length of each round.
        rank: v, the rank of each vertex.
    """

    triangles: Int[Tensor, "t 3"]
    incident: Int[Tensor, "n"]
    rounds: tuple[int, ...]
    rank: Int[Tensor, "v"]

    @classmethod
    def of(cls, triangles: Int[Tensor, "t 3"]) -> "Topology":
        """Find the triangles that meet at each vertex."""
        vertex, corner = triangles.long().flatten().sort(stable=True)
        degree = torch.bincount(vertex)
        rank = degree.argsort(descending=True, stable=True).argsort()
        order_at_vertex = torch.arange(len(vertex), device=vertex.device) - (degree.cumsum(0) - degree)[vertex]
        order = (order_at_vertex * len(degree) + rank[vertex]).argsort()
        return cls(triangles, corner[order] // 3, tuple(torch.bincount(order_at_vertex).tolist()), rank)

    def to(self, device: torch.device | str) -> "Topology":
        """Return a copy on another device."""
        return replace(
            self,
            triangles=self.triangles.to(device),
            incident=self.incident.to(device),
            rank=self.rank.to(device),
        )


def check_maps(maps: Collection[str]) -> None:
    """Raise :class:`InputError` unless ``maps`` holds one or more of :data:`MAPS`."""
    if isinstance(maps, str) or not maps or not set(maps) <= set(MAPS):
        found = f"the text {maps!r}; give a tuple" if isinstance(maps, str) else ", ".join(map(str, maps)) or "none"
        raise InputError(f"maps: expected one or more of {', '.join(MAPS)}; found {found}.")


def find_convention(name: str) -> Convention:
    """Look up one of :data:`CONVENTIONS`, raising :class:`InputError` with their names if there is none."""
    if name not in CONVENTIONS:
        raise InputError(f"convention: expected one of {', '.join(CONVENTIONS)}; found {name!r}.")
    return CONVENTIONS[name]


def default_light(device: torch.device | str | None = None) -> Float[Tensor, "9 3"]:
    """White light from the front and a little from above, on a grey albedo; the front is drawn as 0.74."""
    light = torch.zeros(9, 3, device=device)
    light[0], light[2], light[3] = 1.6, 0.16, 0.28
    return light


def vertex_normals(vertices: Float[Tensor, "f v 3"], topology: Topology) -> Float[Tensor, "f v 3"]:
    """Compute unit normals, the mean of a vertex's triangles weighted by their area.

    The triangles are added in the same order on every device, so the result is reproducible on CUDA.

    Args:
        vertices: f v 3, in any units; right-handed.
        topology: of the mesh, on the same device.

    Returns:
        f v 3, pointing outwards; zero at vertices without a triangle.
    """
    first, second, third = (vertices.index_select(1, corner) for corner in topology.triangles.T)
    area = torch.linalg.cross(second - first, third - first)
    total = area.new_zeros(len(area), len(topology.rank), 3)
    for triangle in topology.incident.split(topology.rounds):
        total[:, : len(triangle)] += area.index_select(1, triangle)
    normals = F.normalize(total, dim=2, eps=1e-20).index_select(1, topology.rank)
    return F.pad(normals, (0, 0, 0, vertices.shape[1] - normals.shape[1]))


def render_maps(
    vertices: Float[Tensor, "f v 3"],
    topology: Topology,
    camera: Camera,
    *,
    size: tuple[int, int],
    rasterizer: Rasterizer,
    convention: Convention = CONVENTIONS["anifacediff"],
    maps: Collection[str] = ("normal",),
    light: Float[Tensor, "9 3"] | None = None,
) -> ControlMaps:
    """Draw a mesh.

    *Normal*: the vertex normals in camera space, interpolated; colours as the convention says.

    *Depth*: (z_max - z) / (z_max - z_min), z growing away from the viewer, the limits taken over all
    vertices of the frame, so 1 is the nearest vertex and 0 the farthest. (DECA takes them over its
    whole batch; MagicPortrait, which feeds one frame at a time, over the frame.)

    *Shaded*: a white surface under second-order spherical harmonics; the same normals as above.

    Args:
        vertices: f v 3, model space.
        topology: of the mesh, on the same device.
        camera: one for each frame.
        size: height and width of the maps in pixels.
        rasterizer: finds the visible triangles.
        convention: one of :data:`CONVENTIONS`.
        maps: which of :data:`MAPS` to draw.
        light: 9 3, coefficients of the basis functions (1, x, y, z, xy, xz, yz, x^2 - y^2, 3 z^2 - 1) of the
            normal for R, G, B, times the albedo; :func:`default_light` if None.

    Raises:
        InputError: if ``maps`` names none or an unknown one.
        ShapeError: if ``vertices`` or ``light`` have other axes.

    Source:
        Normal snapshots: AniFaceDiff, arXiv 2406.13272, section 3.3. Depth and shading: the renderers of
        MagicPortrait and DECA.
    """
    check_shape("vertices", vertices, "f v 3", None, None, 3)
    check_maps(maps)
    light = default_light(vertices.device) if light is None else light
    check_shape("light", light, "9 3", 9, 3)
    height, width = size
    at_once = frames_at_once(height * width, vertices.device)
    if len(vertices) > at_once:
        return ControlMaps.joined(
            [
                render_maps(
                    vertices[frames],
                    topology,
                    camera[frames],
                    size=size,
                    rasterizer=rasterizer,
                    convention=convention,
                    maps=maps,
                    light=light,
                )
                for frames in chunks(len(vertices), at_once)
            ]
        )
    vertices = vertices.to(torch.promote_types(vertices.dtype, torch.float32))
    screen = camera.project(vertices)
    seen = rasterizer(screen, topology.triangles, height=height, width=width, perspective=camera.perspective)
    pictures: dict[str, Tensor] = {}
    if "depth" in maps:
        pictures["depth"] = seen.interpolate(_nearness(screen[..., 2:]))
    if "normal" in maps or "shaded" in maps:
        normals = seen.interpolate(vertex_normals(vertices, topology))
        normals = F.normalize(normals, dim=1) if convention.unit_normals else normals
        pictures |= _surface(normals, convention, light, maps)
    return ControlMaps(seen.mask, **{name: _painted(seen, picture, convention) for name, picture in pictures.items()})


def _surface(normals: Tensor, convention: Convention, light: Tensor, maps: Collection[str]) -> dict[str, Tensor]:
    """Colour p 3 normals."""
    pictures: dict[str, Tensor] = {}
    if "normal" in maps:
        pictures["normal"] = convention.normal_offset + convention.normal_gain * normals
    if "shaded" in maps:
        pictures["shaded"] = _shaded(normals, light)
    return pictures


def _nearness(depth: Tensor) -> Tensor:
    """Map f v 1 depths to 1 for the nearest vertex of each frame and 0 for the farthest."""
    nearest, farthest = depth.amin(1, keepdim=True), depth.amax(1, keepdim=True)
    extent = farthest - nearest
    return (farthest - depth) / torch.where(extent > 0, extent, 1)


def _shaded(normals: Tensor, light: Tensor) -> Tensor:
    """Light p 3 normals with spherical harmonics up to second order."""
    x, y, z = normals[:, :, None].unbind(1)
    basis = (torch.ones_like(x), x, y, z, x * y, x * z, y * z, x**2 - y**2, 3 * z**2 - 1)
    shaded = torch.zeros_like(normals)
    for function, factor, colour in zip(basis, _HARMONICS, light.to(normals.dtype), strict=True):
        shaded = shaded + function * (factor * colour)
    return shaded


def _painted(seen: Fragments, values: Tensor, convention: Convention) -> Tensor:
    return seen.scatter(values if convention.limits is None else values.clamp(*convention.limits))
