"""The reference's own pixels, moved to where the driving face has them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from anifacediff.conditioning.fetching import check_reference, fetched, on_picture, places
from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks, frames_at_once
from anifacediff.geometry.contracts import MorphableModel, Rasterizer
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.morphable import posed
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import Topology, vertex_normals
from anifacediff.shapes import Float, Tensor

_COARSE = 32  # cells along a side on which the motion is spread beyond the face
_REACH = 4  # cells that one of three averages reaches
_STILLNESS = 0.02  # what is far from the face stays where it is


@dataclass(frozen=True)
class WarpedReference:
    """What the reference shows of each driving frame.

    Attributes:
        image: f 3 h w, the reference's pixels, moved.
        shown: f 1 h w, the cosine between a spot's surface and the camera's axis in the reference: one where the
            reference shows it frontally, zero where it is turned away; fades to zero away from the face. What hides
            behind another part of the face, or lies beyond the picture, is not told apart.
    """

    image: Float[Tensor, "f 3 h w"]
    shown: Float[Tensor, "f 1 h w"]


class ReferenceWarp:
    """Moves the pixels of a reference as the mesh of its face moves, without any weights.

    A pixel that shows a spot of the driving mesh takes the colour of the same spot in the reference. Beyond the mesh
    the motion is spread and fades, so that hair follows the head and the background stays. Where the reference hides a
    spot, whatever is in its way there is seen; ``shown`` tells for spots that are turned away.

    Args:
        morphable_model: any :class:`~anifacediff.geometry.MorphableModel`.
        image_size: height and width of the pictures in pixels.
        rasterizer: any :class:`~anifacediff.geometry.Rasterizer`; a ``SpanRasterizer`` if None.

    Raises:
        InputError: if ``image_size`` is smaller than 32.

    Source: not in the AniFaceDiff papers; in the spirit of the rendered reference that MIMAFace is conditioned on.
    """

    def __init__(
        self, morphable_model: MorphableModel, *, image_size: int, rasterizer: Rasterizer | None = None
    ) -> None:
        if image_size < _COARSE:
            raise InputError(f"image_size: expected at least {_COARSE} pixels, found {image_size}.")
        self.morphable_model = morphable_model
        self.image_size = image_size
        self.rasterizer = SpanRasterizer() if rasterizer is None else rasterizer
        self.topology = Topology.of(morphable_model.triangles)

    def __call__(
        self, image: Float[Tensor, "1 3 h w"], reference: FaceParameters, face: FaceParameters
    ) -> WarpedReference:
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
        at_once = frames_at_once(self.image_size**2, face.shape.device)
        source = self._source(reference)
        parts = [self._warped(image, source, face[part]) for part in chunks(len(face), at_once)]
        return WarpedReference(torch.cat([part.image for part in parts]), torch.cat([part.shown for part in parts]))

    def _source(self, reference: FaceParameters) -> Float[Tensor, "1 v 3"]:
        """Where the reference has each vertex, x and y in pixels, and how frontally it shows it."""
        vertices = posed(self.morphable_model, reference)
        frontal = vertex_normals(vertices, self.topology.to(vertices.device))[..., 2:].clamp(min=0)
        screen = on_picture("reference", reference, self.image_size).project(vertices)
        return torch.cat([screen[..., :2], frontal], dim=2)

    def _warped(self, image: Tensor, source: Tensor, face: FaceParameters) -> WarpedReference:
        side = self.image_size
        seen = self.rasterizer(
            on_picture("face", face, self.image_size).project(posed(self.morphable_model, face)),
            self.topology.triangles.to(source.device),
            height=side,
            width=side,
            perspective=face.camera.perspective,
        )
        found = seen.scatter(seen.interpolate(source.expand(len(face), -1, -1)))
        mask, here = seen.mask[:, None].to(found.dtype), places(found)
        motion = torch.cat([(found[:, :2] - here) * mask, found[:, 2:]], dim=1)
        motion = torch.where(mask > 0, motion, _spread(motion, mask))
        return WarpedReference(fetched(image, here + motion[:, :2]), motion[:, 2:].to(image.dtype))


def _spread(values: Float[Tensor, "f c h w"], mask: Float[Tensor, "f 1 h w"]) -> Float[Tensor, "f c h w"]:
    """Carry values from where the mask is one to their surroundings, ever weaker; near the mask they are its mean."""
    both = F.adaptive_avg_pool2d(torch.cat([values * mask, mask], dim=1), _COARSE)
    for _ in range(3):
        both = F.avg_pool2d(both, 2 * _REACH + 1, stride=1, padding=_REACH)
    spread = both[:, :-1] / (both[:, -1:] + _STILLNESS)
    return F.interpolate(spread, size=values.shape[-2:], mode="bilinear", align_corners=False)
