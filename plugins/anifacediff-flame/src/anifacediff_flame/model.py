"""FLAME: a head with an articulated neck, jaw and eyes."""

from dataclasses import dataclass

from torch import nn

from anifacediff.errors import InputError
from anifacediff.geometry.morphable import SkinnedMesh, SkinnedModel
from anifacediff.shapes import Float, Int, Tensor, check_shape
from anifacediff_flame.landmarks import LandmarkEmbedding, YawConvention, check_convention, contour_rows

JOINTS = ("global", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)
MOST_SHAPE = 300
MOST_EXPRESSION = 100


@dataclass(frozen=True)
class FlameArrays:
    """What a file of FLAME holds, in metres; x to the image's right, y up, z to the viewer.

    Attributes:
        template: v 3, the neutral average head.
        basis: v 3 400, displacement for one standard deviation: 300 columns of identity, then 100 of expression.
        pose_basis: v 3 36, displacement for the entries of (R - I) of the joints after the first.
        joint_regressor: 5 v, joints as combinations of vertices.
        skinning_weights: v 5, how much each joint moves a vertex.
        triangles: t 3, vertex indices.
        parents: 5, the parent of each joint.
    """

    template: Float[Tensor, "v 3"]
    basis: Float[Tensor, "v 3 400"]
    pose_basis: Float[Tensor, "v 3 36"]
    joint_regressor: Float[Tensor, "5 v"]
    skinning_weights: Float[Tensor, "v 5"]
    triangles: Int[Tensor, "t 3"]
    parents: tuple[int, ...] = PARENTS

    def mesh(self, num_shape: int, num_expression: int) -> SkinnedMesh:
        """The first coefficients of identity and of expression.

        Raises:
            InputError: if there are not so many.
            ShapeError: if an array disagrees about the number of vertices, joints or columns.
        """
        self._check_shapes()
        for name, wanted, most in (
            ("num_shape", num_shape, MOST_SHAPE),
            ("num_expression", num_expression, MOST_EXPRESSION),
        ):
            if not 0 < wanted <= most:
                raise InputError(f"{name}: FLAME has 1 to {most} of them, found {wanted}.")
        return SkinnedMesh(
            template=self.template,
            shape_basis=self.basis[..., :num_shape],
            expression_basis=self.basis[..., MOST_SHAPE : MOST_SHAPE + num_expression],
            pose_basis=self.pose_basis,
            joint_regressor=self.joint_regressor,
            skinning_weights=self.skinning_weights,
            parents=self.parents,
            triangles=self.triangles,
            joint_names=JOINTS,
        )

    def _check_shapes(self) -> None:
        check_shape("template", self.template, "v 3", None, 3)
        vertices, joints = len(self.template), len(JOINTS)
        check_shape("basis", self.basis, "v 3 400", vertices, 3, MOST_SHAPE + MOST_EXPRESSION)
        check_shape("pose_basis", self.pose_basis, "v 3 36", vertices, 3, 9 * (joints - 1))
        check_shape("joint_regressor", self.joint_regressor, "5 v", joints, vertices)
        check_shape("skinning_weights", self.skinning_weights, "v 5", vertices, joints)
        check_shape("triangles", self.triangles, "t 3", None, 3)


class FlameModel(nn.Module):
    """A head of FLAME's; satisfies :class:`~anifacediff.geometry.LandmarkedModel`.

    Its arrays move with ``.to()`` but are not saved: they are the model's data, not weights.

    Args:
        arrays: of the model's file.
        embedding: where the landmarks lie.
        num_shape: how many of the 300 identity coefficients are used; DECA has 100.
        num_expression: how many of the 100 expression coefficients are used; DECA has 50.
        yaw: which sign of yaw chooses the contour, see :func:`~anifacediff_flame.landmarks.contour_rows`.

    Raises:
        ShapeError, InputError: if the arrays do not fit together, or there are not so many coefficients.

    Source: Li et al., "Learning a model of facial shape and expression from 4D scans", 2017.
    """

    def __init__(
        self,
        arrays: FlameArrays,
        embedding: LandmarkEmbedding,
        *,
        num_shape: int = 100,
        num_expression: int = 50,
        yaw: YawConvention = "deca",
    ) -> None:
        super().__init__()
        check_convention(yaw)
        self.skin = SkinnedModel(arrays.mesh(num_shape, num_expression))
        embedding.check(len(arrays.triangles))
        self.num_shape = num_shape
        self.num_expression = num_expression
        self.joint_names = JOINTS
        self.yaw: YawConvention = yaw
        for name, values in vars(embedding).items():
            self.register_buffer(name, values.clone(), persistent=False)

    contour_triangles: Tensor
    contour_barycentric: Tensor
    inner_triangles: Tensor
    inner_barycentric: Tensor

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self.skin.triangles

    def forward(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f 5 3"],
    ) -> Float[Tensor, "f v 3"]:
        """Compute posed vertices in metres; arguments and errors as for :class:`SkinnedModel`."""
        return self.skin(shape, expression, pose)

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f 5 3"]) -> Float[Tensor, "f 68 3"]:
        """Pick the landmarks out of posed vertices: 17 of the contour that ``pose`` shows, and 51 that stay."""
        rows = contour_rows(pose, self.yaw, len(self.contour_triangles))
        embedding = LandmarkEmbedding(
            self.contour_triangles, self.contour_barycentric, self.inner_triangles, self.inner_barycentric
        )
        return embedding.place(vertices, self.triangles, rows)
