"""Everything that the plugin offers conforms; files that it lacks are drawn."""

from functools import cache

import torch
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.setups import DEEP3D, MIMAFACE, Setup
from anifacediff_bfm.tracker import D3dfrTracker
from bfm_faces import drawn_arrays
from torch import nn

from anifacediff.registry import registry
from anifacediff.testing import Check, ModelCase, TrackerCase, parametrize_with_checks, plugin_cases
from anifacediff.tracking.contracts import Tracker


def drawn_model() -> BfmModel:
    return BfmModel(drawn_arrays())


class Blind(nn.Module):
    """Sees nothing but NaN."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0 * images.mean((1, 2, 3))[:, None].expand(-1, 2048)


@cache
def detector() -> Tracker:
    return registry.trackers["drawn"]()


def neutral_tracker(setup: Setup) -> D3dfrTracker:
    """The built-in detector of drawn faces, and a network that sees the average face everywhere."""
    network = CoefficientNetwork(setup, Blind())
    for head in network.heads.parameters():
        nn.init.zeros_(head)
    return D3dfrTracker(detector(), drawn_model(), network)


OWN = (
    ModelCase("bfm-deep3d", drawn_model),
    ModelCase("bfm-mimaface", drawn_model),
    TrackerCase("d3dfr-deep3d", lambda: neutral_tracker(DEEP3D)),
    TrackerCase("d3dfr-mimaface", lambda: neutral_tracker(MIMAFACE)),
)


@parametrize_with_checks(*plugin_cases("bfm", *OWN))
def test_conforms(check: Check) -> None:
    check()
