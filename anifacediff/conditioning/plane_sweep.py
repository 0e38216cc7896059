"""The reference's pixels, moved as planes at several depths of its head would move."""

import math
from collections.abc import Sequence

import torch

from anifacediff.conditioning.fetching import check_one_face, check_reference, fetched, on_picture, places
from anifacediff.errors import InputError
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.morphable import posed
from anifacediff.shapes import Float, Tensor

DEPTHS = (0.0, 0.25, 0.5, 1.0, 2.0)
BODY_DEPTHS = (0.5,)
PLANES = len(DEPTHS) + len(BODY_DEPTHS)
_NECK = 0.35  # of a mesh's height; what is above it, moves with the head
_BODY = ("global",)  # the joints that carry the body
_HEAD = ("global", "neck")  # those that carry the head; others move parts of it


class PlaneSweep:
    """Moves a picture by the motion that its head has at given depths, and by that of its body.

    A face model says nothing of hair and hats, or of how far behind the face they are, but they turn with it; and
    clothes move as a head does whose neck is held still. Each depth stands for a plane parallel to the driven picture,
    and is one guess, right for what lies there; a network chooses among them, place by place. A motion is the affine
    one that fits best to the upper part of the mesh, its expression and its jaw at rest.

    Args:
        morphable_model: any :class:`~anifacediff.geometry.MorphableModel`.
        image_size: height and width of the pictures in pixels.
        depths: of the planes behind the middle of the head, in radii of a ball whose surface is spread as far in depth;
            for a head that is longer than wide, they are a little larger if it looks at the viewer.
        body_depths: of the planes that move with the body, in the same measure. For a face model without a neck, or a
            tracker that does not use it, the body moves with the head.

    Raises:
        InputError: if there is no depth at all, or one is NaN or infinite.

    Source: not in the AniFaceDiff papers; the plane sweep of stereo vision (Collins, "A Space-Sweep Approach to True
    Multi-Image Matching"), applied to a head in place of a scene.
    """

    def __init__(
        self,
        morphable_model: MorphableModel,
        *,
        image_size: int,
        depths: Sequence[float] = DEPTHS,
        body_depths: Sequence[float] = BODY_DEPTHS,
    ) -> None:
        if not depths and not body_depths:
            raise InputError("depths, body_depths: expected one at least, found none.")
        if not all(math.isfinite(depth) for depth in (*depths, *body_depths)):
            raise InputError(f"depths, body_depths: expected finite numbers, found {(*depths, *body_depths)}.")
        self.morphable_model = morphable_model
        self.image_size = image_size
        self.depths = tuple(depths)
        self.body_depths = tuple(body_depths)

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
        check_reference(image, reference, self.image_size)
        motions = self.motions(reference, face)
        return torch.stack([moved(image, each) for each in motions.unbind(1)], dim=1)

    def motions(self, reference: FaceParameters, face: FaceParameters) -> Float[Tensor, "f p 2 3"]:
        """Affine maps from a pixel of a frame to the reference's pixel that is seen there; first the head's depths.

        Raises:
            ShapeError: if the reference is not one frame.
            InputError: if a canvas is not square.
        """
        check_one_face(reference)
        parts = (_HEAD, self.depths), (_BODY, self.body_depths)
        return torch.cat([self._motions(reference, face, *part) for part in parts if part[1]], dim=1)

    def _motions(
        self, reference: FaceParameters, face: FaceParameters, carriers: Sequence[str], depths: Sequence[float]
    ) -> Float[Tensor, "f p 2 3"]:
        weight = self._upper_part(reference)
        source = self._screen("reference", reference, carriers)[..., :2]
        target = self._screen("face", face, carriers)
        center = (weight * target).sum(1)
        spread = target - center[:, None]
        turned, by_depth = _fitted(spread, source, weight).split([2, 1], dim=2)
        radius = (weight[:, 0] * spread[..., 2].square()).sum(1).mul(3).sqrt()
        behind = radius[:, None] * radius.new_tensor(depths)
        middle = (weight * source).sum(1) - (turned * center[:, None, :2]).sum(2)
        origins = middle[:, None] + behind[..., None] * by_depth[:, None, :, 0]
        return torch.cat([turned[:, None].expand(-1, len(depths), -1, -1), origins[..., None]], dim=3)

    def _screen(self, name: str, face: FaceParameters, carriers: Sequence[str]) -> Float[Tensor, "f v 3"]:
        """Where the picture has each vertex of a head that only some joints move, x and y in pixels, and how deep."""
        carried = [joint in carriers for joint in self.morphable_model.joint_names]
        pose = face.pose * face.pose.new_tensor(carried)[:, None]
        still = face.acting(torch.zeros_like(face.expression), pose)
        return on_picture(name, face, self.image_size).project(posed(self.morphable_model, still))

    def _upper_part(self, face: FaceParameters) -> Float[Tensor, "v 1"]:
        """One for vertices above the neck, zero for others, divided by their number."""
        neutral = [torch.zeros_like(each[:1]) for each in (face.shape, face.expression, face.pose)]
        height = self.morphable_model(*neutral)[0, :, 1]
        above = (height > height.min() + _NECK * (height.max() - height.min())).to(height.dtype)
        return (above / above.sum())[:, None]


def moved(image: Float[Tensor, "#f c h w"], motions: Float[Tensor, "f 2 3"]) -> Float[Tensor, "f c h w"]:
    """Move a picture, or one for each map, by the maps of one depth, from :meth:`PlaneSweep.motions`."""
    x, y = places(image.to(motions.dtype)).unbind(1)
    by_x, by_y, origin = motions[..., None, None].unbind(2)
    return fetched(image, by_x * x + by_y * y + origin)


def _fitted(
    points: Float[Tensor, "f v 3"], values: Float[Tensor, "#f v 2"], weight: Float[Tensor, "v 1"]
) -> Float[Tensor, "f 2 3"]:
    """The linear map that brings centred points nearest to values.

    By sums and cross products: a product of matrices, or a solver of LAPACK's, would round differently from call to
    call, and so would frames in other windows.
    """
    weighted = weight * points
    squares = (points[..., :, None] * weighted[..., None, :]).sum(1)
    first, second, third = squares.unbind(1)
    pairs = ((second, third), (third, first), (first, second))
    cofactors = torch.stack([torch.linalg.cross(*pair) for pair in pairs], dim=1)
    determinant = (first * cofactors[:, 0]).sum(1)
    products = (values[..., :, None] * weighted[..., None, :]).sum(1)
    return (products[:, :, None] * cofactors[:, None]).sum(3) / determinant[:, None, None]
