"""DECA as a tracker: another tracker finds the face, DECA's network reads FLAME's parameters off it."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks
from anifacediff.geometry.faces import Box, FaceParameters, Similarity
from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Float, Tensor, check_shape
from anifacediff.tracking.contracts import DetectedFace, Tracker
from anifacediff_flame.camera import crop_camera, deca_crop, to_picture
from anifacediff_flame.encoder import IMAGE_SIZE, DecaCode, DecaEncoder
from anifacediff_flame.model import FlameModel


class DecaTracker:
    """Reads FLAME's parameters off pictures; a :class:`~anifacediff.tracking.ParameterTracker`.

    Args:
        encoder: with its weights.
        model: FLAME 2020 with 100 identity and 50 expression coefficients, as DECA was trained on.
        detector: finds the faces and their 68 landmarks, which say where to cut.
        margin: side of the cut square over the size of the face, DECA's ``scale``.
        batch_size: how many crops the network reads at once.

    Raises:
        InputError: if the model has another number of coefficients.

    Source: Feng et al., "Learning an animatable detailed 3D face model from in-the-wild images", 2021.
    """

    def __init__(
        self, encoder: DecaEncoder, model: FlameModel, detector: Tracker, *, margin: float = 1.25, batch_size: int = 16
    ) -> None:
        if (model.num_shape, model.num_expression) != (100, 50):
            raise InputError(
                f"model: DECA reads 100 identity and 50 expression coefficients, but it has {model.num_shape} and "
                f"{model.num_expression}. Build it with num_shape=100 and num_expression=50."
            )
        self.model = model
        self._encoder = encoder
        self._detector = detector
        self._margin = margin
        self._batch_size = batch_size

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Find the faces of an RGB image, the largest first, as the detector does."""
        return self._detector(image)

    @torch.no_grad()
    def read(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> DecaCode:
        """Read all that DECA says of one face in each picture, its light and texture included.

        Args:
            images: f 3 h w, RGB in [0, 1].
            faces: f, where to look.

        Raises:
            InputError: if there are not as many faces as pictures.
        """
        return self._read(images, self._crops(images, faces))

    @torch.no_grad()
    def estimate(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> FaceParameters:
        """Read the parameters of one face in each picture.

        Args:
            images: f 3 h w, RGB in [0, 1].
            faces: f, where to look.

        Returns:
            Parameters of f frames, in pixels of the pictures, where DECA draws its meshes. The box is that of the
            landmarks found.

        Raises:
            InputError: if there are not as many faces as pictures, or the network says NaN.
        """
        crops = self._crops(images, faces)
        code = self._read(images, crops)
        landmarks = torch.stack([torch.from_numpy(face.landmarks) for face in faces]).to(images)
        return FaceParameters(
            shape=code.shape,
            expression=code.expression,
            pose=code.pose,
            camera=crop_camera(code.camera).moved(_joined([to_picture(crop) for crop in crops]).to(images.device)),
            box=Box.around(landmarks),
            canvas=(images.shape[2], images.shape[3]),
        )

    def _crops(self, images: Tensor, faces: Sequence[DetectedFace]) -> list[SquareCrop]:
        check_shape("images", images, "f 3 h w", None, 3, None, None)
        if not faces or len(faces) != len(images):
            raise InputError(f"faces: {len(faces)} faces for {len(images)} pictures; one for each is needed.")
        return [deca_crop(face, margin=self._margin) for face in faces]

    def _read(self, images: Tensor, crops: Sequence[SquareCrop]) -> DecaCode:
        parts = [self._encoder(self._cut(images[some], crops[some])) for some in chunks(len(crops), self._batch_size)]
        code = DecaCode(**{name: torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])})
        return code.to(images.device, images.dtype)

    def _cut(self, images: Tensor, crops: Sequence[SquareCrop]) -> Tensor:
        weight = next(self._encoder.parameters())
        cut = [crop.warp(image, IMAGE_SIZE) for image, crop in zip(images, crops, strict=True)]
        return torch.stack(cut).to(weight)


def _joined(similarities: Sequence[Similarity]) -> Similarity:
    return Similarity(
        torch.cat([one.scale for one in similarities]), torch.cat([one.translation for one in similarities])
    )
