from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from jaxtyping import TypeCheckError
from torch import nn

from anifacediff.attachment import spatial_attention
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError


@pytest.fixture
def adapter(unet: UNet2DConditionModel) -> ExpressionAdapter:
    torch.manual_seed(0)
    adapter = ExpressionAdapter.for_unet(unet, expression_dim=10, num_tokens=3)
    for parameter in adapter.parameters():
        nn.init.normal_(parameter, std=0.2)
    return adapter


def run(unet: UNet2DConditionModel, condition: object = None, rows: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    context = torch.randn(rows, 1, 24, generator=generator)
    sample = torch.randn(rows, 4, 8, 8, generator=generator)
    return unet(sample, 5, context, cross_attention_kwargs=condition, return_dict=False)[0]


def test_a_fresh_adapter_leaves_the_output_bit_equal(unet: UNet2DConditionModel):
    adapter = ExpressionAdapter.for_unet(unet)
    output = run(unet)
    with adapter.attach(unet):
        assert torch.equal(run(unet, adapter(torch.randn(4, 50))), output)


def test_scale_zero_equals_no_adapter_and_scale_is_continuous(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    output = run(unet)
    condition = adapter(torch.randn(4, 10))
    with adapter.attach(unet):
        adapter.scale = 0.0
        assert torch.equal(run(unet, condition), output)
        adapter.scale = 1e-3
        little = (run(unet, condition) - output).abs().max()
        adapter.scale = 1.0
        much = (run(unet, condition) - output).abs().max()
    assert 0 < little < 0.01 * much


def test_each_frame_sees_its_own_expression(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    expression = torch.randn(4, 10)
    changed = expression.clone()
    changed[2] += 1
    with adapter.attach(unet):
        difference = run(unet, adapter(expression)) - run(unet, adapter(changed))
    assert [bool(frame.abs().max() > 1e-4) for frame in difference] == [False, False, True, False]


def test_one_row_serves_all_frames(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    expression = torch.randn(1, 10)
    with adapter.attach(unet):
        one, all_frames = run(unet, adapter(expression)), run(unet, adapter(expression.expand(4, -1)))
    torch.testing.assert_close(one, all_frames)


def test_a_single_key_needs_no_query(unet: UNet2DConditionModel):
    torch.manual_seed(1)
    adapter = ExpressionAdapter.for_unet(unet, expression_dim=10)
    for parameter in adapter.parameters():
        nn.init.normal_(parameter, std=0.2)
    condition = adapter(torch.randn(4, 10))
    queries: list[nn.Module] = []

    def count(module: nn.Module, *_: object) -> None:
        queries.append(module)

    for layer in spatial_attention(unet, "attn2").values():
        layer.to_q.register_forward_hook(count)
    with adapter.attach(unet):
        attended = run(unet, condition)
        assert queries
        queries.clear()
        with torch.no_grad():
            alone = run(unet, condition)
        assert not queries
    torch.testing.assert_close(alone, attended)


def test_guidance_leaves_the_unconditional_half_alone(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    expression = torch.randn(2, 10)
    output = run(unet)
    with adapter.attach(unet):
        guided = run(unet, adapter(expression, guidance=True))
    torch.testing.assert_close(guided[:2], output[:2])
    assert not torch.allclose(guided[2:], output[2:], atol=1e-3)


def test_wrong_rows_are_refused(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    with adapter.attach(unet), pytest.raises(ShapeError, match=r"2 rows for 4 rows of the denoiser.*guidance=True"):
        run(unet, adapter(torch.randn(2, 10)))


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_save_and_load(adapter: ExpressionAdapter, tmp_path: Path, scale: float):
    adapter.scale = scale
    adapter.save_pretrained(tmp_path)
    loaded = ExpressionAdapter.from_pretrained(tmp_path)
    expression = torch.randn(2, 10)
    assert torch.equal(loaded(expression)["expression_tokens"], adapter(expression)["expression_tokens"])
    assert loaded.scale == scale
    assert loaded.state_dict().keys() == adapter.state_dict().keys()
    assert "projections.mid_block.attentions.0.transformer_blocks.0.attn2.to_k_expression.weight" in loaded.state_dict()


def test_loading_is_strict(adapter: ExpressionAdapter, tmp_path: Path):
    adapter.save_pretrained(tmp_path)
    adapter.register_to_config(num_tokens=2)
    adapter.save_config(tmp_path)
    with pytest.raises(CheckpointError, match="project"):
        ExpressionAdapter.from_pretrained(tmp_path)


def test_another_denoiser_is_refused(unet: UNet2DConditionModel):
    adapter = ExpressionAdapter(
        layers={"mid_block.attentions.0.transformer_blocks.0.attn2": 64}, cross_attention_dim=24
    )
    with pytest.raises(AttachmentError, match=r"3 differ, the first: down_blocks.*for_unet"):
        adapter.attach(unet)


def test_bad_expressions(adapter: ExpressionAdapter):
    with pytest.raises(ShapeError, match=r"expression: expected shape \(f e\) = \(any, 10\), found \(2, 9\)"):
        adapter(torch.randn(2, 9))
    with pytest.raises(InputError, match="expression: 1 of 20 values are NaN"):
        adapter(
            torch.randn(2, 10)
            .index_fill(0, torch.tensor([1]), 0)
            .index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(torch.nan))
        )


@pytest.mark.parametrize("shape", [(4, 3, 23), (4, 24)])
def test_tokens_given_by_hand(unet: UNet2DConditionModel, adapter: ExpressionAdapter, shape: tuple[int, ...]):
    with adapter.attach(unet), pytest.raises(ShapeError, match=r"expression_tokens: expected shape \(n l d\)"):
        run(unet, {"expression_tokens": torch.zeros(shape)})


def test_bad_settings(unet: UNet2DConditionModel, adapter: ExpressionAdapter):
    with pytest.raises(InputError, match="num_tokens, expression_dim: must be positive"):
        ExpressionAdapter.for_unet(unet, num_tokens=0)
    with pytest.raises(InputError, match="scale: must be a finite number"):
        adapter.scale = float("nan")


def test_a_pipeline_is_no_unet():
    with pytest.raises((AttachmentError, TypeCheckError), match=r"pass pipe.unet|Type-check"):
        ExpressionAdapter.for_unet("a pipeline")  # pyright: ignore[reportArgumentType]
