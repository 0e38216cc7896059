from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from networks import make_unet
from torch import Tensor, nn

from anifacediff.attachment import Attachment
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError

PICTURES = 2 * torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1)) - 1


def make_encoder(unet: UNet2DConditionModel | UNetMotionModel, **options: Any) -> MultiLevelPoseEncoder:
    return MultiLevelPoseEncoder.for_unet(unet, attention_heads=2, attention_head_dim=4, **options).eval()


def filled(module: Any) -> Any:
    torch.manual_seed(0)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    return module.eval()


def run(unet: UNet2DConditionModel, sample: Tensor, condition: object = None) -> Tensor:
    context = torch.ones(len(sample), 1, 24)
    return unet(sample, 5, context, cross_attention_kwargs=condition, return_dict=False)[0]


def by_hand(unet: UNet2DConditionModel, sample: Tensor, levels: tuple[Tensor, ...]) -> Tensor:
    """The denoiser's forward, written out, with the maps where they belong."""
    context = torch.ones(len(sample), 1, 24)
    embedding = unet.time_embedding(unet.time_proj(torch.full((len(sample),), 5)))
    states = unet.conv_in(sample) + levels[0]
    skips = [states]
    down, deeper = unet.down_blocks
    states, kept = down(states, embedding, encoder_hidden_states=context)
    skips += kept
    states, kept = deeper(states + levels[1], embedding)
    skips += kept
    states = unet.mid_block(states + levels[2], embedding, encoder_hidden_states=context)  # pyright: ignore[reportOptionalCall]
    up, higher = unet.up_blocks
    states = up(states, tuple(skips[-2:]), embedding)
    states = higher(states, tuple(skips[:-2]), embedding, encoder_hidden_states=context)
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(states)))  # pyright: ignore[reportOptionalCall]


def test_a_map_for_each_level_of_stable_diffusion():
    with torch.device("meta"):
        encoder = MultiLevelPoseEncoder()
    widths = [320, 320, 640, 1280, 1280]
    assert [encoder.conv_out.out_channels, *(step[-3].out_channels for step in encoder.steps)] == widths  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("self_attention", [True, False])
def test_a_fresh_encoder_changes_nothing(unet: UNet2DConditionModel, self_attention: bool):
    encoder, sample = make_encoder(unet, self_attention=self_attention), torch.randn(2, 4, 8, 6)
    output = run(unet, sample)
    with encoder.attach(unet):
        assert torch.equal(run(unet, sample, encoder(PICTURES)), output)


@pytest.mark.parametrize("self_attention", [True, False])
def test_maps_are_added_on_the_way_down_and_not_to_the_skips(unet: UNet2DConditionModel, self_attention: bool):
    encoder, sample = filled(make_encoder(unet, self_attention=self_attention)), torch.randn(2, 4, 8, 6)
    levels = encoder.features(PICTURES)
    assert [tuple(level.shape[1:]) for level in levels] == [(32, 8, 6), (32, 4, 3), (64, 4, 3)]
    with encoder.attach(unet):
        found = run(unet, sample, {"pose_levels": levels})
    torch.testing.assert_close(found, by_hand(unet, sample, levels))
    assert not torch.allclose(found, by_hand(unet, sample, (levels[0], *map(torch.zeros_like, levels[1:]))), atol=1e-3)


def test_every_frame_is_encoded_alone(unet: UNet2DConditionModel):
    encoder = filled(make_encoder(unet)).double()  # in float32, rounding grows from level to level
    together = encoder.features(PICTURES)
    for frame in range(2):
        for all_, alone in zip(together, encoder.features(PICTURES[frame : frame + 1]), strict=True):
            torch.testing.assert_close(all_[frame : frame + 1], alone)


def test_both_clips_of_a_guided_batch_get_the_same_maps(video_unet: UNetMotionModel):
    encoder = filled(make_encoder(video_unet))
    sample, context = torch.randn(2, 4, 2, 8, 6), torch.ones(4, 1, 24)
    condition = encoder(PICTURES)
    with encoder.attach(video_unet):
        both = video_unet(sample, 5, context, cross_attention_kwargs=condition)[0]
        for clip in range(2):
            alone = video_unet(sample[clip : clip + 1], 5, context[:2], cross_attention_kwargs=condition)[0]
            torch.testing.assert_close(both[clip : clip + 1], alone)
        swapped = {"pose_levels": tuple(level.flip(0) for level in condition["pose_levels"])}
        assert not torch.allclose(video_unet(sample, 5, context, cross_attention_kwargs=swapped)[0], both, atol=1e-3)


def test_detaching_restores_the_denoiser(unet: UNet2DConditionModel):
    encoder, sample = filled(make_encoder(unet)), torch.randn(2, 4, 8, 6)
    modules, keys, output = list(unet.modules()), list(unet.state_dict()), run(unet, sample)
    attachment = encoder.attach(unet)
    assert list(unet.state_dict()) == keys
    assert torch.equal(run(unet, sample), output), "without maps nothing changes"
    assert not torch.allclose(run(unet, sample, encoder(PICTURES)), output, atol=1e-3)
    assert torch.equal(run(unet, sample), output), "maps are not remembered"
    attachment.detach()
    assert all(now is then for now, then in zip(unet.modules(), modules, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())
    assert torch.equal(run(unet, sample), output)


def test_maps_are_let_go_after_an_error(unet: UNet2DConditionModel):
    encoder, sample = filled(make_encoder(unet)), torch.randn(2, 4, 8, 6)
    output = run(unet, sample)
    with encoder.attach(unet):
        with pytest.raises(RuntimeError):
            unet(sample, 5, torch.ones(2, 1, 23), cross_attention_kwargs=encoder(PICTURES))
        assert torch.equal(run(unet, sample), output)


def test_attached_once(unet: UNet2DConditionModel):
    encoder = make_encoder(unet)
    with encoder.attach(unet):
        with pytest.raises(AttachmentError, match="attached to this denoiser already"):
            encoder.attach(unet)
        with pytest.raises(AttachmentError, match="the first pose_levels"):
            TemporalModules.for_unet(unet, heads=4).inflate(unet)
    encoder.attach(unet).detach()


def test_beside_the_other_components_in_any_order(unet: UNet2DConditionModel):
    parts = [filled(make_encoder(unet)), filled(ExpressionAdapter.for_unet(unet)), ReferenceNet.from_unet(unet)]
    sample, tokens = torch.randn(2, 4, 8, 6), torch.ones(1, 1, 24)
    output = run(unet, sample)
    condition: dict[str, object] = {
        **parts[0](PICTURES),
        **parts[1](torch.randn(2, 50)),
        **parts[2].read(torch.randn(1, 4, 8, 6), tokens, unet),
    }
    outputs: list[Tensor] = []
    for order in (parts, parts[::-1]):
        with ExitStack() as stack:
            for part in order:
                stack.enter_context(part.attach(unet))
            outputs.append(run(unet, sample, condition))
            for entry in condition:
                others = {name: value for name, value in condition.items() if name != entry}
                assert not torch.allclose(run(unet, sample, others), outputs[-1], atol=1e-4), entry
    assert torch.equal(*outputs)
    assert torch.equal(run(unet, sample), output)


def test_beside_a_pose_encoder(unet: UNet2DConditionModel):
    encoder, plain = filled(make_encoder(unet)), filled(PoseEncoder.for_unet(unet))
    sample = torch.randn(2, 4, 8, 6)
    levels, features = encoder.features(PICTURES), plain.features(PICTURES)
    condition = {"pose_levels": levels, "pose_features": features}
    expected = by_hand(unet, sample, (levels[0] + features, *levels[1:]))
    with plain.attach(unet), encoder.attach(unet):
        torch.testing.assert_close(run(unet, sample, condition), expected)
    attachment: Attachment = encoder.attach(unet)
    with plain.attach(unet), pytest.raises(AttachmentError, match="attached last and detached first"):
        run(unet, sample, condition)
    attachment.detach()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_every_weight(unet: UNet2DConditionModel, checkpointing: bool):
    encoder, sample = filled(make_encoder(unet)), torch.randn(2, 4, 8, 6)
    if checkpointing:
        unet.enable_gradient_checkpointing()
    unet.train()
    with encoder.attach(unet):
        run(unet, sample, encoder(PICTURES)).square().mean().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in encoder.parameters())


def test_saved_and_loaded(unet: UNet2DConditionModel, tmp_path: Path):
    encoder = filled(make_encoder(unet))
    encoder.save_pretrained(tmp_path)
    loaded = MultiLevelPoseEncoder.from_pretrained(tmp_path)
    assert not loaded.training
    for found, expected in zip(loaded.features(PICTURES), encoder.features(PICTURES), strict=True):
        assert torch.equal(found, expected)
    make_encoder(unet, self_attention=False).save_pretrained(other := tmp_path / "other")
    (tmp_path / "config.json").write_bytes((other / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"attentions\.0"):
        MultiLevelPoseEncoder.from_pretrained(tmp_path)


def test_bad_pictures_and_maps(unet: UNet2DConditionModel):
    encoder, sample = make_encoder(unet), torch.randn(2, 4, 8, 6)
    with pytest.raises(ShapeError, match=r"pictures: expected shape .* = \(any, 3, any, any\)"):
        encoder(torch.zeros(1, 1, 64, 64))
    with pytest.raises(ShapeError, match="multiples of 8"):
        encoder(torch.zeros(1, 3, 60, 64))
    with pytest.raises(InputError, match="NaN"):
        encoder(torch.full((1, 3, 64, 64), torch.nan))
    with pytest.raises(InputError, match="at least one width"):
        MultiLevelPoseEncoder(block_out_channels=())
    with pytest.raises(AttachmentError, match=r"\(32, 64\) channels, the denoiser's have \(32, 32\)"):
        encoder.attach(make_unet(block_out_channels=(32, 32)))
    with encoder.attach(unet):
        with pytest.raises(ShapeError, match=r"expected 3 maps, .* found 2"):
            run(unet, sample, {"pose_levels": encoder.features(PICTURES)[:2]})
        with pytest.raises(ShapeError, match=r"pose_levels\[0\]: \(2, 32, 8, 6\) do not fit states of \(3, 32, 8, 6\)"):
            run(unet, torch.randn(3, 4, 8, 6), encoder(PICTURES))
        with pytest.raises(ShapeError, match=r"pose_levels\[0\]: .* of the size of the image"):
            run(unet, torch.randn(2, 4, 8, 8), encoder(PICTURES))
