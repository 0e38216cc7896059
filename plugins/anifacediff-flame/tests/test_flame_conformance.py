"""Everything that the plugin offers conforms; files that it lacks are made up."""

import torch
from anifacediff_flame.encoder import DecaEncoder
from anifacediff_flame.landmarks import LandmarkEmbedding
from anifacediff_flame.model import FlameModel
from anifacediff_flame.tracker import DecaTracker
from flame_parts import ARRAYS
from torch import nn

from anifacediff.geometry.head import ParametricHead
from anifacediff.registry import registry
from anifacediff.testing import Check, ModelCase, TrackerCase, parametrize_with_checks, plugin_cases


def on_the_face() -> LandmarkEmbedding:
    """The landmarks of the built-in head, as triangles of the synthetic model: the nearest ones on its front."""
    head = ParametricHead()
    pose = torch.zeros(1, len(head.joint_names), 3)
    marks = head.landmarks(head(torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression), pose), pose)[0]
    flat = marks[:, :2] - marks[:, :2].mean(0)
    flat = 0.07 * flat / flat.abs().max()
    centers = ARRAYS.template[ARRAYS.triangles].mean(1)
    front = (centers[:, 2] > 0).nonzero()[:, 0]
    nearest = front[torch.cdist(flat, centers[front, :2]).argmin(1)]
    third = torch.full((68, 3), 1 / 3)
    return LandmarkEmbedding(nearest[None, :17], third[None, :17], nearest[17:], third[17:])


def made_up() -> FlameModel:
    return FlameModel(ARRAYS, on_the_face())


class Blind(nn.Module):
    """Sees nothing but NaN."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0 * images.mean((1, 2, 3))[:, None].expand(-1, 2048)


def neutral_tracker() -> DecaTracker:
    """The built-in detector of drawn faces, and a network that sees the average face everywhere."""
    encoder = DecaEncoder(Blind())  # pyright: ignore[reportArgumentType]
    for weights in encoder.head.parameters():
        nn.init.zeros_(weights)
    last = encoder.head[2]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[206] = 10.0  # the scale of the camera
    return DecaTracker(encoder, made_up(), registry.trackers["drawn"]())


OWN = (
    ModelCase("flame-2020", made_up),
    TrackerCase("deca", neutral_tracker),
)


@parametrize_with_checks(*plugin_cases("flame", *OWN))
def test_conforms(check: Check) -> None:
    check()
