"""SpanRasterizer alone: two triangles that cross each other, coloured by their corners."""

import sys

import torch

from anifacediff.geometry import SpanRasterizer
from anifacediff.media import to_pictures, write_image

triangles = torch.tensor([[0, 1, 2], [3, 4, 5]])
screen = torch.tensor(
    [
        [[20.0, 230.0, 1.0], [240.0, 200.0, 3.0], [60.0, 20.0, 1.0]],  # x, y in pixels, depth
        [[236.0, 20.0, 1.0], [16.0, 60.0, 3.0], [200.0, 236.0, 1.0]],
    ]
)
colours = torch.eye(3).repeat(2, 1)

fragments = SpanRasterizer()(screen.flatten(0, 1)[None], triangles, height=256, width=256)
image = fragments.scatter(fragments.interpolate(colours[None]))
write_image(sys.argv[1] if len(sys.argv) > 1 else "rasterizer.png", to_pictures(image)[0])
print(f"{len(fragments.pixel)} pixels, {int((fragments.triangle == 0).sum())} of them show the first triangle")
