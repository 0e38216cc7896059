"""Where the parts of a face are in a picture, so that they can be measured by themselves."""

from anifacediff.geometry import Box, FaceParameters
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import ExpressiveHead

_EYES = slice(36, 48)  # of the 68 iBUG landmarks
_MOUTH = slice(48, 68)
_MARGIN = 0.05


def true_landmarks(head: ExpressiveHead, face: FaceParameters) -> Float[Tensor, "f 68 2"]:
    """Where the 68 iBUG landmarks lie on the canvas, in pixels, hidden ones too."""
    vertices = head(face.shape, face.expression, face.pose)
    return face.camera.project(head.landmarks(vertices, face.pose))[..., :2]


def eye_region(landmarks: Float[Tensor, "f 68 2"], margin: float = _MARGIN) -> Box:
    """A box around both eyes, larger than their landmarks by a margin, which is a share of its width."""
    return _around(landmarks[:, _EYES], margin)


def mouth_region(landmarks: Float[Tensor, "f 68 2"], margin: float = _MARGIN) -> Box:
    """A box around the mouth, larger than its landmarks by a margin, which is a share of its width."""
    return _around(landmarks[:, _MOUTH], margin)


def _around(points: Float[Tensor, "f n 2"], margin: float) -> Box:
    tight = Box.around(points)
    outwards = tight.corners.new_tensor([-1.0, -1.0, 1.0, 1.0])
    return Box(tight.corners + margin * tight.width[:, None] * outwards)
