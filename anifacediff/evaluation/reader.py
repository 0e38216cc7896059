"""A small network that reads who, where, and with which expression off pictures of drawn avatars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import Encoder
from torch import nn

from anifacediff.checkpoint import StrictModel
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Tensor, check_finite, check_shape
from anifacediff.synthetic.expression import COMPONENTS

IMAGE_SIZE = 128
WEIGHTS = Path(__file__).parents[1] / "weights" / "reader"
_FACE_SIZE = 64
_REACH, _BELOW = 0.17, 0.035  # side of the square that is looked at, and its middle below the eyes, metres
_FOLDS = 8, 2  # pixels along a side that become channels
_STILL = 1e-4  # standard deviation below which a number counts as constant


@dataclass(frozen=True)
class Reading:
    """What is read off pictures; a picture's size is 1.

    Attributes:
        shape: f s, identity coefficients of :class:`~anifacediff.synthetic.ExpressiveHead`, standard deviations.
        expression: f 50, in the order of :data:`~anifacediff.synthetic.COMPONENTS`, standard deviations.
        pose: f j 3, rotation of each joint, axis-angle in radians.
        zoom: f, sides of the picture for one metre of the head.
        place: f 2, where the head's origin lands, x right, y down.
        eyes: f 2, the middle of the region of the eyes.
    """

    shape: Float[Tensor, "f s"]
    expression: Float[Tensor, "f e"]
    pose: Float[Tensor, "f j 3"]
    zoom: Float[Tensor, "f"]
    place: Float[Tensor, "f 2"]
    eyes: Float[Tensor, "f 2"]

    @property
    def turn(self) -> Float[Tensor, "f 3 3"]:
        """The rotation of the head, which body and neck share among them."""
        return rotation_matrix(self.pose[:, 0]) @ rotation_matrix(self.pose[:, 1])

    def packed(self) -> Float[Tensor, "f n"]:
        """All numbers of a frame in a row; of the zoom its logarithm."""
        face = [self.shape, self.expression, self.pose.flatten(1)]
        return torch.cat([*face, self.zoom.log()[:, None], self.place, self.eyes], dim=1)

    @classmethod
    def unpacked(cls, numbers: Float[Tensor, "f n"], sizes: Sequence[int]) -> "Reading":
        """The reverse of :meth:`packed`.

        Args:
            numbers: f n.
            sizes: how many in a row are of each field.
        """
        shape, expression, pose, zoom, place, eyes = numbers.split(tuple(sizes), dim=1)
        return cls(shape, expression, pose.unflatten(1, (-1, 3)), zoom[:, 0].exp(), place, eyes)


class FaceReader(StrictModel):
    """Finds the face in the whole picture, then looks at it closely, upright and always as large.

    It knows drawn avatars alone, one in each picture; it gives numbers for any picture, and no sign that a picture
    shows none. What it says is not comparable with what networks trained on photographs say.

    Args:
        num_shape: identity coefficients s.
        num_expression: expression coefficients e.
        num_joints: joints j.
        finder_widths: channels of the network that finds the face.
        face_widths: channels of the network that looks at it.
        hidden: width of the layer behind each of the two.
        embedding: width d of the embedding of who it is.
    """

    mean: Tensor
    spread: Tensor

    @register_to_config
    def __init__(
        self,
        *,
        num_shape: int,
        num_expression: int = len(COMPONENTS),
        num_joints: int = 5,
        finder_widths: Sequence[int] = (48, 80),
        face_widths: Sequence[int] = (48, 80, 112),
        hidden: int = 160,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        self.sizes = (num_shape, num_expression, 3 * num_joints, 1, 2, 2)
        self.finder = _Glance(finder_widths, IMAGE_SIZE, _FOLDS[0], hidden)
        self.face = _Glance(face_widths, _FACE_SIZE, _FOLDS[1], hidden)
        self.to_frame = nn.Linear(hidden, sum(self.sizes[3:]))
        self.to_face = nn.Linear(2 * hidden, sum(self.sizes[:3]))
        self.to_identity = nn.Linear(2 * hidden, embedding)
        self.register_buffer("mean", torch.zeros(sum(self.sizes)))
        self.register_buffer("spread", torch.ones(sum(self.sizes)))

    @classmethod
    def bundled(cls) -> "FaceReader":
        """Load the weights that ship with the package.

        Raises:
            CheckpointError: if they are missing or damaged.
        """
        reader = cls.from_pretrained(WEIGHTS, torch_dtype=torch.float32)
        assert isinstance(reader, cls)
        return reader.eval()

    def standardize(self, numbers: Float[Tensor, "f n"]) -> None:
        """Let every number be predicted in units of its deviation from its mean over these frames."""
        spread, mean = torch.std_mean(numbers, dim=0)
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(spread > _STILL, spread, 0.0))

    def measure(
        self, images: Float[Tensor, "f 3 h w"], where: Reading | None = None
    ) -> tuple[Float[Tensor, "f n"], Float[Tensor, "f d"]]:
        """Compute the standardised numbers of each frame, and the embedding of unit length.

        Args:
            images: f 3 128 128, RGB in [0, 1].
            where: zoom and eyes of the faces, if they need not be found.

        Raises:
            ShapeError: if the pictures have another size.
            InputError: if a value is NaN or infinite.
        """
        check_shape("images", images, "f 3 128 128", None, 3, IMAGE_SIZE, IMAGE_SIZE)
        check_finite("images", images)
        found = self.finder(images)
        frame = self.to_frame(found).float()
        if where is None:
            absent = frame.new_zeros(len(frame), sum(self.sizes[:3]))
            where = self.told(torch.cat([absent, frame], dim=1))
        seen = torch.cat([found, self.face(_close_up(images, where))], dim=1)
        numbers = torch.cat([self.to_face(seen).float(), frame], dim=1)
        return numbers, F.normalize(self.to_identity(seen).float(), dim=1)

    def told(self, numbers: Float[Tensor, "f n"]) -> Reading:
        """Turn standardised numbers into a reading."""
        return Reading.unpacked(numbers * self.spread + self.mean, self.sizes)

    def forward(self, images: Float[Tensor, "f 3 h w"]) -> Reading:
        """Read pictures.

        Args:
            images: f 3 128 128, RGB in [0, 1]; see :func:`central_square` for pictures of other sizes.

        Raises:
            ShapeError: if the pictures have another size.
            InputError: if a value is NaN or infinite.
        """
        return self.told(self.measure(images)[0])


class _Glance(nn.Module):
    """Convolutions over a picture, and one layer that knows what was where."""

    def __init__(self, widths: Sequence[int], size: int, fold: int, hidden: int, channels: int = 32) -> None:
        super().__init__()
        self.fold = fold
        self.encoder = Encoder(
            in_channels=3 * fold**2,
            out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            block_out_channels=tuple(widths),
            layers_per_block=1,
            norm_num_groups=math.gcd(16, *widths),
            mid_block_add_attention=False,
            double_z=False,
        )
        cells = (size // fold // 2 ** (len(widths) - 1)) ** 2
        self.to_hidden = nn.Linear(channels * cells, hidden)

    def forward(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f d"]:
        folded = F.pixel_unshuffle(2 * images - 1, self.fold).contiguous(memory_format=torch.channels_last)
        return F.silu(self.to_hidden(F.silu(self.encoder(folded)).flatten(1)))


def _close_up(images: Float[Tensor, "f 3 h w"], where: Reading) -> Float[Tensor, "f 3 64 64"]:
    """The square around each face, a fixed number of metres wide."""
    side = _REACH * where.zoom.detach()
    middle = where.eyes.detach() + torch.stack([torch.zeros_like(side), _BELOW * where.zoom.detach()], dim=1)
    window = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
    window[:, 0, 0] = window[:, 1, 1] = side
    window[:, :, 2] = 2 * middle - 1  # affine_grid counts from -1 to 1
    grid = F.affine_grid(window, [len(images), 3, _FACE_SIZE, _FACE_SIZE], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def central_square(images: Float[Tensor, "f 3 h w"], size: int = IMAGE_SIZE) -> Float[Tensor, "f 3 {size} {size}"]:
    """Cut out the largest square in the middle, and resize it without aliasing.

    Args:
        images: f 3 h w.
        size: height and width of the result.
    """
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, :, top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False)
