"""A plugin alone: a head of one's own, offered through a hook, is looked up by name and drawn."""

import sys
from types import SimpleNamespace

import torch
from tiny import turning_head

from anifacediff import hookimpl
from anifacediff.conditioning import FacialAlignment
from anifacediff.media import to_pictures, write_image
from anifacediff.registry import PluginSource, Registry, installed_plugins


class Pyramid:
    num_shape, num_expression, joint_names = 1, 3, ("global",)
    triangles = torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])

    def __call__(self, shape: torch.Tensor, expression: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        corners = [[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        tips = torch.nn.functional.pad(expression[:, None, :2], (0, 1, 4, 0))  # the expression moves the tip
        return (torch.tensor(corners) + tips / 10) / 10


module = SimpleNamespace(anifacediff_morphable_models=hookimpl(lambda: {"pyramid": lambda: Pyramid}))
source = PluginSource("mine", "my-heads", "1.0", lambda: module)  # in a distribution: an entry point in pyproject.toml
registry = Registry(lambda: [*installed_plugins(), source])
print(registry.morphable_models, *registry.plugins(), sep="\n")
head = registry.morphable_models["pyramid"]()
maps = FacialAlignment(head, image_size=256)(turning_head(head, 1), turning_head(head, 2)).normal
assert maps is not None
write_image(sys.argv[1] if len(sys.argv) > 1 else "plugin.png", to_pictures(maps)[-1])
