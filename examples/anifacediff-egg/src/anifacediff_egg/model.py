"""An egg with a nose and a mouth."""

import torch
from torch import nn

from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Int, Tensor, check_shape

RADII = (0.08, 0.11, 0.09)  # metres: half of its width, height and depth
ROWS, COLUMNS = 24, 32


class Egg(nn.Module):
    """An ellipsoid in metres; satisfies :class:`~anifacediff.geometry.MorphableModel`.

    Shape coefficients make it wider, taller and deeper, by a tenth each; expressions put out its nose and open its
    mouth.
    """

    num_shape, num_expression, joint_names = 3, 2, ("global",)
    _template: Tensor
    _shape_basis: Tensor
    _expression_basis: Tensor
    _triangles: Tensor

    def __init__(self) -> None:
        super().__init__()
        directions, triangles = _sphere()
        egg = directions * torch.tensor(RADII)
        nose = 0.02 * _bump(directions, 0.0) * directions
        mouth = -0.02 * _bump(directions, -0.6) * directions
        self.register_buffer("_template", egg, persistent=False)
        self.register_buffer("_shape_basis", 0.1 * torch.stack([egg * axis for axis in torch.eye(3)]), persistent=False)
        self.register_buffer("_expression_basis", torch.stack([nose, mouth]), persistent=False)
        self.register_buffer("_triangles", triangles, persistent=False)

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self._triangles

    def forward(
        self, shape: Float[Tensor, "f s"], expression: Float[Tensor, "f e"], pose: Float[Tensor, "f j 3"]
    ) -> Float[Tensor, "f v 3"]:
        """Compute posed vertices; raises a ShapeError that names the argument if a size is wrong."""
        check_shape("shape", shape, "f s", None, 3)
        check_shape("expression", expression, "f e", len(shape), 2)
        check_shape("pose", pose, "f j 3", len(shape), 1, 3)
        moved = torch.einsum("fs,svc->fvc", shape, self._shape_basis)
        moved = moved + torch.einsum("fe,evc->fvc", expression, self._expression_basis)
        return (self._template + moved) @ rotation_matrix(pose[:, 0]).mT  # rows times the transpose turn the vertices


def _sphere() -> tuple[Float[Tensor, "v 3"], Int[Tensor, "t 3"]]:
    """Directions from the middle, row by row from the top, and the triangles between them."""
    down = torch.linspace(0, torch.pi, ROWS)[:, None]
    around = torch.arange(COLUMNS) * (2 * torch.pi / COLUMNS)
    x, y, z = down.sin() * around.sin(), down.cos().expand(ROWS, COLUMNS), down.sin() * around.cos()
    index = torch.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    here, below = index[:-1], index[1:]
    right, below_right = here.roll(-1, 1), below.roll(-1, 1)
    quads = torch.cat([torch.stack([here, below, below_right], -1), torch.stack([here, below_right, right], -1)])
    return torch.stack([x, y, z], -1).flatten(0, 1), quads.flatten(0, 1)


def _bump(directions: Float[Tensor, "v 3"], height: float) -> Float[Tensor, "v 1"]:
    """One at the front at a height from -1 to 1, fading to zero around it."""
    middle = torch.tensor([0.0, height, (1 - height**2) ** 0.5])
    return torch.exp(-20 * (directions - middle).square().sum(1, keepdim=True))
