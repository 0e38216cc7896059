"""Tracking drawn avatars: a network reads their parameters at once, gaze and lids included."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.evaluation.reader import IMAGE_SIZE, FaceReader, Reading, central_square
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import ExpressiveHead
from anifacediff.synthetic.regions import true_landmarks
from anifacediff.tracking.contracts import DetectedFace
from anifacediff.tracking.rotations import axis_angle

_AT_ONCE = 32


class DrawnTracker:
    """Reads the one face of pictures of drawn avatars; a :class:`~anifacediff.tracking.ParameterTracker`.

    The largest square in the middle of a picture is looked at, resized to 128 x 128, the size that the network was
    trained at; a face must be as large in it as the generator draws them, from the chest to over the hair. Whether
    there is a face at all it cannot say: any picture yields one. For photographs use another tracker.

    Its extractors :attr:`identity`, :attr:`pose` and :attr:`expression` are for metrics. Their figures are our own:
    they are not comparable with published ones, whose networks are others.

    Args:
        reader: the network; the weights that ship with the package if None.

    Raises:
        CheckpointError: if the weights are missing or damaged.
    """

    def __init__(self, reader: FaceReader | None = None) -> None:
        self.reader = FaceReader.bundled() if reader is None else reader
        self.head = ExpressiveHead(withheld=())
        self.identity = IdentityExtractor(self.reader)
        self.pose = PoseExtractor(self.reader)
        self.expression = ExpressionExtractor(self.reader)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Find the face of an RGB image; there is always one, see the class."""
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        landmarks = true_landmarks(self.head, self.parameters(tensor))
        return (DetectedFace.at(landmarks[0].double().numpy()),)

    @property
    def model(self) -> ExpressiveHead:
        """Whose parameters are read: the head with all of its expression."""
        return self.head

    def estimate(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> FaceParameters:
        """Read the parameters of the one face in each picture, as :meth:`parameters` does, without being told where."""
        return self.parameters(images)

    @torch.no_grad()
    def parameters(self, images: Float[Tensor, "f 3 h w"]) -> FaceParameters:
        """Read the parameters of :class:`~anifacediff.synthetic.ExpressiveHead` off pictures.

        Args:
            images: f 3 h w, RGB in [0, 1].

        Returns:
            Parameters of f frames on a canvas of the pictures' size.

        Raises:
            InputError: if a value is NaN or infinite.
        """
        height, width = images.shape[2:]
        read = _read(self.reader, images)
        frames, side = len(images), min(height, width)
        corner = torch.tensor([(width - side) // 2, (height - side) // 2], dtype=read.place.dtype)
        camera = WeakPerspective(read.zoom * side, read.place * side + corner)
        nowhere = Box(torch.zeros(frames, 4))
        face = FaceParameters(read.shape, read.expression, read.pose, camera, nowhere, canvas=(height, width))
        box = Box.around(true_landmarks(self.head, face))
        return FaceParameters(face.shape, face.expression, face.pose, camera, box, canvas=face.canvas)


@dataclass(frozen=True)
class IdentityExtractor:
    """Who is in a picture: an embedding of unit length, to be compared by its cosine.

    Attributes:
        reader: the network.
    """

    reader: FaceReader

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f d"]:
        """Embed RGB pictures in [0, 1]."""
        small = central_square(images)
        return torch.cat([self.reader.measure(part)[1] for part in small.split(_AT_ONCE)])


@dataclass(frozen=True)
class PoseExtractor:
    """How the head in a picture is turned: axis times angle in radians, neck and body taken together.

    Attributes:
        reader: the network.
    """

    reader: FaceReader

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f 3"]:
        """Read RGB pictures in [0, 1]."""
        return axis_angle(_read(self.reader, images).turn)


@dataclass(frozen=True)
class ExpressionExtractor:
    """The expression in a picture: 50 coefficients in standard deviations, see ``COMPONENTS``.

    Attributes:
        reader: the network.
    """

    reader: FaceReader

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f e"]:
        """Read RGB pictures in [0, 1]."""
        return _read(self.reader, images).expression


def _read(reader: FaceReader, images: Float[Tensor, "f 3 h w"]) -> Reading:
    small = central_square(images, IMAGE_SIZE)
    numbers = torch.cat([reader(part).packed() for part in small.split(_AT_ONCE)])
    return Reading.unpacked(numbers, reader.sizes)
