"""The 68 iBUG landmarks among the 478 of MediaPipe."""

import numpy as np
from jaxtyping import Float64

NUM_POINTS = 478
"""468 vertices of a face mesh, then five points of each iris."""

_JAW = (127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356)
_BROWS = (70, 63, 105, 66, 55, 285, 296, 334, 293, 300)
_NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
_OUTER_LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
_INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)

IBUG = (*_JAW, *_BROWS, *_NOSE, *_EYES, *_OUTER_LIPS, *_INNER_LIPS)
"""For each of the 68 iBUG landmarks the vertex of MediaPipe's mesh that stands for it.

Corners of eyes and mouth, points of the lids, the chin and what lies on the midline are the vertices at those places.
Any other is the vertex of its feature (brow, nose, lips; for the jaw the face's oval) that lay nearest to dlib's
landmark on two clips of talking people, the same vertex on both sides of the face.

The jaw line means something else: MediaPipe's oval stays on the same skin when the head turns, while iBUG's line is the
visible outline.
"""


def ibug_landmarks(points: Float64[np.ndarray, "478 n"]) -> Float64[np.ndarray, "68 2"]:
    """Pick the 68 iBUG landmarks.

    Args:
        points: 478 n, x and y in pixels, then anything.
    """
    return points[list(IBUG), :2]
