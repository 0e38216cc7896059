"""Inter-clip affinity against concatenating by hand, beside a Pose Encoder, and in training."""

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from networks import make_unet

from anifacediff.assemblies.parts import widen_input
from anifacediff.backbone.inter_clip import InterClipAffinity, LeadingFrames
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, InputError, ShapeError

AFFINITY = InterClipAffinity()


def run(unet: Any, sample: torch.Tensor, condition: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
    rows = len(sample) * (sample.shape[2] if sample.ndim == 5 else 1)
    with torch.no_grad():
        return unet(sample, 5, torch.ones(rows, 1, 24), cross_attention_kwargs=condition, return_dict=False)[0]


def trained(**changes: object) -> UNet2DConditionModel:
    """A denoiser whose added channels say something."""
    return make_unet(in_channels=4 + AFFINITY.channels, **changes)


def test_a_widened_denoiser_is_unchanged_until_trained():
    unet = make_unet()
    wider = widen_input(unet, AFFINITY.channels)
    sample = torch.randn(4, 4, 8, 8)
    with AFFINITY.attach(wider):
        given = run(wider, sample, AFFINITY(torch.randn(2, 4, 8, 8), num_frames=4))
    torch.testing.assert_close(given, run(unet, sample), rtol=0, atol=1e-6)


def test_the_channels_are_in_the_published_order():
    affinity = InterClipAffinity(map_channels=4)
    assert affinity.channels == 9
    previous, maps = torch.randn(3, 4, 8, 8), torch.randn(6, 4, 8, 8)
    channels = affinity(previous, num_frames=6, map_latents=maps)["inter_clip"]
    assert torch.equal(channels[:, :4], maps)
    assert torch.equal(channels[:3, 4:8], previous)
    assert not channels[3:, 4:8].any()
    assert channels[:, 8].flatten(1).tolist() == [[1.0] * 64] * 3 + [[0.0] * 64] * 3


def test_attached_equals_concatenating_by_hand_and_detached_is_as_before():
    unet, sample = trained(), torch.randn(6, 4, 8, 8)
    condition = AFFINITY(torch.randn(1, 4, 8, 8), num_frames=3)
    with AFFINITY.attach(unet):
        attached = run(unet, sample, condition)
    by_hand = torch.cat([sample, condition["inter_clip"].repeat(2, 1, 1, 1)], 1)
    assert torch.equal(attached, run(unet, by_hand))


@pytest.mark.parametrize("affinity_first", [True, False])
@pytest.mark.parametrize("placement", ["after_conv_in", "concatenate"])
def test_beside_a_pose_encoder_in_either_order(affinity_first: bool, placement: Any):
    extra = 3 if placement == "concatenate" else 0
    unet, sample = make_unet(in_channels=9 + extra), torch.randn(4, 4, 8, 8)
    encoder = PoseEncoder.for_unet(unet, placement=placement, latent_channels=9)
    torch.nn.init.normal_(encoder.conv_out.weight)
    pose = encoder(torch.rand(4, 3, 64, 64))
    clip = AFFINITY(torch.randn(3, 4, 8, 8), num_frames=4)
    with encoder.attach(unet):
        expected = run(unet, torch.cat([sample, clip["inter_clip"]], 1), pose)
    first, second = (AFFINITY, encoder) if affinity_first else (encoder, AFFINITY)
    with first.attach(unet), second.attach(unet):
        assert torch.equal(run(unet, sample, {**pose, **clip}), expected)


def test_later_frames_of_a_video_denoiser_read_the_previous_clip():
    unet = trained()
    temporal = TemporalModules.for_unet(unet, heads=4, norm_groups=8)
    for module in temporal.parameters():
        torch.nn.init.normal_(module, std=0.1)
    video, sample = temporal.inflate(unet), torch.randn(1, 4, 6, 8, 8)
    with AFFINITY.attach(video):
        without = run(video, sample, AFFINITY(torch.zeros(0, 4, 8, 8), num_frames=6))
        given = run(video, sample, AFFINITY(torch.randn(3, 4, 8, 8), num_frames=6))
    assert ((given - without).abs().amax((0, 1, 3, 4)) > 1e-4).all()


def test_training_shows_leading_frames_with_noise():
    latents, generator = torch.randn(10, 4, 8, 8), torch.Generator().manual_seed(0)
    drawn = [LeadingFrames()(latents, generator) for _ in range(400)]
    counts = [len(each) for each in drawn]
    assert 0.4 < counts.count(0) / len(counts) < 0.6
    assert set(counts) == {0, 1, 2, 3, 4}
    noise = torch.cat([(each - latents[: len(each)]).flatten() for each in drawn])
    assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
    assert abs(float(noise.mean())) < 0.002
    assert not len(LeadingFrames(probability=0.0)(latents))
    assert torch.equal(LeadingFrames(probability=1.0, most=1, noise=0.0)(latents), latents[:1])


def test_what_does_not_fit_is_named(unet: UNet2DConditionModel):
    with pytest.raises(AttachmentError, match="takes 4 input channels, but 9 are needed"):
        AFFINITY.attach(unet)
    wide = trained()
    with AFFINITY.attach(wide):
        with pytest.raises(AttachmentError, match="already"):
            AFFINITY.attach(wide)
        with pytest.raises(AttachmentError, match="has no 'inter_clip'"):
            run(wide, torch.zeros(1, 4, 8, 8))
    with pytest.raises(ShapeError, match="5 frames do not fit a clip of 4"):
        AFFINITY(torch.zeros(5, 4, 8, 8), num_frames=4)
    with pytest.raises(ShapeError, match="map_latents"):
        InterClipAffinity(map_channels=4)(torch.zeros(0, 4, 8, 8), num_frames=4)
    with pytest.raises(InputError, match="previous"):
        AFFINITY(torch.full((1, 4, 8, 8), torch.nan), num_frames=4)
    with pytest.raises(InputError, match="probability"):
        LeadingFrames(probability=2.0)
