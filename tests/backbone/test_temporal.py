from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from networks import make_unet
from peft import LoraConfig
from torch import Tensor

from anifacediff.backbone.temporal import (
    PerFrameGroupNorm,
    TemporalModules,
    check_window,
    frame_norm_groups,
    normalise_per_frame,
)
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, ShapeError

FRAMES = 4


def clip() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(FRAMES, 4, 8, 8, generator=generator), torch.randn(FRAMES, 1, 24, generator=generator)


def run_2d(unet: UNet2DConditionModel) -> Tensor:
    sample, context = clip()
    return unet(sample, 5, context, return_dict=False)[0]


def run_video(unet: UNetMotionModel) -> Tensor:
    sample, context = clip()
    return unet(sample.transpose(0, 1)[None], 5, context, return_dict=False)[0][0].transpose(0, 1)


def test_fresh_modules_change_nothing(unet: UNet2DConditionModel):
    video_unet = TemporalModules.for_unet(unet, heads=4).inflate(unet)
    torch.testing.assert_close(run_video(video_unet), run_2d(unet), rtol=0, atol=2e-6)


def test_frames_see_each_other(video_unet: UNetMotionModel):
    sample, context = clip()
    video = sample.transpose(0, 1)[None]
    changed = video.clone()
    changed[:, :, 3] += 1
    difference = video_unet(video, 5, context)[0] - video_unet(changed, 5, context)[0]
    assert bool(difference[:, :, 0].abs().max() > 1e-4)


def test_weights_are_shared_not_copied(unet: UNet2DConditionModel):
    temporal = TemporalModules.for_unet(unet, heads=4)
    video_unet = temporal.inflate(unet)
    own = {id(parameter) for parameter in (*unet.parameters(), *temporal.parameters())}
    assert {id(parameter) for parameter in video_unet.parameters()} == own


def test_detach_gives_the_2d_denoiser_back(unet: UNet2DConditionModel, video_unet: UNetMotionModel):
    back = TemporalModules.deflate(video_unet)
    assert torch.equal(run_2d(back), run_2d(unet))
    assert {id(parameter) for parameter in back.parameters()} == {id(parameter) for parameter in unet.parameters()}


def test_survives_a_round_trip_of_the_video_denoiser(video_unet: UNetMotionModel, tmp_path: Path):
    """A stock reload has stock normalisation over the whole window, so that is what it must equal."""
    temporal = TemporalModules.for_unet(make_unet(), heads=4, max_frames=16, norm_groups=8)
    stock = temporal.inflate(make_unet(), norm="per_clip")
    stock.load_state_dict(video_unet.state_dict())
    video_unet.save_pretrained(tmp_path)
    loaded = UNetMotionModel.from_pretrained(tmp_path)
    assert isinstance(loaded, UNetMotionModel)
    torch.testing.assert_close(run_video(loaded), run_video(stock), rtol=0, atol=1e-6)
    assert not torch.allclose(run_video(loaded), run_video(video_unet), atol=1e-5)


def test_per_frame_norm_is_group_norm_of_every_frame():
    norm = PerFrameGroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    video = torch.randn(2, 8, 3, 5, 5)
    expected = [torch.nn.functional.group_norm(video[:, :, i], 4, norm.weight, norm.bias) for i in range(3)]
    torch.testing.assert_close(norm(video), torch.stack(expected, 2))


def test_save_and_load(unet: UNet2DConditionModel, tmp_path: Path):
    temporal = TemporalModules.for_unet(unet, heads=4, max_frames=16)
    for parameter in temporal.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    temporal.save_pretrained(tmp_path)
    loaded = TemporalModules.from_pretrained(tmp_path)
    assert torch.equal(run_video(loaded.inflate(unet)), run_video(temporal.inflate(unet)))


def test_modules_of_another_size_are_refused(unet: UNet2DConditionModel):
    with pytest.raises(AttachmentError, match="do not fit"):
        TemporalModules.for_unet(make_unet(block_out_channels=(32, 32)), heads=4).inflate(unet)
    with pytest.raises(AttachmentError, match="do not fit"):
        TemporalModules.for_unet(make_unet(layers_per_block=2), heads=4).inflate(unet)


def test_windows_longer_than_the_table():
    check_window(16, 16)
    with pytest.raises(ShapeError, match="17 frames is longer than the 16 positions"):
        check_window(17, 16)


def test_normalisation_is_put_back(unet: UNet2DConditionModel):
    temporal = TemporalModules.for_unet(unet, heads=4)
    for parameter in temporal.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    # The stock middle module has the denoiser's 8 groups.
    with pytest.raises(AttachmentError, match="normalise in 32 groups"):
        temporal.inflate(unet, norm="per_clip")
    video_unet = temporal.inflate(unet)
    assert frame_norm_groups(video_unet) == 32
    before = run_video(video_unet)
    with normalise_per_frame(video_unet, 8):
        assert frame_norm_groups(video_unet) == 8
        assert not torch.equal(run_video(video_unet), before)
    assert torch.equal(run_video(video_unet), before)


def test_attached_pose_encoder_and_lora_are_refused(unet: UNet2DConditionModel):
    temporal = TemporalModules.for_unet(unet, heads=4)
    with PoseEncoder.for_unet(unet).attach(unet), pytest.raises(AttachmentError, match="the first conv_in"):
        temporal.inflate(unet)
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"]))
    with pytest.raises(AttachmentError, match="LoRA"):
        temporal.inflate(unet)
