import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel, UNetMotionModel
from jaxtyping import TypeCheckError
from networks import make_unet
from peft import LoraConfig
from torch import nn

from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, InputError, ShapeError


def filled(encoder: PoseEncoder) -> PoseEncoder:
    torch.manual_seed(0)
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    return encoder


def run(unet: UNet2DConditionModel, sample: torch.Tensor, condition: object = None) -> torch.Tensor:
    context = torch.ones(len(sample), 1, 24)
    return unet(sample, 5, context, cross_attention_kwargs=condition, return_dict=False)[0]


def test_a_fresh_encoder_changes_nothing(unet: UNet2DConditionModel):
    encoder, sample = PoseEncoder.for_unet(unet), torch.randn(3, 4, 8, 8)
    output = run(unet, sample)
    with encoder.attach(unet):
        assert torch.equal(run(unet, sample, encoder(torch.rand(3, 3, 64, 64))), output)


def test_added_after_conv_in(unet: UNet2DConditionModel):
    encoder, sample = filled(PoseEncoder.for_unet(unet)), torch.randn(2, 4, 8, 8)
    condition = encoder(torch.rand(2, 3, 64, 64))
    seen: list[torch.Tensor] = []
    with encoder.attach(unet):
        first = unet.get_submodule("down_blocks.0.resnets.0")
        hook = first.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        run(unet, sample, condition)
        hook.remove()
    torch.testing.assert_close(seen[0], unet.conv_in(sample) + condition["pose_features"])


def test_added_to_the_latents_equals_adding_by_hand(unet: UNet2DConditionModel):
    encoder, sample = filled(PoseEncoder.for_unet(unet, placement="latents")), torch.randn(2, 4, 8, 8)
    condition = encoder(torch.rand(2, 3, 64, 64))
    by_hand = run(unet, sample + condition["pose_features"])
    with encoder.attach(unet):
        assert torch.equal(run(unet, sample, condition), by_hand)


def test_concatenated_equals_concatenating_by_hand():
    unet = make_unet(in_channels=10)
    encoder, sample = filled(PoseEncoder.for_unet(unet, placement="concatenate")), torch.randn(2, 4, 8, 8)
    condition = encoder(torch.rand(2, 3, 64, 64))
    by_hand = run(unet, torch.cat([sample, condition["pose_features"]], 1))
    with encoder.attach(unet):
        assert torch.equal(run(unet, sample, condition), by_hand)


def test_video_frames_get_their_own_maps(video_unet: UNetMotionModel):
    encoder = filled(PoseEncoder.for_unet(video_unet))
    sample, context = torch.randn(2, 4, 3, 8, 8), torch.ones(6, 1, 24)
    condition = encoder(torch.rand(3, 3, 64, 64))
    seen: list[torch.Tensor] = []
    with encoder.attach(video_unet):
        hook = video_unet.down_blocks[0].register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(kwargs["hidden_states"]), with_kwargs=True
        )
        video_unet(sample=sample, timestep=5, encoder_hidden_states=context, cross_attention_kwargs=condition)
        hook.remove()
    rows = sample.transpose(1, 2).flatten(0, 1)
    expected = F.conv2d(rows, video_unet.conv_in.weight, video_unet.conv_in.bias, padding=1)
    torch.testing.assert_close(seen[0], expected + condition["pose_features"].repeat(2, 1, 1, 1))


def test_weights_stay_the_denoisers_own(unet: UNet2DConditionModel):
    encoder, weight = PoseEncoder.for_unet(unet), unet.conv_in.weight
    with encoder.attach(unet):
        assert unet.conv_in.weight is weight
        unet.to(torch.float64)  # pyright: ignore[reportArgumentType]
    assert unet.conv_in.weight.dtype == torch.float64


def test_bad_maps(unet: UNet2DConditionModel):
    encoder = PoseEncoder.for_unet(unet)
    with pytest.raises(
        ShapeError, match=r"maps: expected shape \(f c h w\) = \(any, 3, any, any\), found \(1, 1, 64, 64\)"
    ):
        encoder(torch.rand(1, 1, 64, 64))
    with pytest.raises(ShapeError, match="multiples of 8"):
        encoder(torch.rand(1, 3, 60, 64))
    with pytest.raises(InputError, match="NaN"):
        encoder(torch.full((1, 3, 64, 64), torch.nan))
    with encoder.attach(unet), pytest.raises(ShapeError, match=r"do not fit latents of 3 rows at \(8, 8\)"):
        run(unet, torch.randn(3, 4, 8, 8), encoder(torch.rand(2, 3, 64, 64)))


def test_bad_fit(unet: UNet2DConditionModel):
    with pytest.raises((InputError, TypeCheckError), match="somewhere"):
        PoseEncoder(placement="somewhere")  # pyright: ignore[reportArgumentType]
    with pytest.raises(AttachmentError, match=r"320 channels, .* takes 4 and gives 32"):
        PoseEncoder().attach(unet)
    with pytest.raises(AttachmentError, match="more in_channels"):
        PoseEncoder.for_unet(unet, placement="concatenate")
    with pytest.raises(AttachmentError, match=r"4 channels, .*'concatenate'.* takes 4 and gives 32"):
        PoseEncoder(out_channels=4, placement="concatenate").attach(unet)
    with pytest.raises(AttachmentError, match=r"7 channels, .*'latents'"):
        PoseEncoder(out_channels=7, placement="latents").attach(unet)
    with pytest.raises(InputError, match="at least one width"):
        PoseEncoder(block_out_channels=())


def test_features_given_by_hand(unet: UNet2DConditionModel):
    message = r"pose_features: expected shape \(f d h w\) = \(any, 32, any, any\)"
    with PoseEncoder.for_unet(unet).attach(unet), pytest.raises(ShapeError, match=message):
        run(unet, torch.randn(2, 4, 8, 8), {"pose_features": torch.zeros(2, 31, 8, 8)})


def test_a_conv_in_that_is_not_the_stock_one(unet: UNet2DConditionModel):
    unet.add_adapter(LoraConfig(r=2, target_modules=["conv_in"]))
    with pytest.raises(AttachmentError, match="not the stock convolution"):
        PoseEncoder(out_channels=32).attach(unet)


def test_a_replaced_conv_in_is_noticed_and_left(unet: UNet2DConditionModel):
    encoder = PoseEncoder.for_unet(unet)
    theirs = nn.Conv2d(4, 32, 3, padding=1)
    with encoder.attach(unet):
        unet.conv_in = theirs
        with pytest.raises(AttachmentError, match="conv_in attached to this denoiser was replaced by a Conv2d"):
            run(unet, torch.randn(1, 4, 8, 8), encoder(torch.rand(1, 3, 64, 64)))
    assert unet.conv_in is theirs


def test_positions_tell_places_apart_and_start_unheard():
    maps = torch.rand(2, 3, 64, 48)
    plain = PoseEncoder(block_out_channels=(4, 8, 8, 8), out_channels=16)
    encoder = PoseEncoder(block_out_channels=(4, 8, 8, 8), out_channels=16, positions=True)
    assert not encoder.features(maps).any()
    assert encoder.position_out is not None
    torch.nn.init.orthogonal_(encoder.position_out.weight[:, :, 0, 0])
    code = encoder.features(maps)
    assert torch.equal(code[0], code[1])
    places = code[0].flatten(1).T
    nearest = torch.cdist(places, places) + 99 * torch.eye(len(places))
    assert nearest.min() > 0.5
    assert set(encoder.state_dict()) - set(plain.state_dict()) == {"position_out.weight"}


def test_a_guide_is_added_by_one_convolution():
    torch.manual_seed(0)
    encoder = PoseEncoder(block_out_channels=(4, 8), out_channels=6, guide_channels=5)
    maps, guide = torch.rand(2, 3, 8, 8), torch.rand(2, 5, 4, 4)
    alone = encoder(maps)["pose_features"]
    assert torch.equal(encoder(maps, guide)["pose_features"], alone), "a fresh one changes nothing"
    assert encoder.guide_out is not None
    torch.nn.init.normal_(encoder.guide_out.weight)
    added = torch.nn.functional.conv2d(guide, encoder.guide_out.weight, padding=1)
    torch.testing.assert_close(encoder(maps, guide)["pose_features"], alone + added)
    with pytest.raises(ShapeError, match="guide"):
        encoder(maps, guide[:, :4])
    with pytest.raises(ShapeError, match="guide"):
        PoseEncoder(block_out_channels=(4, 8), out_channels=6)(maps, guide)
