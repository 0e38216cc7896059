"""The network that reads the coefficients of a face off its crop."""

from collections.abc import Mapping

import torch
from torch import nn

from anifacediff.checkpoint import load_strict
from anifacediff.shapes import Float, Tensor, check_shape
from anifacediff.tracking.resnet import load_resnet50
from anifacediff_bfm.coefficients import Coefficients
from anifacediff_bfm.setups import Setup

_FEATURES = 2048
_BACKBONE = "backbone."
_WRAPPER = "module."


class CoefficientNetwork(nn.Module):
    """A ResNet-50 and one linear head (a 1 x 1 convolution) for each kind of coefficient; in evaluation mode.

    Args:
        setup: how many heads it has and what it reads.
        backbone: turns f 3 h w pictures into f 2048 features; a :class:`~anifacediff.tracking.resnet.ResNet50`.

    Source: ``models/networks.py`` of Deep3DFaceRecon_pytorch, ``models/D3DFR/model_resnet.py`` of MIMAFace.
    """

    def __init__(self, setup: Setup, backbone: nn.Module) -> None:
        super().__init__()
        self.setup = setup
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Conv2d(_FEATURES, count, kernel_size=1) for count in setup.heads)
        self.eval()

    def forward(self, crops: Float[Tensor, "f 3 h w"]) -> Coefficients:
        """Read coefficients.

        Args:
            crops: f 3 h w, RGB in [0, 1], as large as the setup says.

        Raises:
            ShapeError: if the crops have another size.
        """
        check_shape("crops", crops, "f 3 h w", None, 3, self.setup.size, self.setup.size)
        features = self.backbone(self.setup.scaled(crops))[..., None, None]
        return Coefficients.split(torch.cat([head(features) for head in self.heads], dim=1).flatten(1))


def load_network(weights: Mapping[str, Tensor], setup: Setup, source: str) -> CoefficientNetwork:
    """Build a network from published weights.

    Args:
        weights: ``backbone.*`` by torchvision's keys and the heads by the setup's (``final_layers.i.*`` of
            Deep3DFaceRecon, ``fianl_layers.i.*`` of MIMAFace); all of them may begin with ``module.``.
        setup: of the system that they come from.
        source: where they come from, for the message.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    plain = {key.removeprefix(_WRAPPER): value for key, value in weights.items()}
    backbone = {key: value for key, value in plain.items() if key.startswith(_BACKBONE)}
    heads = {key.removeprefix(f"{setup.head_key}."): plain[key] for key in plain.keys() - backbone.keys()}
    resnet = load_resnet50({key.removeprefix(_BACKBONE): value for key, value in backbone.items()}, source)
    network = CoefficientNetwork(setup, resnet)
    load_strict(network.heads, heads, source)
    return network
