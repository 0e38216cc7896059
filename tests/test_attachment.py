"""Attaching to stock denoisers and taking off again."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from peft import LoraConfig
from torch import Tensor, nn

from anifacediff.attachment import Attachment, modules_by_place, refuse_attached, spatial_attention
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError

FRAMES = 4
AnyUNet = UNet2DConditionModel | UNetMotionModel


class Parts:
    """A reference net and adapters with weights that matter, and the conditions for them."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        torch.manual_seed(1)
        self.reference_net = ReferenceNet.from_unet(unet)
        self.expression = ExpressionAdapter.for_unet(unet, expression_dim=10)
        self.pose = PoseEncoder.for_unet(unet, block_out_channels=(8, 8, 8, 8))
        for part in (self.expression, self.pose):
            for parameter in part.parameters():
                nn.init.normal_(parameter, std=0.2)
        self.all = (self.reference_net, self.expression, self.pose)

    def conditions(self, unet: AnyUNet, frames: int = FRAMES, *, guidance: bool = False) -> dict[str, object]:
        torch.manual_seed(2)
        reference, context = torch.randn(1, 4, 8, 8), torch.randn(1, 1, 24)
        return {
            **self.reference_net.read(reference, context, unet, guidance=guidance),
            **self.expression(torch.randn(frames, 10), guidance=guidance),
            **self.pose(torch.rand(frames, 3, 64, 64)),
        }


@pytest.fixture
def parts(unet: UNet2DConditionModel) -> Parts:
    return Parts(unet)


@pytest.fixture(params=["2d", "video"])
def denoiser(request: pytest.FixtureRequest, unet: UNet2DConditionModel, video_unet: UNetMotionModel) -> AnyUNet:
    return unet if request.param == "2d" else video_unet


def run(unet: AnyUNet, conditions: dict[str, object] | None = None, frames: int = FRAMES) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    context = torch.randn(frames, 1, 24, generator=generator)
    sample = torch.randn(frames, 4, 8, 8, generator=generator)
    if isinstance(unet, UNetMotionModel):
        sample = sample.transpose(0, 1)[None]
    return unet(sample, 5, context, cross_attention_kwargs=conditions, return_dict=False)[0]


def attach_all(parts: Parts, unet: AnyUNet) -> ExitStack:
    stack = ExitStack()
    for part in parts.all:
        stack.enter_context(part.attach(unet))
    return stack


def test_detaching_restores_the_same_objects_and_output(denoiser: AnyUNet, parts: Parts):
    before, output = dict(denoiser.attn_processors), run(denoiser)
    conv_in, keys = denoiser.conv_in, list(denoiser.state_dict())
    with attach_all(parts, denoiser):
        assert not torch.equal(run(denoiser, parts.conditions(denoiser)), output)
        assert list(denoiser.state_dict()) == keys, "the denoiser's checkpoint must stay free of our weights"
    assert all(denoiser.attn_processors[name] is processor for name, processor in before.items())
    assert denoiser.conv_in is conv_in
    assert not denoiser._forward_pre_hooks
    assert torch.equal(run(denoiser), output)


def test_detaching_after_an_exception(denoiser: AnyUNet, parts: Parts):
    before, output = dict(denoiser.attn_processors), run(denoiser)
    with pytest.raises(ZeroDivisionError), attach_all(parts, denoiser):
        raise ZeroDivisionError
    assert all(denoiser.attn_processors[name] is processor for name, processor in before.items())
    assert torch.equal(run(denoiser), output)


def test_attached_without_conditions_changes_nothing(denoiser: AnyUNet, parts: Parts):
    output = run(denoiser)
    with attach_all(parts, denoiser):
        assert torch.equal(run(denoiser), output)


def test_either_order_of_attaching_and_detaching(denoiser: AnyUNet, parts: Parts):
    conditions = parts.conditions(denoiser)
    first: list[Attachment] = [part.attach(denoiser) for part in parts.all]
    forwards = run(denoiser, conditions)
    for attachment in first:
        attachment.detach()
    second: list[Attachment] = [part.attach(denoiser) for part in reversed(parts.all)]
    assert torch.equal(run(denoiser, conditions), forwards)
    for attachment in second:
        attachment.detach()
        attachment.detach()
    assert not denoiser._forward_pre_hooks


def test_each_condition_matters_alone(denoiser: AnyUNet, parts: Parts):
    with attach_all(parts, denoiser):
        plain = run(denoiser)
        for name, condition in parts.conditions(denoiser).items():
            assert not torch.allclose(run(denoiser, {name: condition}), plain, atol=1e-3), name


def test_no_warnings_about_unknown_arguments(denoiser: AnyUNet, parts: Parts, diffusers_log: pytest.LogCaptureFixture):
    for part in parts.all:
        with part.attach(denoiser):
            name = next(key for key in parts.conditions(denoiser) if key.startswith(_argument(part)))
            run(denoiser, {name: parts.conditions(denoiser)[name]})
    assert "not expected" not in diffusers_log.text


def _argument(part: object) -> str:
    names: dict[type, str] = {ReferenceNet: "reference", ExpressionAdapter: "expression", PoseEncoder: "pose"}
    return names[type(part)]


def test_twice_is_refused(denoiser: AnyUNet, parts: Parts):
    for part in parts.all:
        with part.attach(denoiser), pytest.raises(AttachmentError, match="already"):
            part.attach(denoiser)


def test_a_foreign_processor_is_refused(denoiser: AnyUNet, parts: Parts):
    place, layer = next(iter(spatial_attention(denoiser, "attn2").items()))
    before = layer.processor
    layer.set_processor(IPAdapterAttnProcessor2_0(layer.to_q.out_features, 24))
    with pytest.raises(AttachmentError, match=rf"{place} carries a .*IPAdapterAttnProcessor2_0"):
        parts.expression.attach(denoiser)
    layer.set_processor(before)
    parts.expression.attach(denoiser).detach()


def test_a_replaced_processor_is_noticed(denoiser: AnyUNet, parts: Parts):
    with parts.reference_net.attach(denoiser):
        place, layer = next(iter(spatial_attention(denoiser, "attn1").items()))
        theirs = AttnProcessor2_0()
        layer.set_processor(theirs)
        with pytest.raises(AttachmentError, match=f"{place} was replaced by a AttnProcessor2_0"):
            run(denoiser)
    assert layer.processor is theirs


@pytest.mark.parametrize("lora_first", [True, False])
def test_beside_lora(unet: UNet2DConditionModel, parts: Parts, lora_first: bool):
    def add_lora() -> None:
        config = LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False)
        torch.manual_seed(4)
        unet.add_adapter(config)

    conditions = parts.conditions(unet)
    with attach_all(parts, unet):
        without = run(unet, conditions)
    if lora_first:
        add_lora()
    with attach_all(parts, unet):
        if not lora_first:
            add_lora()
        output = run(unet, parts.conditions(unet))
        assert not torch.allclose(output, without, atol=1e-3)
        unet.disable_adapters()
        assert torch.allclose(run(unet, conditions), without, atol=1e-6)
    assert not any("lora" in name for part in parts.all for name, _ in part.named_parameters())


def test_beside_ip_adapter(unet: UNet2DConditionModel, parts: Parts):
    """IP-Adapter takes the cross-attention layers: ReferenceNet works beside it, the Expression Adapter refuses."""
    context = torch.randn(FRAMES, 1, 24)
    _load_ip_adapter(unet)
    with pytest.raises(AttachmentError, match="unload_ip_adapter"):
        parts.expression.attach(unet)
    condition = parts.reference_net.read(torch.randn(1, 4, 8, 8), context[:1], unet)
    images = {"image_embeds": [torch.randn(FRAMES, 1, 16)]}
    latents = torch.randn(FRAMES, 4, 8, 8)
    without = unet(latents, 5, context, added_cond_kwargs=images, return_dict=False)[0]
    with parts.reference_net.attach(unet):
        output = unet(
            latents, 5, context, added_cond_kwargs=images, cross_attention_kwargs=dict(condition), return_dict=False
        )[0]
    assert not torch.allclose(output, without, atol=1e-3)


def _load_ip_adapter(unet: UNet2DConditionModel) -> None:
    """Give the denoiser a random IP-Adapter through diffusers' own loader."""
    weights: dict[str, dict[str, Tensor]] = {
        "image_proj": {
            "proj.weight": torch.randn(4 * 24, 16),
            "proj.bias": torch.randn(4 * 24),
            "norm.weight": torch.ones(24),
            "norm.bias": torch.zeros(24),
        },
        "ip_adapter": {},
    }
    cross = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    layers = spatial_attention(unet, "attn2")
    for number, name in enumerate(cross):
        width = layers[name.removesuffix(".processor")].to_q.out_features
        for key in ("to_k_ip", "to_v_ip"):
            weights["ip_adapter"][f"{2 * number + 1}.{key}.weight"] = torch.randn(width, 24) * 0.1
    unet._load_ip_adapter_weights([weights])


@pytest.mark.parametrize("kind", ["fuse", "set_processor"])
def test_silent_replacement_by_diffusers_is_noticed(unet: UNet2DConditionModel, parts: Parts, kind: str):
    replace: Callable[[], None] = (
        unet.fuse_qkv_projections if kind == "fuse" else lambda: unet.set_attn_processor(AttnProcessor2_0())
    )
    with parts.expression.attach(unet):
        replace()
        with pytest.raises(AttachmentError, match="was replaced"):
            run(unet)


def test_gradients_flow_under_gradient_checkpointing(denoiser: AnyUNet, parts: Parts):
    grads: list[dict[str, Tensor]] = []
    for checkpointed in (False, True):
        denoiser.train()
        (denoiser.enable_gradient_checkpointing if checkpointed else denoiser.disable_gradient_checkpointing)()
        for part in parts.all:
            part.zero_grad()
        with attach_all(parts, denoiser):
            run(denoiser, parts.conditions(denoiser)).square().mean().backward()
        found = {
            f"{type(part).__name__}.{name}": parameter.grad.clone()
            for part in parts.all
            for name, parameter in part.named_parameters()
            if parameter.grad is not None
        }
        grads.append(found)
    expected = {f"{type(part).__name__}.{name}" for part in parts.all[1:] for name, _ in part.named_parameters()}
    assert expected <= grads[0].keys()
    assert any(name.startswith("ReferenceNet.down_blocks") for name in grads[0])
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=name)
        assert bool(grad.abs().max() > 0), name


def test_a_net_without_the_layers_is_refused():
    class Bare(nn.Module):
        attn_processors: dict[str, object] = {}  # noqa: RUF012

    with pytest.raises(AttachmentError, match="Bare has no cross-attention layer"):
        ExpressionAdapter.for_unet(Bare())


def test_temporal_modules_want_a_bare_denoiser(unet: UNet2DConditionModel, parts: Parts):
    temporal = TemporalModules.for_unet(unet, heads=4)
    with parts.expression.attach(unet), pytest.raises(AttachmentError, match="detach them first"):
        temporal.inflate(unet)
    refuse_attached(unet, "anything")


def test_state_keys_are_places():
    nested = modules_by_place({"a.0.b": nn.Linear(1, 1, bias=False), "a.1": nn.Linear(1, 1, bias=False)})
    assert sorted(nested.state_dict()) == ["a.0.b.weight", "a.1.weight"]
