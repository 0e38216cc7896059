"""Our network of coefficients against the one in MIMAFace, with weights made by the rule."""

import golden
import pytest
import torch
from anifacediff_bfm.coefficients import Coefficients
from anifacediff_bfm.estimator import CoefficientNetwork, load_network
from anifacediff_bfm.setups import DEEP3D, MIMAFACE

from anifacediff.errors import CheckpointError

GOLDEN = golden.read("d3dfr/mimaface_encoder")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return GOLDEN.weights("d3dfr.")


@pytest.fixture(scope="module")
def network(weights: dict[str, torch.Tensor]) -> CoefficientNetwork:
    return load_network(weights, MIMAFACE, "made by the rule")


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    return GOLDEN.arrays["image_uint8"].float() / 255


def test_coefficients(network: CoefficientNetwork, crop: torch.Tensor) -> None:
    with torch.no_grad():
        GOLDEN.assert_close(network(crop).joined(), "coefficients", golden.SINGLE_MODULE)


def test_features(network: CoefficientNetwork, crop: torch.Tensor) -> None:
    with torch.no_grad():
        GOLDEN.assert_close(network.backbone(MIMAFACE.scaled(crop)), "features", golden.SINGLE_MODULE)


def test_deep3ds_names_give_the_same_but_gaze(weights: dict[str, torch.Tensor], network: CoefficientNetwork) -> None:
    published = {
        f"module.{key}".replace("fianl_layers", "final_layers"): value
        for key, value in weights.items()
        if "fianl_layers.7" not in key
    }
    other = load_network(published, DEEP3D, "made by the rule")
    crops = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = network.backbone(crops)[..., None, None]
        expected = torch.cat([head(features) for head in list(network.heads)[:-1]], dim=1).flatten(1)
        found = other(crops)
    assert found.gaze is None
    torch.testing.assert_close(found.joined(), Coefficients.split(expected).joined(), rtol=0, atol=0)


def test_weights_of_the_other_system_are_refused(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"of_mimaface\.pth[\s\S]*fianl_layers"):
        load_network(weights, DEEP3D, "of_mimaface.pth")
