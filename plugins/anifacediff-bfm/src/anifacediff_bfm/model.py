"""The Basel Face Model of 2009 with expressions, as Deep3DFaceRecon and MIMAFace use it."""

from dataclasses import dataclass

import torch
from torch import nn

from anifacediff.errors import InputError
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Int, Tensor, check_finite, check_shape

NUM_KEYPOINTS = 68


@dataclass(frozen=True)
class BfmArrays:
    """The arrays that define a BFM, in model space (x image right, y up, z to the viewer), in decimetres.

    Attributes:
        mean: v 3, the average neutral mesh; it need not be centred.
        shape_basis: v 3 s, displacement for one standard deviation of each identity coefficient.
        expression_basis: v 3 e, the same for expression.
        texture_mean: v 3, the average RGB, 0 to 255.
        texture_basis: v 3 n, change of RGB for one standard deviation of each texture coefficient.
        triangles: t 3, vertex indices from 0, counter-clockwise seen from outside.
        keypoints: 68, the vertices of the iBUG landmarks, from 0.
    """

    mean: Float[Tensor, "v 3"]
    shape_basis: Float[Tensor, "v 3 s"]
    expression_basis: Float[Tensor, "v 3 e"]
    texture_mean: Float[Tensor, "v 3"]
    texture_basis: Float[Tensor, "v 3 n"]
    triangles: Int[Tensor, "t 3"]
    keypoints: Int[Tensor, "68"]

    def check(self) -> None:
        """Raise if the arrays do not fit together.

        Raises:
            ShapeError: if an array disagrees about the number of vertices, or there are not 68 keypoints.
            InputError: if a value is NaN or infinite, or an index names no vertex.
        """
        check_shape("mean", self.mean, "v 3", None, 3)
        vertices = len(self.mean)
        check_shape("shape_basis", self.shape_basis, "v 3 s", vertices, 3, None)
        check_shape("expression_basis", self.expression_basis, "v 3 e", vertices, 3, None)
        check_shape("texture_mean", self.texture_mean, "v 3", vertices, 3)
        check_shape("texture_basis", self.texture_basis, "v 3 n", vertices, 3, None)
        check_shape("triangles", self.triangles, "t 3", None, 3)
        check_shape("keypoints", self.keypoints, "68", NUM_KEYPOINTS)
        for name in ("mean", "shape_basis", "expression_basis", "texture_mean", "texture_basis"):
            check_finite(name, getattr(self, name))
        for name, indices in (("triangles", self.triangles), ("keypoints", self.keypoints)):
            if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < vertices:
                raise InputError(
                    f"{name}: indices must lie in [0, {vertices}), the number of vertices in mean, found "
                    f"{int(indices.min())} to {int(indices.max())}. The published files count from 1."
                )


class BfmModel(nn.Module):
    """The Basel Face Model; satisfies :class:`~anifacediff.geometry.LandmarkedModel`.

    The mesh is centred by the mean of its average vertices, and turned about that centre. Its one joint,
    ``"global"``, is the whole head. The landmarks are fixed vertices, on the jaw line, too: that is how the
    published encoders were trained. The arrays are buffers that move with ``.to()`` but are not saved.

    Args:
        arrays: of the model.

    Raises:
        ShapeError, InputError: if the arrays do not fit together.

    Source: Paysan et al., "A 3D face model for pose and illumination invariant face recognition", 2009; expressions
        of Guo et al. 2018; joined as in Deng et al. 2019, ``models/bfm.py`` of Deep3DFaceRecon_pytorch.
    """

    def __init__(self, arrays: BfmArrays) -> None:
        super().__init__()
        arrays.check()
        self.num_shape = arrays.shape_basis.shape[-1]
        self.num_expression = arrays.expression_basis.shape[-1]
        self.num_texture = arrays.texture_basis.shape[-1]
        self.joint_names = ("global",)
        basis = torch.cat([arrays.shape_basis, arrays.expression_basis], dim=-1)
        self.register_buffer("_mean", arrays.mean - arrays.mean.mean(0), persistent=False)
        self.register_buffer("_basis", basis.permute(2, 0, 1).contiguous(), persistent=False)
        self.register_buffer("_texture_mean", arrays.texture_mean.clone(), persistent=False)
        self.register_buffer("_texture_basis", arrays.texture_basis.permute(2, 0, 1).contiguous(), persistent=False)
        self.register_buffer("_triangles", arrays.triangles.long(), persistent=False)
        self.register_buffer("_keypoints", arrays.keypoints.long(), persistent=False)

    _mean: Tensor
    _basis: Tensor
    _texture_mean: Tensor
    _texture_basis: Tensor
    _triangles: Tensor
    _keypoints: Tensor

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self._triangles

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
            pose: f 1 3, rotation of the head, axis-angle in radians; see :func:`~.coefficients.rotation_of`.

        Returns:
            Vertices in decimetres of model space.

        Raises:
            ShapeError: if an argument has another number of coefficients, joints or frames.
        """
        check_shape("pose", pose, "f j 3", len(shape), 1, 3)
        return _turned(self.unposed(shape, expression), pose)

    def unposed(self, shape: Float[Tensor, "f s"], expression: Float[Tensor, "f e"]) -> Float[Tensor, "f v 3"]:
        """Compute the vertices of heads that look at the viewer; arguments and errors as for calling the model."""
        return self._shaped(shape, expression, self._mean, self._basis)

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f j 3"]) -> Float[Tensor, "f 68 3"]:
        """Pick the 68 keypoints out of posed vertices; the same vertices for every pose."""
        return vertices[:, self._keypoints]

    def posed_landmarks(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Float[Tensor, "f 68 3"]:
        """The landmarks of a posed face without the rest of its mesh; arguments and errors as for calling the model."""
        check_shape("pose", pose, "f j 3", len(shape), 1, 3)
        points = self._shaped(shape, expression, self._mean[self._keypoints], self._basis[:, self._keypoints])
        return _turned(points, pose)

    def texture(self, coefficients: Float[Tensor, "f n"]) -> Float[Tensor, "f v 3"]:
        """Compute the unlit colour of every vertex.

        Args:
            coefficients: f n, texture coefficients in standard deviations.

        Returns:
            RGB, 0 to 255 (Deep3DFaceRecon divides it by 255); not clipped.
        """
        check_shape("coefficients", coefficients, "f n", None, self.num_texture)
        return self._texture_mean + torch.einsum("fn,nvc->fvc", coefficients, self._texture_basis)

    def _shaped(self, shape: Tensor, expression: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
        check_shape("shape", shape, "f s", None, self.num_shape)
        check_shape("expression", expression, "f e", len(shape), self.num_expression)
        return mean + torch.einsum("fn,nvc->fvc", torch.cat([shape, expression], dim=-1), basis)


def _turned(points: Tensor, pose: Tensor) -> Tensor:
    return points @ rotation_matrix(pose[:, 0]).mT
