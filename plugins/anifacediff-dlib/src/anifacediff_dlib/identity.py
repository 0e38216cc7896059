"""Whose face a picture shows, by dlib's recognition network."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from anifacediff.media.pictures import to_pictures
from anifacediff.shapes import check_finite, check_shape
from anifacediff.tracking.contracts import DetectedFace
from anifacediff_dlib.models import chip, recognition_model, rectangle

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class DlibIdentityEncoder:
    """dlib's embedding of a face: 128 numbers, less than 0.6 apart for pictures of one person.

    Attributes:
        image_size: of the pictures that it takes, in pixels.
        num_features: of an embedding.

    Source: dlib, ``face_recognition_model_v1``: a ResNet with 29 convolutions, for faces cut out with a quarter of
        their size around them.
    """

    image_size: int = 150
    num_features: int = 128

    def __call__(self, pictures: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f n"]:
        """Embed faces that are cut out as :meth:`align` does; without gradients.

        Args:
            pictures: f 3 150 150, RGB in [0, 1].

        Raises:
            ShapeError: if they are of another size.
            InputError: if they hold NaN or infinity.
        """
        check_shape("pictures", pictures, "f 3 h w", None, 3, self.image_size, self.image_size)
        check_finite("pictures", pictures)
        embeddings = [recognition_model().compute_face_descriptor(picture) for picture in to_pictures(pictures)]
        rows = np.array(embeddings, dtype=np.float32).reshape(-1, self.num_features)
        return torch.from_numpy(rows).to(pictures)

    def align(self, image: Picture, face: DetectedFace) -> Float[Tensor, "1 3 h w"]:
        """Cut a face out of an RGB image, upright, by its 68 landmarks."""
        left, top, right, bottom = (round(edge) for edge in face.box)
        cut = chip(
            np.ascontiguousarray(image),
            rectangle(left, top, right - 1, bottom - 1),
            face.landmarks - 0.5,
            self.image_size,
        )
        return torch.from_numpy(np.array(cut)).permute(2, 0, 1)[None] / 255
