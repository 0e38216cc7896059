"""MIMAFace's denoiser, converted from its own keys, on a stock UNetMotionModel: first clip, chained, guided."""

from collections.abc import Sequence

import golden
import pytest
import torch
from diffusers import EulerDiscreteScheduler, UNetMotionModel
from torch import Tensor

from anifacediff.assemblies.published.folders import Architecture
from anifacediff.assemblies.published.mimaface import AFFINITY, convert_denoiser
from anifacediff.sampling.chained import ClipChain, stream_chained
from anifacediff.sampling.denoise import Denoiser
from anifacediff.sampling.noise import GivenNoise

SMALL = Architecture(
    {
        "sample_size": 8,
        "in_channels": 13,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    },
    motion_heads=4,
)
STORED = golden.read("mimaface/step")


def published() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The image and the video stage in the published layout."""
    video = STORED.weights("unet.")
    image = {key: value for key, value in video.items() if "motion_modules" not in key}
    return image | {"conv_in.weight": torch.zeros(32, 8, 3, 3)}, video


@pytest.fixture(scope="module")
def unet() -> UNetMotionModel:
    denoiser = SMALL.video_unet(max_frames=32, mid_block=False)
    denoiser.load_state_dict(dict(convert_denoiser(*published(), denoiser).tensors), assign=True)
    return denoiser.eval()


@torch.no_grad()
def test_step(unet: UNetMotionModel):
    arrays = STORED.arrays
    latent, render = arrays["latent"], arrays["render_latent"][0].transpose(0, 1)
    tokens = arrays["tokens"].expand(6, -1, -1)
    first = AFFINITY(torch.zeros(0, 4, 8, 8), num_frames=6, map_latents=render)
    chained = AFFINITY(arrays["prev_latent"][-3:], num_frames=6, map_latents=render)
    joined = torch.cat([latent[0].transpose(0, 1), chained["inter_clip"]], 1)
    assert torch.equal(joined.transpose(0, 1)[None], arrays["unet_input_next_clip"])
    with AFFINITY.attach(unet):
        output = unet(latent, 500, tokens, cross_attention_kwargs=first)[0]
        STORED.assert_close(output, "noise_first_clip", golden.WHOLE_STEP)
        output = unet(latent, 500, tokens, cross_attention_kwargs=chained)[0]
        STORED.assert_close(output, "noise_next_clip", golden.WHOLE_STEP)
        both = torch.cat([torch.zeros_like(tokens), tokens])
        output = unet(latent.repeat(2, 1, 1, 1, 1), 500, both, cross_attention_kwargs=chained)[0]
    STORED.assert_close(output, "noise_next_clip_cfg", golden.WHOLE_STEP)
    without, given = output.chunk(2)
    STORED.assert_close(without + 5.0 * (given - without), "noise_guided", golden.WHOLE_STEP)


@torch.no_grad()
def test_two_guided_clips_in_the_published_order(unet: UNetMotionModel):
    """Chained through our parts, and written out as the published pipeline does it, channels and all."""
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="linspace"
    )
    noise, render = STORED.arrays["latent"][0].transpose(0, 1), STORED.arrays["render_latent"][0].transpose(0, 1)
    tokens = STORED.arrays["tokens"].expand(6, -1, -1)
    both = torch.cat([torch.zeros_like(tokens), tokens])
    chain = ClipChain(8, size=6, overlap=3)

    def begin(previous: Tensor, frames: Sequence[int]) -> Denoiser:
        condition = AFFINITY(previous, num_frames=6, map_latents=render[[frame % 6 for frame in frames]])

        def denoise(latents: Tensor, timestep: Tensor, frames: Sequence[int]) -> Tensor:
            video = latents.transpose(0, 1)[None].repeat(2, 1, 1, 1, 1)
            without, given = unet(video, timestep, both, cross_attention_kwargs=condition)[0].chunk(2)
            return (without + 5.0 * (given - without))[0].transpose(0, 1)

        return denoise

    with AFFINITY.attach(unet):
        parts = list(stream_chained(begin, scheduler, chain=chain, noise=GivenNoise(noise), num_steps=2))

    before, by_hand = torch.zeros(1, 5, 6, 8, 8), list[Tensor]()
    for clip in range(2):
        maps = render[[frame % 6 for frame in chain.frames(clip)]].transpose(0, 1)[None]
        scheduler.set_timesteps(2)
        latents = noise.transpose(0, 1)[None] * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            joined = torch.cat([scaled, maps, before], 1).repeat(2, 1, 1, 1, 1)
            without, given = unet(joined, timestep, both)[0].chunk(2)
            guided = without + 5.0 * (given - without)
            latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
        by_hand.append(latents[0].transpose(0, 1))
        before = torch.zeros(1, 5, 6, 8, 8)
        before[:, :4, :3], before[:, 4, :3] = latents[:, :, 3:], 1
    expected = torch.cat([by_hand[0], by_hand[1][3:5]])
    torch.testing.assert_close(torch.cat(parts), expected, rtol=0, atol=1e-5 * float(expected.std()))
