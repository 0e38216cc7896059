"""CurricularFace's layers against their formulas in float64, and its file."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from anifacediff_curricularface import crop, encoder, loading
from anifacediff_curricularface.encoder import CurricularFaceEncoder
from torch import Tensor

from anifacediff.assets.store import place
from anifacediff.conditioning.contracts import IdentityEncoder
from anifacediff.errors import AssetError, InputError, ShapeError
from anifacediff.registry import registry
from anifacediff.testing import IdentityEncoderCase, parametrize_with_checks, plugin_cases

WIDTHS, UNITS = (4, 4, 6, 8, 10), (1, 2, 1, 1)


def small(features: encoder.Features = "map") -> CurricularFaceEncoder:
    """A narrow network whose every weight and statistic says something."""
    torch.manual_seed(0)
    made = CurricularFaceEncoder(features=features, widths=WIDTHS, units=UNITS)
    for name, value in made.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.add_(0.2 * torch.randn_like(value))
    return made


@parametrize_with_checks(*plugin_cases("curricularface", IdentityEncoderCase("curricularface", small)))
def test_conforms(check: Callable[[], None]) -> None:
    check()


def normalised(states: Tensor, weights: Mapping[str, Tensor], place: str) -> Tensor:
    mean, variance = (weights[f"{place}.running_{name}"][:, None, None] for name in ("mean", "var"))
    gain, bias = (weights[f"{place}.{name}"][:, None, None] for name in ("weight", "bias"))
    return (states - mean) / (variance + 1e-5).sqrt() * gain + bias


def rectified(states: Tensor, slope: Tensor) -> Tensor:
    return states.clamp(min=0) + slope[:, None, None] * states.clamp(max=0)


def by_formula(pictures: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """The published layers in their order, by the published keys."""
    states = F.conv2d(2 * pictures - 1, weights["input_layer.0.weight"], padding=1)
    states = rectified(normalised(states, weights, "input_layer.1"), weights["input_layer.2.weight"])
    firsts = [sum(UNITS[:stage]) for stage in range(len(UNITS))]
    for block in range(sum(UNITS)):
        stride, place = 2 if block in firsts else 1, f"body.{block}"
        kept = states[:, :, ::stride, ::stride]
        if f"{place}.shortcut_layer.0.weight" in weights:
            kept = F.conv2d(kept, weights[f"{place}.shortcut_layer.0.weight"])
            kept = normalised(kept, weights, f"{place}.shortcut_layer.1")
        states = F.conv2d(
            normalised(states, weights, f"{place}.res_layer.0"), weights[f"{place}.res_layer.1.weight"], padding=1
        )
        states = rectified(states, weights[f"{place}.res_layer.2.weight"])
        states = F.conv2d(states, weights[f"{place}.res_layer.3.weight"], stride=stride, padding=1)
        states = normalised(states, weights, f"{place}.res_layer.4") + kept
    return states


@torch.no_grad()
def test_equals_the_published_layers():
    made = small().double()
    pictures = torch.rand(2, 3, 112, 112, dtype=torch.float64)
    weights = made.state_dict()
    states = by_formula(pictures, weights)
    assert states.shape == (2, 10, 7, 7)
    torch.testing.assert_close(made(pictures), states.flatten(1), rtol=0, atol=1e-9)
    made.features = "embedding"
    flat = normalised(states, weights, "output_layer.0").flatten(1)
    flat = flat @ weights["output_layer.3.weight"].T + weights["output_layer.3.bias"]
    mean, variance = weights["output_layer.4.running_mean"], weights["output_layer.4.running_var"]
    torch.testing.assert_close(made(pictures), (flat - mean) / (variance + 1e-5).sqrt(), rtol=0, atol=1e-9)


def test_it_is_of_the_published_size():
    with torch.device("meta"):
        made = CurricularFaceEncoder()
    assert isinstance(made, IdentityEncoder)
    assert (made.image_size, made.num_features) == (112, 25088)
    assert len(made.body) == 49
    weights = made.state_dict()
    assert weights["body.3.shortcut_layer.0.weight"].shape == (128, 64, 1, 1)
    assert weights["output_layer.3.weight"].shape == (512, 25088)
    assert "output_layer.4.weight" not in weights


def test_the_face_is_cut_as_published():
    picture = torch.rand(1, 3, 256, 256)
    cut = crop(picture)
    assert cut.shape == (1, 3, 112, 112)
    torch.testing.assert_close(cut[0, :, 0, 0], picture[0, :, :2, 16:18].mean((1, 2)))
    torch.testing.assert_close(cut[0, :, -1, -1], picture[0, :, 222:224, 238:240].mean((1, 2)))
    large = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(crop(large), cut)


def test_a_published_file_is_converted_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    narrow = partial(CurricularFaceEncoder, widths=WIDTHS, units=UNITS)
    monkeypatch.setattr(loading, "CurricularFaceEncoder", narrow)
    weights = small().state_dict()
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "CurricularFace_Backbone.pth")
    place(loading.asset(), tmp_path, tmp_path / "assets")
    loaded = loading.curricularface(features="embedding", folder=tmp_path / "assets")
    pictures = torch.rand(1, 3, 112, 112)
    assert torch.equal(loaded(pictures), small("embedding")(pictures))
    torch.save({**weights, "head.weight": torch.zeros(1)}, tmp_path / "CurricularFace_Backbone.pth")
    with pytest.raises(AssetError, match=r"1 unexpected keys: head\.weight"):
        place(loading.asset(), tmp_path, tmp_path / "assets")


def test_what_does_not_fit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path))
    with pytest.raises(AssetError, match=r"CurricularFace_Backbone\.pth"):
        registry.identity_encoders["curricularface"]()
    with pytest.raises(ShapeError, match="pictures"):
        small()(torch.zeros(1, 3, 150, 150))
    with pytest.raises(InputError, match="pictures"):
        small()(torch.full((1, 3, 112, 112), torch.nan))
    with pytest.raises(InputError, match="features"):
        CurricularFaceEncoder(features="all")  # pyright: ignore[reportArgumentType]
