from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from jaxtyping import TypeCheckError
from networks import make_unet
from peft import LoraConfig
from torch import nn

from anifacediff.attachment import spatial_attention
from anifacediff.backbone.reference_net import ReferenceFeatures, ReferenceNet
from anifacediff.errors import AttachmentError, InputError, ShapeError


@pytest.fixture
def reference_net(unet: UNet2DConditionModel) -> ReferenceNet:
    return ReferenceNet.from_unet(unet)


def read(
    net: ReferenceNet, unet: object, *, references: int = 1, size: int = 8, guidance: bool = False
) -> dict[str, ReferenceFeatures]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(references, 4, size, size, generator=generator)
    context = torch.randn(references, 1, 24, generator=generator)
    return net.read(latents, context, unet, guidance=guidance)  # pyright: ignore[reportArgumentType]


def run(unet: UNet2DConditionModel, condition: object = None, rows: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    context = torch.randn(rows, 1, 24, generator=generator)
    sample = torch.randn(rows, 4, 8, 8, generator=generator)
    return unet(sample, 5, context, cross_attention_kwargs=condition, return_dict=False)[0]


def test_a_copy_of_its_own_weights(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    assert torch.equal(run(reference_net), run(unet))
    with torch.no_grad():
        reference_net.conv_in.weight.zero_()
    assert not torch.equal(run(reference_net), run(unet))


def test_equals_attending_to_both_and_keeping_the_own_half(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    """The paper's wording: concatenate the tokens, attend with all of them, take the first half."""

    class Both(AttnProcessor2_0):
        def __init__(self, place: str) -> None:
            self.place = place

        def __call__(
            self,
            attn: Attention,
            hidden_states: torch.Tensor,
            encoder_hidden_states: torch.Tensor | None = None,
            attention_mask: torch.Tensor | None = None,
            temb: torch.Tensor | None = None,
        ) -> torch.Tensor:
            both = torch.cat([hidden_states, states[self.place].repeat(len(hidden_states), 1, 1)], 1)
            return super().__call__(attn, both)[:, : hidden_states.shape[1]]

    generator = torch.Generator().manual_seed(1)
    latents, context = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 1, 24, generator=generator)
    states = reference_net.hidden_states(latents, context)
    with reference_net.attach(unet):
        ours = run(unet, reference_net.read(latents, context, unet))
    for place, layer in spatial_attention(unet, "attn1").items():
        layer.set_processor(Both(place))
    torch.testing.assert_close(ours, run(unet))


def test_any_resolution_of_the_reference(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    with reference_net.attach(unet):
        assert run(unet, read(reference_net, unet, size=12)).shape == (4, 4, 8, 8)


def test_guidance_hides_the_reference_from_the_first_half(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    plain = run(unet)
    with reference_net.attach(unet):
        guided = run(unet, read(reference_net, unet, guidance=True))
        full = run(unet, read(reference_net, unet))
    torch.testing.assert_close(guided[:2], plain[:2])
    torch.testing.assert_close(guided[2:], full[2:])
    assert not torch.allclose(full[:2], plain[:2], atol=1e-4)


def test_two_clips_with_a_reference_each(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    both = read(reference_net, unet, references=2)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    context = torch.randn(2, 1, 24, generator=generator)
    second = reference_net.read(latents[1:], context[1:], unet)
    with reference_net.attach(unet):
        torch.testing.assert_close(run(unet, both)[2:], run(unet, second)[2:])
        with pytest.raises(ShapeError, match="2 references for 3 rows"):
            run(unet, both, rows=3)


def test_on_a_video_denoiser(video_unet: UNetMotionModel, reference_net: ReferenceNet):
    sample, context = torch.randn(1, 4, 3, 8, 8), torch.randn(3, 1, 24)
    with reference_net.attach(video_unet):
        plain = video_unet(sample, 5, context)[0]
        condition = read(reference_net, video_unet)
        assert not torch.allclose(video_unet(sample, 5, context, cross_attention_kwargs=condition)[0], plain, atol=1e-4)


def test_fusion_by_addition_equals_adding_to_every_blocks_input(
    video_unet: UNetMotionModel, reference_net: ReferenceNet
):
    sample, context = torch.randn(2, 4, 3, 8, 8), torch.randn(6, 1, 24)
    latents, token = torch.randn(1, 4, 8, 8), torch.randn(1, 1, 24)
    with reference_net.attach(video_unet):
        condition = reference_net.read(latents, token, video_unet, guidance=True, fusion="add")
        plain = video_unet(sample, 5, context)[0]
        ours = video_unet(sample, 5, context, cross_attention_kwargs=condition)[0]
        video_unet.enable_gradient_checkpointing()
        checkpointed = video_unet.train()(sample, 5, context, cross_attention_kwargs=condition)[0]
    assert not any(layer._forward_pre_hooks for layer in video_unet.modules())
    video_unet.disable_gradient_checkpointing()

    states: dict[str, torch.Tensor] = {}

    def hook_all(network: UNet2DConditionModel | UNetMotionModel, what: Callable[[str, torch.Tensor], object]) -> None:
        for layer in spatial_attention(network, "attn1"):
            block = layer.removesuffix(".attn1")

            def hook(module: nn.Module, args: tuple[torch.Tensor, ...], block: str = block) -> object:
                return what(block, args[0])

            network.get_submodule(block).register_forward_pre_hook(hook)

    hook_all(reference_net, lambda block, hidden: states.update({block: hidden}))
    reference_net(latents, 0, token)
    hook_all(video_unet, lambda block, hidden: (hidden + states[block],))
    by_hand = video_unet.eval()(sample, 5, context)[0]
    assert len(states) == 4
    torch.testing.assert_close(ours[:1], plain[:1])
    torch.testing.assert_close(ours[1:], by_hand[1:])
    torch.testing.assert_close(checkpointed, ours)
    assert not torch.allclose(ours[1:], plain[1:], atol=1e-3)


def test_addition_takes_latents_of_the_denoisers_size(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    condition = reference_net.read(torch.randn(1, 4, 8, 4), torch.randn(1, 1, 24), unet, fusion="add")
    with reference_net.attach(unet), pytest.raises(ShapeError, match=r"32 hidden states .* latents of the size"):
        run(unet, condition)


def test_states_are_rounded_where_asked(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    latents, token = torch.randn(1, 4, 8, 8), torch.randn(1, 1, 24)
    states = reference_net.hidden_states(latents, token)
    rounded = reference_net.read(latents, token, unet, store_dtype=torch.float16)["reference_features"]
    for place, layer in spatial_attention(unet, "attn1").items():
        expected = layer.to_k(states[place].half().float()).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        assert torch.equal(rounded.layers[place].key, expected)
    added = reference_net.read(latents, token, unet, store_dtype=torch.float16, fusion="add")["reference_features"]
    assert all(value.dtype == torch.float16 for value in added.added.values())


def test_several_readings_are_joined_by_tokens(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    first, second = (read(reference_net, unet, size=size)["reference_features"] for size in (8, 12))
    both = ReferenceFeatures.joined([first, second])
    for place, layer in both.layers.items():
        assert torch.equal(layer.key, torch.cat([first.layers[place].key, second.layers[place].key], 2))
        assert torch.equal(layer.value, torch.cat([first.layers[place].value, second.layers[place].value], 2))
    with reference_net.attach(unet):
        assert run(unet, {"reference_features": both}).shape == (4, 4, 8, 8)
    guided = read(reference_net, unet, guidance=True)["reference_features"]
    for readings in ([], [first, guided]):
        with pytest.raises(InputError, match="readings"):
            ReferenceFeatures.joined(readings)


def test_an_unknown_fusion(unet: UNet2DConditionModel, reference_net: ReferenceNet):
    with pytest.raises((InputError, TypeCheckError), match="multiply"):
        reference_net.read(torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 24), unet, fusion="multiply")  # pyright: ignore[reportArgumentType]


def test_save_and_load(reference_net: ReferenceNet, unet: UNet2DConditionModel, tmp_path: Path):
    reference_net.save_pretrained(tmp_path)
    loaded = ReferenceNet.from_pretrained(tmp_path)
    assert torch.equal(run(loaded), run(reference_net))


def test_another_denoiser_is_refused(reference_net: ReferenceNet):
    other = make_unet(block_out_channels=(32, 32))
    with pytest.raises(AttachmentError, match=r"2 differ, the first: mid_block.*ReferenceNet\.from_unet"):
        reference_net.attach(other)


def test_bad_latents(reference_net: ReferenceNet, unet: UNet2DConditionModel):
    with pytest.raises(InputError, match="latents: 256 of 256 values are NaN"):
        reference_net.read(torch.full((1, 4, 8, 8), torch.nan), torch.zeros(1, 1, 24), unet)
    assert not any(layer._forward_pre_hooks for layer in reference_net.modules())


def test_only_a_plain_2d_denoiser_is_copied(unet: UNet2DConditionModel, video_unet: UNetMotionModel):
    with pytest.raises((AttachmentError, TypeCheckError), match=r"deflate|Type-check"):
        ReferenceNet.from_unet(video_unet)  # pyright: ignore[reportArgumentType]
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"]))
    with pytest.raises(AttachmentError, match="LoRA"):
        ReferenceNet.from_unet(unet)
