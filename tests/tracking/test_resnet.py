"""ResNet-50 by torchvision's keys, against the network written out with torch's functions."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from anifacediff.errors import CheckpointError
from anifacediff.tracking.resnet import from_torchvision, load_resnet50

DEPTHS = (3, 4, 6, 3)
BLOCKS = tuple(f"layer{stage}.{block}" for stage, depth in enumerate(DEPTHS, start=1) for block in range(depth))


def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((f"{name}.{leaf}", (width,)) for leaf in ("weight", "bias", "running_mean", "running_var"))


def layout() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Torchvision's keys and shapes."""
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    entering = 64
    for block in BLOCKS:
        inner = 64 * 2 ** (int(block[5]) - 1)
        for number, shape in enumerate(
            ((inner, entering, 1, 1), (inner, inner, 3, 3), (4 * inner, inner, 1, 1)), start=1
        ):
            yield f"{block}.conv{number}.weight", shape
            yield from norm(f"{block}.bn{number}", shape[0])
        if block.endswith(".0"):
            yield f"{block}.downsample.0.weight", (4 * inner, entering, 1, 1)
            yield from norm(f"{block}.downsample.1", 4 * inner)
        entering = 4 * inner


def drawn(name: str, shape: tuple[int, ...], chance: torch.Generator) -> torch.Tensor:
    noise = torch.randn(shape, generator=chance)
    if len(shape) > 1:
        return noise / noise[0].numel() ** 0.5
    return 0.1 * noise.abs() + 1 if name.endswith(("weight", "running_var")) else 0.02 * noise


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    return {name: drawn(name, shape, chance) for name, shape in layout()}


def published(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    def normed(features: torch.Tensor, name: str) -> torch.Tensor:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return F.batch_norm(features, mean, var, weights[f"{name}.weight"], weights[f"{name}.bias"])

    features = F.conv2d(images, weights["conv1.weight"], stride=2, padding=3)
    features = F.max_pool2d(normed(features, "bn1").relu(), 3, stride=2, padding=1)
    for block in BLOCKS:
        stride = 2 if block.endswith(".0") and block != "layer1.0" else 1
        inner = normed(F.conv2d(features, weights[f"{block}.conv1.weight"]), f"{block}.bn1").relu()
        inner = F.conv2d(inner, weights[f"{block}.conv2.weight"], stride=stride, padding=1)
        inner = F.conv2d(normed(inner, f"{block}.bn2").relu(), weights[f"{block}.conv3.weight"])
        if block.endswith(".0"):
            features = F.conv2d(features, weights[f"{block}.downsample.0.weight"], stride=stride)
            features = normed(features, f"{block}.downsample.1")
        features = (features + normed(inner, f"{block}.bn3")).relu()
    return features.mean((2, 3))


def test_features_are_those_of_the_network_written_out(weights: dict[str, torch.Tensor]) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = load_resnet50(weights, "drawn")(images), published(weights, images)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.std()))


def test_no_two_keys_become_one(weights: dict[str, torch.Tensor]) -> None:
    assert len(from_torchvision(weights)) == len(weights)


def test_counters_of_batches_are_taken_if_there(weights: dict[str, torch.Tensor]) -> None:
    model = load_resnet50({**weights, "layer2.0.downsample.1.num_batches_tracked": torch.tensor(7)}, "drawn")
    key = "encoder.stages.1.layers.0.shortcut.normalization.num_batches_tracked"
    assert model.network.state_dict()[key] == 7


def test_what_is_missing_or_foreign_is_named(weights: dict[str, torch.Tensor]) -> None:
    spoilt = {key: value for key, value in weights.items() if key != "layer3.5.conv2.weight"} | {
        "fc.weight": torch.zeros(1000, 2048)
    }
    with pytest.raises(CheckpointError, match=r"of_users\.pth[\s\S]*stages\.2\.layers\.5\.layer\.1[\s\S]*fc\.weight"):
        load_resnet50(spoilt, "of_users.pth")
