"""Facial Alignment: the reference's head, at the reference's size, with the driving clip's pose and expression."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.contracts import MorphableModel, Rasterizer
from anifacediff.geometry.faces import Box, FaceParameters, Similarity
from anifacediff.geometry.morphable import posed
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import ControlMaps, Topology, check_maps, find_convention, render_maps
from anifacediff.shapes import Float, Tensor

ANCHORS = ("driving", "reference", "camera")


@dataclass(frozen=True)
class Alignment:
    """What a whole clip shares; found from the reference and the clip's first frame.

    Attributes:
        shape: 1 s, the identity coefficients of every frame; None leaves each frame its own.
        scale: 1, by how much every driving frame is enlarged.
        shift: 1 2, pixels of the map: where the enlarged picture's origin lands; None enlarges each frame
            about the centre of its own face box.
        seat: the reference's camera and box, in pixels of the map, if all frames are seen by that camera.
    """

    shape: Float[Tensor, "1 s"] | None
    scale: Float[Tensor, "1"]
    shift: Float[Tensor, "1 2"] | None
    seat: FaceParameters | None = None

    def similarity(self, box: Box) -> Similarity:
        """Find the similarity for each frame, from its face box in pixels of the map."""
        scale = self.scale.expand(len(box.corners))
        if self.shift is None:
            return Similarity.about(box.center, scale)
        return Similarity(scale, self.shift.expand(len(scale), 2))


class FacialAlignment(nn.Module):
    """Draws the reference's face with the pose and expression of each driving frame; has no weights of its own.

    *Shape alignment*: the vertices of frame i are M(shape of the reference; pose and expression of
    frame i), so the maps carry no identity of the driver.

    *Scale alignment*: every driving frame is enlarged by one factor r = size of the reference's face box /
    size of the first driving frame's face box (size is the mean of width and height), so zooms inside
    the clip survive. By default it is enlarged about the centre of its own face box.

    Parameters are given in pixels of their canvas. Maps are square, so both canvases must be square; they
    may differ in size, and are brought to ``image_size`` first. (A video of another format is cropped to a
    square before it is tracked; stretching it would deform the face, and padding would make it small.)

    Rendering in pieces gives the pictures of the whole clip, equal in every bit::

        alignment = align.plan(reference, driving[:1])
        first, rest = align.render(alignment, driving[:8]), align.render(alignment, driving[8:])

    Args:
        morphable_model: any :class:`~anifacediff.geometry.MorphableModel`.
        image_size: height and width of the maps in pixels.
        rasterizer: any :class:`~anifacediff.geometry.Rasterizer`; a ``SpanRasterizer`` if None.
        align_shape: whether frames take the reference's shape; else each keeps the driver's.
        align_scale: whether frames take the reference's scale; else r = 1.
        anchor: ``"driving"`` leaves the face where the driver's is; ``"reference"`` puts the first frame's
            face box on the reference's and lets the face move from there (by r times the driver's motion);
            ``"camera"`` sees every frame by the reference's camera, so that the driver's translation and zoom are
            not taken over. All joints turn as the driver's do; those that a tracker does not estimate (DECA and
            SMIRK: neck and eyes) are at rest.
        convention: the name of a convention of :mod:`anifacediff.geometry.snapshots`.
        maps: which maps to draw: some of ``"normal"``, ``"depth"``, ``"shaded"``.

    Raises:
        InputError: if ``image_size`` is not positive, or ``anchor``, ``convention`` or ``maps`` is unknown.

    Source:
        AniFaceDiff, arXiv 2406.13272, section 3.3, equation 2. The pivot, the size of a box and
        ``anchor`` are not said there. ``"camera"``: the Structured Face Alignment of MagicPortrait, as published.
    """

    def __init__(
        self,
        morphable_model: MorphableModel,
        *,
        image_size: int = 256,
        rasterizer: Rasterizer | None = None,
        align_shape: bool = True,
        align_scale: bool = True,
        anchor: str = "driving",
        convention: str = "anifacediff",
        maps: Collection[str] = ("normal",),
    ) -> None:
        super().__init__()
        if image_size < 1:
            raise InputError(f"image_size: expected a positive number of pixels, found {image_size}.")
        if anchor not in ANCHORS:
            raise InputError(f"anchor: expected one of {', '.join(ANCHORS)}; found {anchor!r}.")
        if not isinstance(morphable_model, MorphableModel):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(
                f"morphable_model: a {type(morphable_model).__name__} lacks members of "
                "anifacediff.geometry.MorphableModel; see its docstring for what a face model offers."
            )
        check_maps(maps)
        self.morphable_model = morphable_model
        self.image_size = image_size
        self.rasterizer = rasterizer if rasterizer is not None else SpanRasterizer()
        self.align_shape = align_shape
        self.align_scale = align_scale
        self.anchor = anchor
        self.convention = find_convention(convention)
        self.maps = tuple(maps)
        self.topology = Topology.of(morphable_model.triangles)

    def forward(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        """Draw a clip: :meth:`plan`, then :meth:`render`.

        Args:
            reference: one frame: whose face it is, and how large and where its box is.
            driving: f frames, at least one.

        Returns:
            The maps, ``image_size`` high and wide, one for each driving frame.
        """
        return self.render(self.plan(reference, driving), driving)

    def plan(self, reference: FaceParameters, driving: FaceParameters) -> Alignment:
        """Find what all frames of a clip share.

        Args:
            reference: one frame.
            driving: the clip, or its first frame alone; later frames are not looked at.

        Raises:
            ShapeError: if the reference is not one frame, the clip has none, or the numbers of
                coefficients or joints are not those of the model.
            InputError: if a canvas is not square or a face box is empty.
        """
        if len(reference) != 1:
            raise ShapeError(f"reference: expected exactly 1 frame, found {len(reference)}; choose one of them.")
        if len(driving) == 0:
            raise ShapeError("driving: expected at least 1 frame, found none.")
        first = self._on_map("driving", driving[:1])
        reference = self._on_map("reference", reference)
        scale = _size("reference", reference.box) / _size("driving", first.box)
        scale = scale if self.align_scale else torch.ones_like(scale)
        shift = None if self.anchor == "driving" else reference.box.center - first.box.center * scale[:, None]
        seat = reference if self.anchor == "camera" else None
        return Alignment(reference.shape if self.align_shape else None, scale, shift, seat)

    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        """Draw some frames of a clip.

        Args:
            alignment: of the clip, from :meth:`plan`.
            driving: any frames of the clip.

        Raises:
            ShapeError: if the numbers of coefficients or joints are not those of the model.
            InputError: if the canvas is not square.
        """
        face = self.aligned(alignment, driving)
        vertices = posed(self.morphable_model, face)
        if self.topology.triangles.device != vertices.device:
            self.topology = self.topology.to(vertices.device)
        return render_maps(
            vertices,
            self.topology,
            face.camera,
            size=(self.image_size, self.image_size),
            rasterizer=self.rasterizer,
            convention=self.convention,
            maps=self.maps,
        )

    def aligned(self, alignment: Alignment, driving: FaceParameters) -> FaceParameters:
        """The parameters that :meth:`render` draws, in pixels of the map.

        Args:
            alignment: of the clip, from :meth:`plan`.
            driving: any frames of the clip.

        Raises:
            ShapeError: if the numbers of coefficients or joints are not those of the model.
            InputError: if the canvas is not square.
        """
        face = self._on_map("driving", driving)
        if alignment.seat is not None:
            face = face.seen_as(alignment.seat)
        else:
            face = face.moved(alignment.similarity(face.box))
        return face if alignment.shape is None else face.shaped(alignment.shape)

    def _on_map(self, name: str, face: FaceParameters) -> FaceParameters:
        """Check parameters against the model, and express them in pixels of the map."""
        self._check(name, face)
        height, width = face.canvas
        if height != width or height < 1:
            raise InputError(
                f"{name}.canvas: expected a square, found {height} x {width}; "
                "crop to a square before tracking, and give the crop's size as canvas."
            )
        scale = torch.full_like(face.box.size, self.image_size / height)
        resized = Similarity(scale, scale.new_zeros(len(face), 2))
        return face.moved(resized, canvas=(self.image_size, self.image_size))

    def _check(self, name: str, face: FaceParameters) -> None:
        model = self.morphable_model
        sizes = {
            "shape": (face.shape.shape[1], model.num_shape, "identity coefficients"),
            "expression": (face.expression.shape[1], model.num_expression, "expression coefficients"),
            "pose": (face.pose.shape[1], len(model.joint_names), f"joints ({', '.join(model.joint_names)})"),
        }
        for field, (found, expected, what) in sizes.items():
            if found != expected:
                raise ShapeError(
                    f"{name}.{field}: the morphable model {type(model).__name__} has {expected} {what}, found {found}; "
                    "use parameters that were estimated with the same model."
                )


def _size(name: str, box: Box) -> Float[Tensor, "1"]:
    size = box.size
    if not bool(size > 0):
        raise InputError(f"{name}.box: the face box {box.corners[0].tolist()} is empty; give left, top, right, bottom.")
    return size
