"""DECA's coarse encoder: from a crop of a face to 236 numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from anifacediff.checkpoint import load_strict
from anifacediff.errors import CheckpointError
from anifacediff.geometry.faces import PerFrame
from anifacediff.shapes import Float, Tensor, check_shape
from anifacediff.tracking.resnet import ResNet50, load_resnet50

IMAGE_SIZE = 224
_BACKBONE, _HEAD = "encoder.", "layers."
_SIZES = (100, 50, 50, 3, 3, 3, 27)


@dataclass(frozen=True)
class DecaCode(PerFrame):
    """What DECA reads off a crop, in the order in which its network says it.

    Attributes:
        shape: f 100, identity of FLAME, in standard deviations.
        texture: f 50, of FLAME's texture space.
        expression: f 50, in standard deviations.
        turn: f 3, rotation of the head, axis-angle in radians.
        jaw: f 3, rotation of the jaw.
        camera: f 3, scale s and translation t: a point p lands on s (p + t) in a crop from -1 to 1, y up.
        light: f 9 3, spherical harmonics for R, G, B.
    """

    shape: Float[Tensor, "f 100"]
    texture: Float[Tensor, "f 50"]
    expression: Float[Tensor, "f 50"]
    turn: Float[Tensor, "f 3"]
    jaw: Float[Tensor, "f 3"]
    camera: Float[Tensor, "f 3"]
    light: Float[Tensor, "f 9 3"]

    @classmethod
    def split(cls, numbers: Float[Tensor, "f 236"]) -> "DecaCode":
        """Tell the 236 numbers apart."""
        shape, texture, expression, turn, jaw, camera, light = numbers.split(_SIZES, dim=1)
        return cls(shape, texture, expression, turn, jaw, camera, light.unflatten(1, (9, 3)))

    def map(self, change: Callable[[Tensor], Tensor]) -> "DecaCode":
        return DecaCode(**{name: change(values) for name, values in vars(self).items()})

    @property
    def pose(self) -> Float[Tensor, "f 5 3"]:
        """Rotations of FLAME's joints; those of neck and eyes are zero."""
        pose = self.turn.new_zeros(len(self), 5, 3)
        pose[:, 0], pose[:, 2] = self.turn, self.jaw
        return pose


class DecaEncoder(nn.Module):
    """A ResNet-50 and two linear layers; made in evaluation mode, its weights are to be loaded.

    Source: Feng et al., "Learning an animatable detailed 3D face model from in-the-wild images", 2021, section 4.1.
    """

    def __init__(self, backbone: ResNet50 | None = None) -> None:
        super().__init__()
        self.backbone = ResNet50() if backbone is None else backbone
        self.head = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, sum(_SIZES)))
        self.eval()

    @classmethod
    def published(cls, weights: Mapping[str, Tensor], source: str) -> "DecaEncoder":
        """Build it from the weights that DECA publishes, the entry ``E_flame`` of ``deca_model.tar``.

        Args:
            weights: by their keys: ``encoder.*`` (torchvision's names), ``layers.0.*`` and ``layers.2.*``.
            source: where they come from, for the message.

        Raises:
            CheckpointError: if keys or shapes differ.
        """
        foreign = [key for key in weights if not key.startswith((_BACKBONE, _HEAD))]
        if foreign:
            raise CheckpointError(
                f"{source}: DECA's coarse encoder has weights {_BACKBONE}* and {_HEAD}* only, found {foreign[0]!r} and "
                f"{len(foreign) - 1} more. Give the entry 'E_flame' of deca_model.tar."
            )
        model = cls(load_resnet50(_under(_BACKBONE, weights), source))
        load_strict(model.head, _under(_HEAD, weights), source)
        return model

    def forward(self, images: Float[Tensor, "f 3 224 224"]) -> DecaCode:
        """Read crops.

        Args:
            images: f 3 224 224, RGB in [0, 1], cut out as :class:`~anifacediff_flame.tracker.DecaTracker` does.

        Raises:
            ShapeError: if they have another shape.
        """
        check_shape("images", images, "f 3 h w", None, 3, IMAGE_SIZE, IMAGE_SIZE)
        return DecaCode.split(self.head(self.backbone(images)))


def _under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
