"""A face as numbers: its coefficients, where the camera sees it, and the box around it.

Pixel coordinates are those of an image called the *canvas*: x right, y down, the centre of the
top-left pixel at (0.5, 0.5). Every tensor has the frames as its first axis.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import torch

from anifacediff.errors import InputError, ShapeError
from anifacediff.shapes import Float, Int, Tensor, check_finite, check_shape

# typing.Self cannot be checked at run time outside decorated classes.
PerFrameT = TypeVar("PerFrameT", bound="PerFrame")
ValueT = TypeVar("ValueT")


def _derived(value: ValueT, **fields: object) -> ValueT:
    """Copy a frozen dataclass with other fields, without looking for NaN again, for which a GPU would be waited for."""
    derived = copy(value)
    vars(derived).update(fields)
    return derived


class PerFrame(ABC):
    """A dataclass of tensors that all have the frames as first axis."""

    @abstractmethod
    def map(self: PerFrameT, change: Callable[[Tensor], Tensor]) -> PerFrameT:
        """Return a copy with ``change`` applied to every tensor."""

    def __len__(self) -> int:
        """The number of frames."""
        return len(next(iter(vars(self).values())))

    def __getitem__(self: PerFrameT, frames: slice) -> PerFrameT:
        """Return some of the frames."""
        return self.map(lambda tensor: tensor[frames])

    def to(self: PerFrameT, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> PerFrameT:
        """Return a copy on another device or in another precision."""
        return self.map(lambda tensor: tensor.to(device=device, dtype=dtype))


@dataclass(frozen=True)
class Similarity(PerFrame):
    """A uniform scale followed by a translation in the image plane, one per frame.

    Attributes:
        scale: f, dimensionless.
        translation: f 2, pixels.
    """

    scale: Float[Tensor, "f"]
    translation: Float[Tensor, "f 2"]

    @classmethod
    def about(cls, pivot: Float[Tensor, "f 2"], scale: Float[Tensor, "f"]) -> "Similarity":
        """The scaling that leaves ``pivot`` where it is."""
        return cls(scale, pivot * (1 - scale[:, None]))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Similarity":
        return replace(self, scale=change(self.scale), translation=change(self.translation))

    def __call__(self, points: Float[Tensor, "f n 2"]) -> Float[Tensor, "f n 2"]:
        """Move points given in pixels."""
        return points * self.scale[:, None, None] + self.translation[:, None]

    def inverse(self) -> "Similarity":
        """The similarity that undoes this one."""
        return replace(self, scale=1 / self.scale, translation=-self.translation / self.scale[:, None])

    def then(self, after: "Similarity") -> "Similarity":
        """This similarity followed by another one."""
        return Similarity(self.scale * after.scale, self.translation * after.scale[:, None] + after.translation)


@dataclass(frozen=True)
class Box(PerFrame):
    """An axis-aligned rectangle per frame.

    Attributes:
        corners: f 4, pixels: left, top, right, bottom.
    """

    corners: Float[Tensor, "f 4"]

    @classmethod
    def around(cls, points: Float[Tensor, "f n 2"]) -> "Box":
        """The smallest box that holds all points of a frame."""
        return cls(torch.cat([points.amin(1), points.amax(1)], dim=-1))

    @property
    def center(self) -> Float[Tensor, "f 2"]:
        return (self.corners[:, :2] + self.corners[:, 2:]) / 2

    @property
    def width(self) -> Float[Tensor, "f"]:
        return self.corners[:, 2] - self.corners[:, 0]

    @property
    def height(self) -> Float[Tensor, "f"]:
        return self.corners[:, 3] - self.corners[:, 1]

    @property
    def size(self) -> Float[Tensor, "f"]:
        """The mean of width and height, as DECA's crop measures a face."""
        return (self.width + self.height) / 2

    def map(self, change: Callable[[Tensor], Tensor]) -> "Box":
        return replace(self, corners=change(self.corners))

    def moved(self, similarity: Similarity) -> "Box":
        """The box after a similarity of the image plane."""
        return Box(similarity(self.corners.unflatten(-1, (2, 2))).flatten(1))


@runtime_checkable
class Camera(Protocol):
    """Where model space lands on the canvas."""

    @property
    def perspective(self) -> bool:
        """Whether screen positions come from a division by depth."""
        ...

    def project(self, points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f n 3"]:
        """Model space to x, y in pixels and depth growing away from the viewer (positive under perspective)."""
        ...

    def moved(self, similarity: Similarity) -> "Camera":
        """The camera whose pictures are moved by ``similarity``."""
        ...

    def __len__(self) -> int:
        """The number of frames."""
        ...

    def __getitem__(self, frames: slice) -> "Camera": ...

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Camera": ...


@dataclass(frozen=True)
class WeakPerspective(PerFrame):
    """The scaled orthographic camera of DECA, in pixels of the canvas.

    ``x = translation_x + scale X``, ``y = translation_y - scale Y``, ``depth = -scale Z``.

    Attributes:
        scale: f, pixels for one unit of model space.
        translation: f 2, the pixel on which the origin of model space lands.

    Raises:
        ShapeError: if the fields are not f and f 2.
        InputError: if a value is NaN or infinite, or a scale not positive.
    """

    scale: Float[Tensor, "f"]
    translation: Float[Tensor, "f 2"]

    def __post_init__(self) -> None:
        check_shape("WeakPerspective.scale", self.scale, "f", None)
        check_shape("WeakPerspective.translation", self.translation, "f 2", len(self.scale), 2)
        check_finite("WeakPerspective.scale", self.scale)
        check_finite("WeakPerspective.translation", self.translation)
        if bool((self.scale <= 0).any()):
            raise InputError(f"WeakPerspective.scale: must be positive, found {float(self.scale.min())} pixels a unit.")

    @property
    def perspective(self) -> bool:
        return False

    def map(self, change: Callable[[Tensor], Tensor]) -> "WeakPerspective":
        return _derived(self, scale=change(self.scale), translation=change(self.translation))

    def project(self, points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f n 3"]:
        scaled = points * self.scale[:, None, None]
        x = self.translation[:, None, 0] + scaled[..., 0]
        y = self.translation[:, None, 1] - scaled[..., 1]
        return torch.stack([x, y, -scaled[..., 2]], dim=-1)

    def moved(self, similarity: Similarity) -> "WeakPerspective":
        origin = similarity(self.translation[:, None])[:, 0]
        return _derived(self, scale=self.scale * similarity.scale, translation=origin)


@dataclass(frozen=True)
class FaceParameters:
    """The coefficients of a morphable model for each frame, and where its face stands on a canvas.

    Attributes:
        shape: f s, identity coefficients, in standard deviations.
        expression: f e, expression coefficients, in standard deviations.
        pose: f j 3, rotation of each joint of the model relative to its parent, axis-angle in radians.
        camera: projects model space to pixels of the canvas.
        box: the face box in pixels of the canvas.
        canvas: height and width of the canvas in pixels.
        gaze: f n, where the eyes look, as its source counts it, if that is told apart from the expression.
        eyelids: f 2, how far the left and the right lids are closed, 0 to 1, if told apart from the expression.

    Values are looked at for NaN where parameters are made, not in the slices and copies made of them.

    Raises:
        ShapeError: if a field has other axes than those above, or another number of frames.
        InputError: if a value is NaN or infinite.
    """

    shape: Float[Tensor, "f s"]
    expression: Float[Tensor, "f e"]
    pose: Float[Tensor, "f j 3"]
    camera: Camera
    box: Box
    canvas: tuple[int, int]
    gaze: Float[Tensor, "f n"] | None = None
    eyelids: Float[Tensor, "f 2"] | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        for name, values in self._coefficients().items():
            check_finite(f"FaceParameters.{name}", values)
        check_finite("FaceParameters.box.corners", self.box.corners)

    def __len__(self) -> int:
        return self.shape.shape[0]

    def __getitem__(self, frames: slice) -> "FaceParameters":
        rows = {name: values[frames] for name, values in self._coefficients().items()}
        return self._changed(**rows, camera=self.camera[frames], box=self.box[frames])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "FaceParameters":
        """Return a copy on another device or in another precision."""
        moved = {name: values.to(device=device, dtype=dtype) for name, values in self._coefficients().items()}
        return self._changed(**moved, camera=self.camera.to(device, dtype), box=self.box.to(device, dtype))

    @property
    def expression_code(self) -> Float[Tensor, "f e"]:
        """All that is known of the expression: the coefficients, then gaze and eyelids where there are any."""
        parts = (self.expression, self.gaze, self.eyelids)
        return torch.cat([part for part in parts if part is not None], dim=1)

    def moved(self, similarity: Similarity, canvas: tuple[int, int] | None = None) -> "FaceParameters":
        """The same faces after a similarity of the image plane, on a canvas of another size if given."""
        return self._changed(
            camera=self.camera.moved(similarity),
            box=self.box.moved(similarity),
            canvas=self.canvas if canvas is None else canvas,
        )

    def shaped(self, shape: Float[Tensor, "1 s"]) -> "FaceParameters":
        """The same frames with one identity."""
        return self._changed(shape=shape.expand(len(self), -1))

    def acting(self, expression: Float[Tensor, "f e"], pose: Float[Tensor, "f j 3"]) -> "FaceParameters":
        """The same faces with another expression and pose."""
        return self._changed(expression=expression, pose=pose)

    def seen_as(self, other: "FaceParameters") -> "FaceParameters":
        """The same faces before the camera of another face, given by one frame, on its canvas and in its box.

        Raises:
            InputError: if that camera is none of ours.
        """
        camera = _per_frame(other.camera)

        def repeated(values: Tensor) -> Tensor:
            return values.expand(len(self), *values.shape[1:])

        return self._changed(camera=camera.map(repeated), box=other.box.map(repeated), canvas=other.canvas)

    def at(self, frames: Int[Tensor, "n"]) -> "FaceParameters":
        """Some of the frames, by number, in any order and as often as they are named.

        Raises:
            InputError: if the camera is none of ours.
        """
        rows = {name: values[frames] for name, values in self._coefficients().items()}
        camera = _per_frame(self.camera).map(lambda values: values[frames])
        return self._changed(**rows, camera=camera, box=self.box.map(lambda values: values[frames]))

    def _changed(self, **fields: object) -> "FaceParameters":
        changed = _derived(self, **fields)
        changed._check_shapes()
        return changed

    def _check_shapes(self) -> None:
        check_shape("FaceParameters.shape", self.shape, "f s", None, None)
        frames = len(self)
        check_shape("FaceParameters.expression", self.expression, "f e", frames, None)
        check_shape("FaceParameters.pose", self.pose, "f j 3", frames, None, 3)
        if self.gaze is not None:
            check_shape("FaceParameters.gaze", self.gaze, "f n", frames, None)
        if self.eyelids is not None:
            check_shape("FaceParameters.eyelids", self.eyelids, "f 2", frames, 2)
        check_shape("FaceParameters.box.corners", self.box.corners, "f 4", frames, 4)
        if len(self.camera) != frames:
            raise ShapeError(f"FaceParameters.camera: has {len(self.camera)} frames, but shape has {frames}.")

    def _coefficients(self) -> dict[str, Tensor]:
        """Every tensor but those of camera and box."""
        named = {"shape": self.shape, "expression": self.expression, "pose": self.pose}
        optional = {"gaze": self.gaze, "eyelids": self.eyelids}
        return named | {name: values for name, values in optional.items() if values is not None}


def _per_frame(camera: Camera) -> PerFrame:
    if not isinstance(camera, PerFrame):
        raise InputError(f"camera: a {type(camera).__name__} cannot be used for several frames.")
    return camera
