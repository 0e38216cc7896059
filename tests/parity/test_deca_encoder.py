"""DECA's coarse encoder: the features of its ResNet-50 and the 236 parameters, told apart."""

import golden
import pytest
import torch
from anifacediff_flame.encoder import DecaEncoder

from anifacediff.errors import CheckpointError, ShapeError

ENCODER = golden.read("deca/encoder")
IMAGES = ENCODER.arrays["image_uint8"].float() / 255


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return ENCODER.weights("E_flame.")


@pytest.fixture(scope="module")
def encoder(weights: dict[str, torch.Tensor]) -> DecaEncoder:
    return DecaEncoder.published(weights, "the golden")


@torch.no_grad()
def test_features(encoder: DecaEncoder):
    ENCODER.assert_close(encoder.backbone(IMAGES), "features", golden.SINGLE_MODULE)


@torch.no_grad()
def test_parameters_are_those_of_deca_and_in_its_order(encoder: DecaEncoder):
    code = encoder(IMAGES)
    found = {
        "shape": code.shape,
        "tex": code.texture,
        "exp": code.expression,
        "pose": torch.cat([code.turn, code.jaw], dim=1),
        "cam": code.camera,
        "light": code.light,
    }
    std = float(ENCODER.arrays["parameters"].std())
    for name, values in found.items():
        torch.testing.assert_close(values, ENCODER.arrays[name], rtol=0, atol=golden.SINGLE_MODULE * std)


def test_pose_has_the_joints_of_flame(encoder: DecaEncoder):
    with torch.no_grad():
        code = encoder(IMAGES[:1])
    torch.testing.assert_close(code.pose[:, [0, 2]].flatten(1), torch.cat([code.turn, code.jaw], dim=1))
    assert not code.pose[:, [1, 3, 4]].any()


def test_counters_of_batches_may_be_there(weights: dict[str, torch.Tensor]):
    counted = {**weights, "encoder.bn1.num_batches_tracked": torch.tensor(5)}
    plain, found = (DecaEncoder.published(each, "deca_model.tar").eval() for each in (weights, counted))
    with torch.no_grad():
        assert torch.equal(found(IMAGES[:1]).expression, plain(IMAGES[:1]).expression)


@pytest.mark.parametrize("missing", ["encoder.layer2.1.conv3.weight", "layers.2.bias"])
def test_weights_that_are_missing_are_named(weights: dict[str, torch.Tensor], missing: str):
    short = {key: value for key, value in weights.items() if key != missing}
    with pytest.raises(CheckpointError, match=r"deca_model\.tar"):
        DecaEncoder.published(short, "deca_model.tar")


def test_weights_that_are_foreign_are_named(weights: dict[str, torch.Tensor]):
    with pytest.raises(CheckpointError, match=r"deca_model\.tar.*'decoder\.0\.weight'.*E_flame"):
        DecaEncoder.published({**weights, "decoder.0.weight": torch.zeros(3)}, "deca_model.tar")
    with pytest.raises(CheckpointError, match="fc"):
        DecaEncoder.published({**weights, "encoder.fc.weight": torch.zeros(3)}, "deca_model.tar")


def test_pictures_of_another_size_are_refused(encoder: DecaEncoder):
    with pytest.raises(ShapeError, match="224"):
        encoder(torch.zeros(1, 3, 128, 128))
