"""The 68 iBUG landmarks among the 478 of MediaPipe."""

import numpy as np
from jaxtyping import Float64

NUM_POINTS = 478
"""468 vertices of a face mesh, then five points of each iris."""

_JAW = (127, 234, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 454, 356)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE = (168, 6, 195, 4, 98, 97, 2, 326, 327)
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
_OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
_INNER_LIPS = (78, 81, 13, 311, 308, 402, 14, 178)

IBUG = (*_JAW, *_BROWS, *_NOSE, *_EYES, *_OUTER_LIPS, *_INNER_LIPS)
"""For each of the 68 iBUG landmarks the vertex of MediaPipe's mesh that stands for it.

Corners of eyes and mouth, the chin, and what lies on the midline are the vertices at those places. The others are
vertices of the same line (the face's oval, the upper edge of a brow, the edges of lids and lips) that spread evenly
between them, the same on both sides. Where two would do, the built-in head fitted better to the one that is here, on
two clips of talking people.

The jaw line means something else: MediaPipe's oval stays on the same skin when the head turns, while iBUG's line is the
visible outline.
"""


def ibug_landmarks(points: Float64[np.ndarray, "478 n"]) -> Float64[np.ndarray, "68 2"]:
    """Pick the 68 iBUG landmarks.

    Args:
        points: 478 n, x and y in pixels, then anything.
    """
    return points[list(IBUG), :2]
