"""Reads face parameters off pictures with a D3DFR network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Tensor, check_shape
from anifacediff.tracking.contracts import DetectedFace, Tracker
from anifacediff_bfm.alignment import Alignment, in_picture
from anifacediff_bfm.coefficients import Coefficients, to_parameters
from anifacediff_bfm.crops import five_points
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.model import BfmModel


@dataclass(frozen=True, eq=False)
class D3dfrTracker:
    """A tracker that reads BFM coefficients off each face; a :class:`~anifacediff.tracking.ParameterTracker`.

    Attributes:
        detector: finds the faces and their 68 landmarks, five points of which place the crops.
        model: whose parameters are read.
        network: reads them, on the model's device and in its precision; its setup crops the faces.
        batch_size: how many crops it reads at once.
    """

    detector: Tracker
    model: BfmModel
    network: CoefficientNetwork
    batch_size: int = 16

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Find the faces of an RGB image, the largest first, with the detector."""
        return self.detector(image)

    def estimate(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> FaceParameters:
        """Read the parameters of one face in each picture.

        Args:
            images: f 3 h w, RGB in [0, 1].
            faces: f, where to look.

        Returns:
            Parameters of f frames, in pixels of the pictures, on the network's device.

        Raises:
            ShapeError: if the pictures have other axes.
            InputError: if there is no picture, or not one face for each, or a value comes out as NaN.
        """
        coefficients, crops = self.read(images, faces)
        cropped = to_parameters(coefficients, self.model, self.network.setup)
        height, width = images.shape[2:]
        return in_picture(cropped, crops, self.model, canvas=(height, width))

    @torch.no_grad()
    def read(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> tuple[Coefficients, Alignment]:
        """Read all coefficients, texture and light among them, and tell the crops; arguments and errors as above."""
        check_shape("images", images, "f 3 h w", None, 3, None, None)
        if len(faces) == 0 or len(faces) != len(images):
            raise InputError(f"faces: expected one for each of {len(images)} pictures, found {len(faces)}.")
        setup = self.network.setup
        points = five_points(np.stack([face.landmarks for face in faces]))
        crops = setup.crop.align(points, canvas=(images.shape[2], images.shape[3])).to(images.device)
        weight = next(self.network.parameters())
        read = [
            self.network(setup.crop.sample(images[part], crops[part], size=setup.size).to(weight)).joined()
            for part in chunks(len(images), self.batch_size)
        ]
        return Coefficients.split(torch.cat(read)), crops.to(weight.device, weight.dtype)
