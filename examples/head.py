"""The built-in head alone: named coefficients and joints become a lit picture."""

import sys

import torch

from anifacediff.geometry import ParametricHead, SpanRasterizer, WeakPerspective
from anifacediff.geometry.snapshots import Topology, render_maps
from anifacediff.media import side_by_side, to_pictures, write_image

head = ParametricHead()
shape, expression = torch.zeros(3, head.num_shape), torch.zeros(3, head.num_expression)
pose = torch.zeros(3, len(head.joint_names), 3)
shape[1:, head.shape_names.index("cartoon_eyes")] = 2.0
expression[2, [head.expression_names.index(name) for name in ("smile_left", "smile_right")]] = 2.0
pose[2, head.joint_names.index("neck")] = torch.tensor([0.1, 0.5, 0.0])

shaded = render_maps(
    head(shape, expression, pose),
    Topology.of(head.triangles),
    WeakPerspective(scale=torch.full((3,), 900.0), translation=torch.full((3, 2), 128.0)),
    size=(256, 256),
    rasterizer=SpanRasterizer(),
    maps=("shaded",),
).shaded
assert shaded is not None
path = sys.argv[1] if len(sys.argv) > 1 else "head.png"
write_image(path, side_by_side(list(to_pictures(shaded)), labels=["neutral", "cartoon eyes", "smiling"]))
