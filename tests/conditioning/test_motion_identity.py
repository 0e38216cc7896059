"""Motion-identity modulation against the formulas in float64, and its options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError

from anifacediff.conditioning.motion_identity import ITEMS, MotionIdentity, MotionIdentityModulation
from anifacediff.errors import CheckpointError, InputError, ShapeError

SIZES = {"identity": 7, "gaze": 4, "expression": 5, "texture": 6, "illumination": 3, "angles": 3, "translation": 3}


def modulation(**changes: Any) -> MotionIdentityModulation:
    torch.manual_seed(0)
    options: dict[str, Any] = {"sizes": SIZES, "image_dim": 10, "width": 8, "layers": 2}
    return MotionIdentityModulation(**{**options, **changes})


def given(rows: int = 3, **changes: torch.Tensor | None) -> MotionIdentity:
    torch.manual_seed(1)
    return replace(MotionIdentity(**{name: torch.randn(rows, size) for name, size in SIZES.items()}), **changes)


IMAGE = torch.randn(3, 5, 10, generator=torch.Generator().manual_seed(2))


def attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention with both queries and keys scaled by the fourth root, as published."""
    scale = query.shape[-1] ** -0.25
    return ((query * scale) @ (key * scale).transpose(-1, -2)).softmax(-1) @ value


def by_formula(model: MotionIdentityModulation, tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """Pre-norm blocks, written out; a layer's rows are [q; k; v] of head 0, then of head 1, ..."""
    for block in model.blocks:
        layer: Any = block
        rows = layer.qkv(layer.norm1(tokens))
        width = rows.shape[-1] // heads // 3
        parts = rows.split(width, -1)
        read = [attended(*parts[3 * head : 3 * head + 3]) for head in range(heads)]
        tokens = tokens + layer.out(torch.cat(read, -1))
        tokens = tokens + layer.mlp(layer.norm2(tokens))
    return model.norm(tokens)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2])
def test_joint_modulation_equals_its_formula(heads: int):
    model, code = modulation(heads=heads).double(), given()
    items = [model.projections[name](getattr(code, name).double())[:, None] for name in ITEMS]
    tokens = torch.cat([*items, model.project_image(IMAGE.double())], 1)
    torch.testing.assert_close(model(IMAGE.double(), code), by_formula(model, tokens, heads), rtol=0, atol=1e-12)


@torch.no_grad()
def test_cross_attention_equals_the_papers_equation():
    sizes = {name: SIZES[name] for name in ("gaze", "expression", "angles", "translation")}
    model, code = modulation(sizes=sizes, modulation="cross_attention").double(), given()
    assert list(model.projections) == ["gaze", "expression", "angles", "translation"]
    motion = torch.stack([model.projections[name](getattr(code, name).double()) for name in sizes], 1)
    image = model.project_image(IMAGE.double())
    texture = image[:, 1:] + (image[:, 1:] @ motion.mT / 8**0.5).softmax(-1) @ motion
    expected = by_formula(model, torch.cat([image[:, :1], texture], 1), heads=1)
    torch.testing.assert_close(model(IMAGE.double(), code), expected, rtol=0, atol=1e-12)


def test_sizes_left_out_are_mimafaces():
    with torch.device("meta"):
        joint = MotionIdentityModulation()
        paper = MotionIdentityModulation(modulation="cross_attention")
    assert joint.config["sizes"]["identity"] == 25088
    assert sum(joint.config["sizes"].values()) == 25088 + 4 + 64 + 80 + 27 + 3 + 3
    assert set(paper.config["sizes"]) == {"gaze", "expression", "angles", "translation"}


@torch.no_grad()
def test_a_single_row_stands_for_all_frames():
    model, code = modulation(), given()
    assert code.identity is not None
    once = replace(code, identity=code.identity[:1])
    often = replace(code, identity=code.identity[:1].expand(3, -1))
    torch.testing.assert_close(model(IMAGE[:1], once), model(IMAGE[:1].expand(3, -1, -1), often))
    assert model(IMAGE, given(1)).shape == (3, 7 + 5, 8)


@torch.no_grad()
def test_averaging_gives_all_frames_the_mean():
    tokens = modulation()(IMAGE, given())
    averaged = modulation(average_over_clip=True)(IMAGE, given())
    assert torch.equal(averaged, tokens.mean(0, keepdim=True).expand(3, -1, -1))
    assert not torch.equal(tokens[0], tokens[1])


def test_what_has_no_size_may_be_left_out_and_what_has_one_may_not():
    code = given(texture=None)
    sizes = {name: size for name, size in SIZES.items() if name != "texture"}
    assert modulation(sizes=sizes)(IMAGE, code).shape == (3, 6 + 5, 8)
    with pytest.raises(InputError, match="texture: these weights were made with it"):
        modulation()(IMAGE, code)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(tmp_path: Path):
    model = modulation(average_over_clip=True)
    model.save_pretrained(tmp_path)
    again = MotionIdentityModulation.from_pretrained(tmp_path)
    assert torch.equal(again(IMAGE, given()), model(IMAGE, given()))
    with pytest.raises(CheckpointError, match="unexpected keys: blocks"):
        MotionIdentityModulation.from_pretrained(tmp_path, layers=1)


def test_what_does_not_fit_is_named():
    model = modulation()
    with pytest.raises(ShapeError, match="gaze"):
        model(IMAGE, given(gaze=torch.zeros(3, 5)))
    with pytest.raises(ShapeError, match=r"items of 3 frames.*texture \(2\)"):
        model(IMAGE, given(texture=torch.zeros(2, 6)))
    with pytest.raises(ShapeError, match="image_tokens: 2 rows for 3 frames"):
        model(IMAGE[:2], given())
    with pytest.raises(InputError, match="expression"):
        model(IMAGE, given(expression=torch.full((3, 5), torch.nan)))
    with pytest.raises(InputError, match="sizes"):
        modulation(sizes={"mouth": 3})
    with pytest.raises((InputError, TypeCheckError), match="modulation"):
        modulation(modulation="sum")
