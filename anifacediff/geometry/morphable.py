"""Linear blend skinning of a FLAME-like model: blend shapes, a kinematic chain, weights."""

from dataclasses import dataclass

import torch
from torch import nn

from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Int, Tensor, check_shape


def rotation_matrix(axis_angle: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """Rotate about an axis by the length of that axis; differentiable at zero, too.

    Args:
        axis_angle: *n 3, radians, right-handed.

    Returns:
        Matrices that rotate column vectors.

    Source: Rodrigues' formula, with its series where the angle is so small that it would divide by zero.
    """
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    versine = torch.where(small, 0.5 - squared / 24, 2 * (angle / 2).sin().square() / safe)
    cross = cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + versine * (cross @ cross)


def cross_matrix(vector: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """The matrix whose product with a column vector is the cross product of ``vector`` with it."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


@dataclass(frozen=True)
class SkinnedMesh:
    """The arrays that define a FLAME-like model, in model space (x image right, y up, z to the viewer).

    Attributes:
        template: v 3, the neutral average mesh.
        shape_basis: v 3 s, displacement for one standard deviation of each identity coefficient.
        expression_basis: v 3 e, the same for expression.
        joint_regressor: j v, joints as combinations of the shaped, unposed vertices; rows sum to one.
        skinning_weights: v j, how much each joint moves a vertex; rows sum to one.
        parents: j, the parent of each joint, -1 for the root, which is the first; parents come before children.
        triangles: t 3, vertex indices, counter-clockwise seen from outside.
        joint_names: j, ``"global"`` first.
        pose_basis: v 3 p, displacement for each entry of (R - I) of the joints after the root, row by row;
            None if there is none.
    """

    template: Float[Tensor, "v 3"]
    shape_basis: Float[Tensor, "v 3 s"]
    expression_basis: Float[Tensor, "v 3 e"]
    joint_regressor: Float[Tensor, "j v"]
    skinning_weights: Float[Tensor, "v j"]
    parents: tuple[int, ...]
    triangles: Int[Tensor, "t 3"]
    joint_names: tuple[str, ...]
    pose_basis: Float[Tensor, "v 3 p"] | None = None

    def check(self) -> None:
        """Raise if the arrays do not fit together.

        Raises:
            ShapeError: if an array disagrees about the number of vertices or joints.
            InputError: if the joints are no tree that starts at its root, or a triangle names no vertex.
        """
        check_shape("template", self.template, "v 3", None, 3)
        vertices, joints = self.template.shape[0], len(self.joint_names)
        check_shape("shape_basis", self.shape_basis, "v 3 s", vertices, 3, None)
        check_shape("expression_basis", self.expression_basis, "v 3 e", vertices, 3, None)
        check_shape("joint_regressor", self.joint_regressor, "j v", joints, vertices)
        check_shape("skinning_weights", self.skinning_weights, "v j", vertices, joints)
        check_shape("triangles", self.triangles, "t 3", None, 3)
        if self.pose_basis is not None:
            check_shape("pose_basis", self.pose_basis, "v 3 p", vertices, 3, 9 * (joints - 1))
        is_tree = len(self.parents) == joints and all(parent < joint for joint, parent in enumerate(self.parents))
        if not is_tree or self.parents[0] != -1 or min(self.parents[1:], default=0) < 0:
            raise InputError(
                f"parents: expected {joints} indices, -1 first and then always that of an earlier joint, "
                f"found {self.parents}."
            )
        if self.triangles.numel() and not 0 <= int(self.triangles.min()) <= int(self.triangles.max()) < vertices:
            raise InputError(f"triangles: indices must lie in [0, {vertices}), the number of vertices in template.")


class SkinnedModel(nn.Module):
    """A morphable model with joints, as FLAME defines it; satisfies :class:`~anifacediff.geometry.MorphableModel`.

    The arrays are buffers that move with ``.to()`` but are not saved: they are the model's data, not weights.

    Args:
        mesh: the arrays.

    Raises:
        ShapeError, InputError: if the arrays do not fit together.

    Source: Li et al., "Learning a model of facial shape and expression from 4D scans", 2017, section 4.
    """

    def __init__(self, mesh: SkinnedMesh) -> None:
        super().__init__()
        mesh.check()
        self.num_shape = mesh.shape_basis.shape[-1]
        self.num_expression = mesh.expression_basis.shape[-1]
        self.joint_names = mesh.joint_names
        self.parents = mesh.parents
        basis = torch.cat([mesh.shape_basis, mesh.expression_basis], dim=-1)
        regressor = mesh.joint_regressor.to(basis.dtype)
        self.register_buffer("_template", mesh.template.clone(), persistent=False)
        self.register_buffer("_basis", basis.flatten(0, 1).T.contiguous(), persistent=False)
        self.register_buffer("_joint_template", regressor @ mesh.template, persistent=False)
        self.register_buffer("_joint_basis", torch.einsum("jv,vcn->njc", regressor, basis).flatten(1), persistent=False)
        self.register_buffer("_weights", mesh.skinning_weights.clone(), persistent=False)
        self.register_buffer("_triangles", mesh.triangles.clone(), persistent=False)
        pose_basis = None if mesh.pose_basis is None else mesh.pose_basis.flatten(0, 1).T.contiguous()
        self.register_buffer("_pose_basis", pose_basis, persistent=False)

    _template: Tensor
    _basis: Tensor
    _joint_template: Tensor
    _joint_basis: Tensor
    _weights: Tensor
    _triangles: Tensor
    _pose_basis: Tensor | None

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self._triangles

    @property
    def num_vertices(self) -> int:
        """The number of vertices."""
        return self._template.shape[0]

    @property
    def template(self) -> Float[Tensor, "v 3"]:
        """The neutral average mesh."""
        return self._template

    def forward(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Float[Tensor, "f v 3"]:
        """Compute posed vertices.

        Args:
            shape: f s, identity coefficients in standard deviations.
            expression: f e, expression coefficients in standard deviations.
            pose: f j 3, axis-angle of each joint relative to its parent, radians.

        Returns:
            Vertices in model space.

        Raises:
            ShapeError: if an argument has another number of coefficients, joints or frames.
        """
        self._check(shape, expression, pose)
        coefficients = torch.cat([shape, expression], dim=-1)
        vertices = self._template + (coefficients @ self._basis).unflatten(-1, (-1, 3))
        rotations = rotation_matrix(pose)
        if self._pose_basis is not None:
            bent = rotations[:, 1:] - torch.eye(3, dtype=pose.dtype, device=pose.device)
            vertices = vertices + (bent.flatten(1) @ self._pose_basis).unflatten(-1, (-1, 3))
        rest = self._rest_joints(coefficients)
        turned, moved = self._chain(rotations, rest)
        offset = moved - (turned @ rest[..., None])[..., 0]
        transforms = torch.cat([turned, offset[..., None]], dim=-1)
        blended = (self._weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
        return (blended[..., :3] * vertices[..., None, :]).sum(-1) + blended[..., 3]

    def joints(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Float[Tensor, "f j 3"]:
        """Compute the posed joints; arguments and errors as for calling the model."""
        self._check(shape, expression, pose)
        rest = self._rest_joints(torch.cat([shape, expression], dim=-1))
        return self._chain(rotation_matrix(pose), rest)[1]

    def _check(self, shape: Tensor, expression: Tensor, pose: Tensor) -> None:
        frames = shape.shape[0]
        check_shape("shape", shape, "f s", frames, self.num_shape)
        check_shape("expression", expression, "f e", frames, self.num_expression)
        check_shape("pose", pose, "f j 3", frames, len(self.joint_names), 3)

    def _rest_joints(self, coefficients: Tensor) -> Tensor:
        return self._joint_template + (coefficients @ self._joint_basis).unflatten(-1, (-1, 3))

    def _chain(self, rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation and position of every joint in model space."""
        turned, moved = [rotations[:, 0]], [rest[:, 0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            bone = rest[:, joint] - rest[:, parent]
            moved.append(moved[parent] + (turned[parent] @ bone[..., None])[..., 0])
            turned.append(turned[parent] @ rotations[:, joint])
        return torch.stack(turned, dim=1), torch.stack(moved, dim=1)


def posed(model: MorphableModel, face: FaceParameters) -> Float[Tensor, "f v 3"]:
    """Compute the vertices of each frame by itself, since a product of matrices rounds differently for more rows."""
    return torch.cat([model(face.shape[i], face.expression[i], face.pose[i]) for i in chunks(len(face), 1)])
