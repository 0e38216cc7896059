"""Everything that MediaPipe's Face Landmarker tells of one face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from anifacediff.errors import InputError
from anifacediff.tracking.contracts import DetectedFace, extent
from anifacediff_mediapipe.landmarks import NUM_POINTS, ibug_landmarks

BLENDSHAPES = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft"),
    *("eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft"),
    *("eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft"),
    *("jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft"),
    *("mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower"),
    *("mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)
"""Names of the 52 blendshapes in MediaPipe's order; left and right are those of the person in the picture."""


@dataclass(frozen=True, eq=False)
class MediapipeFace:
    """One face of one image.

    Attributes:
        points: 478 3, x and y in pixels, the centre of the top-left pixel at (0.5, 0.5); z is depth relative to the
            middle of the head, growing away from the viewer, in about the same unit.
        blendshapes: 52, in the order of :data:`BLENDSHAPES`, 0 (absent) to 1.
        transform: 4 4, from MediaPipe's canonical face to a camera at the origin that looks along -z; x to the
            image's right, y up, centimetres; it multiplies column vectors.

    Raises:
        InputError: if an array has another size, or holds NaN or infinity.
    """

    points: Float64[np.ndarray, "478 3"]
    blendshapes: Float64[np.ndarray, "52"]
    transform: Float64[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        sizes = {"points": (NUM_POINTS, 3), "blendshapes": (len(BLENDSHAPES),), "transform": (4, 4)}
        for name, expected in sizes.items():
            found = getattr(self, name)
            if found.shape != expected or not np.isfinite(found).all():
                raise InputError(f"MediapipeFace.{name}: expected finite numbers {expected}, found {found.shape}.")

    @property
    def detected(self) -> DetectedFace:
        """The same face as 68 iBUG landmarks, with the box around the whole mesh."""
        return DetectedFace(extent(self.points[:, :2]), ibug_landmarks(self.points))
