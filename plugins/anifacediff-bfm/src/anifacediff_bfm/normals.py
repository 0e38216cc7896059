"""The two published rules for the normals of a vertex."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from torch.nn import functional as F

from anifacediff.errors import InputError
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.geometry.snapshots import Topology, vertex_normals
from anifacediff.shapes import Float, Tensor
from anifacediff_bfm.model import BfmModel

NormalRule: TypeAlias = Literal["unit-faces", "area"]


def normals_of_unit_faces(vertices: Float[Tensor, "f v 3"], topology: Topology) -> Float[Tensor, "f v 3"]:
    """Compute unit normals, the mean of the unit normals of a vertex's triangles, however large they are.

    Args:
        vertices: f v 3, in any units; right-handed.
        topology: of the mesh, on the same device.

    Returns:
        f v 3, pointing outwards; zero at vertices without a triangle.

    Source: ``compute_norm`` of Deep3DFaceRecon_pytorch.
    """
    first, second, third = (vertices[:, corner] for corner in topology.triangles.T)
    faces = F.normalize(torch.linalg.cross(second - first, third - first), dim=2, eps=1e-20)
    total = torch.zeros_like(vertices).index_add(1, topology.triangles.flatten(), faces.repeat_interleave(3, dim=1))
    return F.normalize(total, dim=2, eps=1e-20)


NORMALS: Mapping[NormalRule, Callable[[Tensor, Topology], Tensor]] = MappingProxyType(
    {"unit-faces": normals_of_unit_faces, "area": vertex_normals}
)
"""``"unit-faces"``: Deep3DFaceRecon; ``"area"``: MIMAFace, triangles weighted by their area.

MIMAFace's own code computes wrong normals for a batch of exactly 3 frames, since it does not say along which axis its
cross product goes; that is not repeated here.
"""


def posed_normals(
    model: BfmModel,
    shape: Float[Tensor, "f s"],
    expression: Float[Tensor, "f e"],
    pose: Float[Tensor, "f j 3"],
    rule: NormalRule,
) -> Float[Tensor, "f v 3"]:
    """Compute the normals of a head that looks at the viewer, then turn them with it, as published.

    Args:
        model: of the face.
        shape: f s, identity coefficients.
        expression: f e, expression coefficients.
        pose: f 1 3, axis-angle in radians.
        rule: one of :data:`NORMALS`.

    Raises:
        InputError: if there is no such rule.
    """
    if rule not in NORMALS:
        raise InputError(f"normals: expected one of {', '.join(NORMALS)}; found {rule!r}.")
    straight = NORMALS[rule](model.unposed(shape, expression), Topology.of(model.triangles))
    return straight @ rotation_matrix(pose[:, 0]).mT
