"""The reference's pixels, moved as planes at several depths of its head would move."""

from collections.abc import Sequence

import torch

from anifacediff.conditioning.reference_warp import fetched, on_picture, places
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.morphable import posed
from anifacediff.shapes import Bool, Float, Tensor, check_finite, check_shape

DEPTHS = (0.0, 0.5, 1.0, 2.0)
_NECK = 0.35  # of a mesh's height; what is above it, moves with the head


class PlaneSweep:
    """Moves a picture as flat cards that turn with the head, at given depths behind its face.

    A face model says nothing of hair and hats, or of how far behind the face they are, but they turn with it. Each
    depth is one guess, right for what lies there; a network chooses among them, place by place. The head's motion is
    the affine one that fits best to the upper part of the mesh.

    Args:
        morphable_model: any :class:`~anifacediff.geometry.MorphableModel`.
        image_size: height and width of the pictures in pixels.
        depths: of the cards behind the middle of the head, in radii of a ball whose surface lies about as deep.

    Raises:
        InputError: if there is no depth.

    Source: not in the AniFaceDiff papers; the plane sweep of stereo vision (Collins, "A Space-Sweep Approach to True
    Multi-Image Matching"), applied to a head in place of a scene.
    """

    def __init__(self, morphable_model: MorphableModel, *, image_size: int, depths: Sequence[float] = DEPTHS) -> None:
        if not depths:
            raise InputError("depths: expected one at least, found none.")
        self.morphable_model = morphable_model
        self.image_size = image_size
        self.depths = tuple(depths)
        self._head = _upper_part(morphable_model)

    def __call__(
        self, image: Float[Tensor, "1 3 h w"], reference: FaceParameters, face: FaceParameters
    ) -> Float[Tensor, "f p 3 h w"]:
        """Move a picture.

        Args:
            image: 1 3 h w, the reference, ``image_size`` high and wide.
            reference: the face in it, one frame; its square canvas is brought to ``image_size``.
            face: f frames to move it to, as :meth:`FacialAlignment.aligned` gives them.

        Raises:
            ShapeError: if the image has another size, or the reference is not one frame.
            InputError: if the image holds NaN or infinity, or a canvas is not square.
        """
        check_finite("image", image)
        check_shape("image", image, "1 3 h w", 1, 3, self.image_size, self.image_size)
        motions = self.motions(reference, face)
        return torch.stack([moved(image, motions[:, plane]) for plane in range(len(self.depths))], dim=1)

    def motions(self, reference: FaceParameters, face: FaceParameters) -> Float[Tensor, "f p 2 3"]:
        """Affine maps from a pixel of a frame to the reference's pixel that is seen there, for each depth.

        Raises:
            ShapeError: if the reference is not one frame.
            InputError: if a canvas is not square.
        """
        if len(reference) != 1:
            raise ShapeError(f"reference: expected exactly 1 frame, found {len(reference)}; choose one of them.")
        source, target = self._screen("reference", reference), self._screen("face", face)
        center = target.mean(1)
        spread = target - center[:, None]
        turned, by_depth = _fitted(spread, source[..., :2]).split([2, 1], dim=2)
        radius = spread[..., 2].square().mean(1).mul(3).sqrt()  # of a ball whose surface is as deep
        behind = radius[:, None] * radius.new_tensor(self.depths)
        middle = source[..., :2].mean(1) - (turned * center[:, None, :2]).sum(2)
        origins = middle[:, None] + behind[..., None] * by_depth[:, None, :, 0]
        return torch.cat([turned[:, None].expand(-1, len(self.depths), -1, -1), origins[..., None]], dim=3)

    def _screen(self, name: str, face: FaceParameters) -> Float[Tensor, "f v 3"]:
        """Where the picture has each vertex of the head, x and y in pixels, and how deep."""
        vertices = posed(self.morphable_model, face)[:, self._head.to(face.shape.device)]
        return on_picture(name, face, self.image_size).project(vertices)


def moved(image: Float[Tensor, "1 c h w"], motions: Float[Tensor, "f 2 3"]) -> Float[Tensor, "f c h w"]:
    """Move a picture by the maps of one depth, from :meth:`PlaneSweep.motions`."""
    x, y = places(image.to(motions.dtype)).unbind(1)
    by_x, by_y, origin = motions[..., None, None].unbind(2)
    return fetched(image, by_x * x + by_y * y + origin)


def _fitted(points: Float[Tensor, "f v 3"], values: Float[Tensor, "#f v 2"]) -> Float[Tensor, "f 2 3"]:
    """The linear map that brings centred points nearest to values.

    By sums and cross products: a product of matrices, or a solver of LAPACK's, would round differently from call to
    call, and so would frames in other windows.
    """
    squares = (points[..., :, None] * points[..., None, :]).sum(1)
    first, second, third = squares.unbind(1)
    pairs = ((second, third), (third, first), (first, second))
    cofactors = torch.stack([torch.linalg.cross(*pair) for pair in pairs], dim=1)
    determinant = (first * cofactors[:, 0]).sum(1)
    products = (values[..., :, None] * points[..., None, :]).sum(1)
    return (products[:, :, None] * cofactors[:, None]).sum(3) / determinant[:, None, None]


def _upper_part(model: MorphableModel) -> Bool[Tensor, "v"]:
    """Which vertices of a model are above the neck."""
    device = model.triangles.device
    joints = len(model.joint_names)
    neutral = [
        torch.zeros(1, *size, device=device) for size in ((model.num_shape,), (model.num_expression,), (joints, 3))
    ]
    height = model(*neutral)[0, :, 1]
    return height > height.min() + _NECK * (height.max() - height.min())
