"""Published files are converted, loaded, and told from others."""

import json
from pathlib import Path

import pytest
import torch
from anifacediff_bfm import assets
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.loading import deep3d_model, mimaface_tracker
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.setups import MIMAFACE, Setup
from bfm_faces import drawn_arrays, drawn_coefficients, published_fields
from scipy.io import savemat

from anifacediff.assets.store import place
from anifacediff.errors import AssetError
from anifacediff.tracking.contracts import ManualTracker
from anifacediff.tracking.resnet import ResNet50, from_torchvision

GOLDEN = Path(__file__).parents[3] / "tests/parity/data/d3dfr/mimaface_encoder.json"


@pytest.fixture(scope="module")
def network() -> CoefficientNetwork:
    return CoefficientNetwork(MIMAFACE, ResNet50())


def torchvision_weights(network: CoefficientNetwork, setup: Setup) -> dict[str, torch.Tensor]:
    """The weights of a network by published keys."""
    ours = network.state_dict()
    published = {key: key for key in published_keys()}
    names = from_torchvision({key: torch.zeros(()) for key in published})
    backbone = {f"backbone.{key}": ours[f"backbone.network.{new}"] for key, new in zip(published, names, strict=True)}
    heads = {f"{setup.head_key}.{key}": value for key, value in network.heads.state_dict().items()}
    return backbone | heads


def published_keys() -> list[str]:
    """Torchvision's keys, as they stand in the golden of MIMAFace's network."""
    described = json.loads(GOLDEN.read_text())["params"]
    return [key.removeprefix("d3dfr.backbone.") for key in described if key.startswith("d3dfr.backbone.")]


def test_the_published_face_model_is_converted_and_loaded(tmp_path: Path) -> None:
    savemat(tmp_path / "BFM_model_front.mat", published_fields())
    place(assets.bfm_deep3d(), tmp_path, tmp_path / "assets")
    loaded, c = deep3d_model(folder=tmp_path / "assets"), drawn_coefficients(1)
    direct = BfmModel(drawn_arrays())
    assert torch.equal(loaded(c.shape, c.expression, c.pose), direct(c.shape, c.expression, c.pose))
    assert torch.equal(loaded.texture(c.texture), direct.texture(c.texture))


def test_published_checkpoints_are_converted_and_loaded(network: CoefficientNetwork, tmp_path: Path) -> None:
    """MIMAFace's may begin with ``module.``."""
    weights = torchvision_weights(network, MIMAFACE)
    savemat(tmp_path / "BFM09_model_info.mat", published_fields())
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "netG_epoch_25.pth")
    for asset in (assets.bfm_mimaface(), assets.d3dfr_mimaface()):
        place(asset, tmp_path, tmp_path / "assets")
    tracker = mimaface_tracker(ManualTracker(()), folder=tmp_path / "assets")
    for key, value in tracker.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key], rtol=0, atol=0)


def test_a_checkpoint_of_another_system_is_refused(network: CoefficientNetwork, tmp_path: Path) -> None:
    weights = torchvision_weights(network, MIMAFACE)
    torch.save(weights, tmp_path / "epoch_20.pth")
    with pytest.raises(AssetError, match=r"epoch_20\.pth.*'net_recon'"):
        place(assets.d3dfr_deep3d(), tmp_path, tmp_path / "assets")
    torch.save({"net_recon": weights, "sched_00": {"last_epoch": 20}}, tmp_path / "epoch_20.pth")
    with pytest.raises(AssetError, match=r"epoch_20\.pth[\s\S]*fianl_layers"):
        place(assets.d3dfr_deep3d(), tmp_path, tmp_path / "assets")


def test_a_missing_model_is_told_with_its_licence(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"BFM_model_front\.mat.*University.*assets convert bfm-deep3d"):
        deep3d_model(folder=tmp_path)
