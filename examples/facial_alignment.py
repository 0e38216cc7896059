"""FacialAlignment alone: a wide head takes over the pose and expression of a driver; writes both normal maps."""

import sys

import torch

from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry import Box, FaceParameters, ParametricHead, WeakPerspective
from anifacediff.media import side_by_side, to_pictures, write_image

head = ParametricHead()


def face(scale: float, width: float = 0.0, jaw: float = 0.0, turn: float = 0.0) -> FaceParameters:
    shape, expression = torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression)
    shape[0, head.shape_names.index("face_width")] = width
    expression[0, head.expression_names.index("jaw_open")] = jaw
    pose = torch.zeros(1, len(head.joint_names), 3)
    pose[0, head.joint_names.index("neck"), 1] = turn
    camera = WeakPerspective(torch.tensor([scale]), torch.tensor([[128.0, 128.0]]))
    points = camera.project(head.landmarks(head(shape, expression, pose), pose))
    return FaceParameters(shape, expression, pose, camera, Box.around(points[..., :2]), canvas=(256, 256))


reference, driving = face(900.0, width=3.0), face(600.0, jaw=2.0, turn=0.5)
align = FacialAlignment(head, image_size=256)
maps = [align(who, driving).normal for who in (driving, reference)]
pictures = [to_pictures(each)[0] for each in maps if each is not None]
path = sys.argv[1] if len(sys.argv) > 1 else "facial_alignment.png"
write_image(path, side_by_side(pictures, labels=["driver", "aligned"]))
