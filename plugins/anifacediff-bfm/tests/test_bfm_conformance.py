"""Everything that the plugin offers conforms; files that it lacks are drawn."""

from functools import cache

import torch
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.setups import DEEP3D, MIMAFACE, Setup
from anifacediff_bfm.tracker import D3dfrTracker
from bfm_faces import drawn_arrays

from anifacediff.registry import registry
from anifacediff.testing import Check, ModelCase, TrackerCase, parametrize_with_checks, plugin_cases
from anifacediff.tracking.resnet import ResNet50


def drawn_model() -> BfmModel:
    return BfmModel(drawn_arrays())


@cache
def neutral_network(setup: Setup) -> CoefficientNetwork:
    """It sees the average face everywhere."""
    network = CoefficientNetwork(setup, ResNet50())
    for head in network.heads.parameters():
        torch.nn.init.zeros_(head)
    return network


def neutral_tracker(setup: Setup) -> D3dfrTracker:
    return D3dfrTracker(registry.trackers["drawn"](), drawn_model(), neutral_network(setup))


OWN = (
    ModelCase("bfm-deep3d", drawn_model),
    ModelCase("bfm-mimaface", drawn_model),
    TrackerCase("d3dfr-deep3d", lambda: neutral_tracker(DEEP3D)),
    TrackerCase("d3dfr-mimaface", lambda: neutral_tracker(MIMAFACE)),
)


@parametrize_with_checks(*plugin_cases("bfm", *OWN))
def test_conforms(check: Check) -> None:
    check()
