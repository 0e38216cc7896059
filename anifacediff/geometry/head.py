"""The built-in morphable head: made by code, free of anyone's data, with FLAME-like joints and parameters."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.geometry import head_components as parts
from anifacediff.geometry import head_rig as rig
from anifacediff.geometry.head_sculpt import sculpt
from anifacediff.geometry.morphable import SkinnedMesh, SkinnedModel, rotation_matrix
from anifacediff.shapes import Float, Int, Tensor, check_shape

METRES = 0.01


@dataclass(frozen=True)
class BuiltHead:
    """What :class:`ParametricHead` is made of; built once, then shared and never written to."""

    mesh: SkinnedMesh
    shape_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    face_landmarks: Int[Tensor, "51"]
    contour: Int[Tensor, "17 n"]


@cache
def build_head() -> BuiltHead:
    """Sculpt the head and evaluate its bases."""
    sculpture = sculpt()
    shapes, expressions = parts.shape_components(sculpture), parts.expression_components(sculpture)
    jaw = rig.jaw_weights(sculpture)

    def tensor(array: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    mesh = SkinnedMesh(
        template=tensor(sculpture.vertices * METRES),
        shape_basis=tensor(parts.shape_basis(sculpture, shapes) * METRES),
        expression_basis=tensor(parts.expression_basis(sculpture, expressions, jaw) * METRES),
        joint_regressor=tensor(rig.joint_regressor(sculpture)),
        skinning_weights=tensor(rig.skinning_weights(sculpture, jaw)),
        parents=rig.PARENTS,
        triangles=torch.from_numpy(sculpture.triangles.copy()),
        joint_names=rig.JOINT_NAMES,
    )
    return BuiltHead(
        mesh=mesh,
        shape_names=tuple(component.name for component in shapes),
        expression_names=tuple(component.name for component in expressions),
        face_landmarks=torch.from_numpy(rig.face_landmarks(sculpture)),
        contour=torch.from_numpy(rig.contour_candidates(sculpture)),
    )


class ParametricHead(SkinnedModel):
    """A parametric human head; satisfies :class:`~anifacediff.geometry.LandmarkedModel`.

    It has a skull, face, neck and ears, lids that close over separate eyeballs, and lips that open onto a pocket.
    Vertices are in metres: the head is about 0.23 high, its origin lies between the ears at the height of the nose.
    Joints: global and neck at the neck, jaw (a positive angle about x opens it), left_eye and right_eye (the person's
    own, at image-right and image-left). Building it is deterministic and needs no files.

    Attributes:
        shape_names: what each identity coefficient does.
        expression_names: what each expression coefficient does; left and right are the person's own.
    """

    shape_names: tuple[str, ...]
    expression_names: tuple[str, ...]

    def __init__(self) -> None:
        built = build_head()
        super().__init__(built.mesh)
        self.shape_names = built.shape_names
        self.expression_names = built.expression_names
        self.register_buffer("_face_landmarks", built.face_landmarks.clone(), persistent=False)
        self.register_buffer("_contour", built.contour.clone(), persistent=False)

    _face_landmarks: Tensor
    _contour: Tensor

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f j 3"]) -> Float[Tensor, "f 68 3"]:
        """Pick the 68 iBUG landmarks out of posed vertices.

        Points 17 to 67 are fixed vertices. Points 0 to 16 follow the silhouette: each has a row of candidates, from
        the face back towards the ear at its height, and is the one furthest outwards along the head's own x axis as
        seen in the image.

        Args:
            vertices: f v 3, as the model returns them.
            pose: f j 3, the pose they were computed with.

        Returns:
            Landmarks in model space; differentiable in ``vertices``.

        Raises:
            ShapeError: if an argument does not belong to this model.
        """
        check_shape("vertices", vertices, "f v 3", None, self.num_vertices, 3)
        check_shape("pose", pose, "f j 3", vertices.shape[0], len(self.joint_names), 3)
        across = (rotation_matrix(pose[:, 0]) @ rotation_matrix(pose[:, 1]))[:, :2, 0]
        candidates = vertices[:, self._contour]
        outward = (candidates[..., :2] * across[:, None, None]).sum(-1)
        image_left = torch.arange(self._contour.shape[0], device=pose.device) < 8
        chosen = torch.where(image_left[:, None], -outward, outward).argmax(-1)
        contour = candidates.gather(2, chosen[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]
        return torch.cat([contour, vertices[:, self._face_landmarks]], dim=1)
