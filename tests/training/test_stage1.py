from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.errors import CheckpointError
from anifacediff.geometry import FaceParameters
from anifacediff.shapes import UInt8
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.export import averaged_nano, export
from anifacediff.training.nano import LATENT_CHANNELS, Conditions, Nano, build_scheduler, build_vae
from anifacediff.training.run import Run, Schedule
from anifacediff.training.stage1 import (
    Batch,
    Stills,
    denoising_loss,
    draw,
    fingerprint,
    importance,
    plain_attention,
    train_stage1,
    visibility,
)
from anifacediff.training.vae import decode

SMALL = Casting(first_seed=3, identities=2, frames=3)
BATCH = Batch(identities=2, targets=2)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    folder = tmp_path_factory.mktemp("drawn")
    result = DrawnSet.create(folder, SMALL)
    list(draw_identities(result, [0, 1]))
    return result


@pytest.fixture
def stills(drawn: DrawnSet) -> Stills:
    """Latents of one colour each, which are quick to learn."""
    colors = np.random.default_rng(0).normal(size=(2, 3, LATENT_CHANNELS, 1, 1))
    return Stills(drawn, colors.repeat(16, 3).repeat(16, 4).astype(np.float16))


def conditions_of(stills: Stills) -> Conditions:
    who, first = torch.arange(2), torch.zeros(2, dtype=torch.int64)
    return stills.task(who, first, torch.tensor([[1, 2], [1, 2]]), torch.ones(4, 1, 1)).conditions


def test_the_loss_falls_in_a_few_steps(stills: Stills, tmp_path: Path):
    nano, scheduler = Nano(0), build_scheduler()
    run = Run(tmp_path, nano, Schedule(30, learning_rate=2e-3, warmup=3), {})
    weight = torch.ones(LATENT_CHANNELS, 1, 1)
    losses = [run.advance(lambda g: denoising_loss(nano, scheduler, stills, weight, BATCH, g)) for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_every_condition_is_heard(stills: Stills):
    nano, given = Nano(0), conditions_of(stills)
    noisy, timesteps = torch.randn(4, LATENT_CHANNELS, 16, 16), torch.full((4,), 500)
    others = {
        "reference_latents": given.reference_latents.flip(0),
        "reference_images": given.reference_images.flip(0),
        "reference_maps": given.reference_maps.flip(0),
        "maps": given.maps.flip(0),
        "expression": given.expression + 1,
        "expressed": torch.zeros(4, 1, 1),
    }
    with torch.no_grad():
        base = nano(noisy, timesteps, given)
        for name, value in others.items():
            assert (nano(noisy, timesteps, replace(given, **{name: value})) - base).abs().max() > 1e-4, name


def test_frames_of_one_reference_stand_together(stills: Stills):
    task = stills.task(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([[1, 2], [0, 1]]), torch.ones(4, 1, 1))
    conditions, clean = task.conditions, task.clean
    assert torch.equal(clean[1], torch.from_numpy(stills.latents[1, 2]).float())
    assert torch.equal(clean[2], torch.from_numpy(stills.latents[0, 0]).float())
    assert torch.equal(conditions.expression[3], torch.from_numpy(stills.drawn.expression[0, 1]))
    assert torch.equal(conditions.reference_latents[1], torch.from_numpy(stills.latents[0, 2]).float())


def test_latents_are_found_again(drawn: DrawnSet, tmp_path: Path):
    vae = build_vae(0).eval()
    first = Stills.encoded(drawn, vae, tmp_path).latents
    files = list(tmp_path.iterdir())
    again = Stills.encoded(drawn, vae, tmp_path).latents
    assert np.array_equal(first, again)
    assert list(tmp_path.iterdir()) == files
    assert fingerprint(vae) in files[0].name
    assert fingerprint(build_vae(1)) != fingerprint(vae)


def test_weights_of_channels_say_what_shows(stills: Stills):
    vae = build_vae(0).eval()
    with torch.no_grad():
        vae.decoder.conv_in.weight[:, 5] = 0.0
    weight = visibility(vae, torch.from_numpy(stills.latents[0]).float())
    assert weight[5].item() == 0
    assert weight.mean().item() == pytest.approx(1, abs=1e-5)


def test_eyes_count_more_than_faces_and_faces_more_than_the_rest():
    maps = torch.zeros(1, 3, 32, 32)
    maps[..., :16, :] = 0.5
    weight = importance(maps, torch.tensor([[8.0, 0.0, 16.0, 8.0]]), (4, 4))
    expected = torch.tensor([[2.0, 6.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0], [1.0] * 4, [1.0] * 4])
    torch.testing.assert_close(weight[0, 0], expected)


def test_plain_attention_equals_the_fused_kernel_and_leaves_nothing_behind():
    attend, allowed = F.scaled_dot_product_attention, torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed
    query, key, value = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    expected, before = attend(query, key, value), allowed()
    with plain_attention():
        torch.testing.assert_close(attend(query, key, value), expected)
        assert allowed()
    assert allowed() == before


def test_the_pipeline_draws_what_training_drew(stills: Stills, drawn: DrawnSet, tmp_path: Path):
    nano, vae = Nano(0).eval(), build_vae(0).eval()
    artist = AvatarArtist()
    motion = artist.parameters(random_avatar(3), random_motion(3, 3, fps=0.5), size=128)
    reference = Face(drawn.pictures[0, 0], motion[:1])
    encoded = Stills.encoded(drawn, vae, tmp_path / "latents")
    who, first = torch.tensor([0]), torch.tensor([0])
    conditions = encoded.task(who, first, torch.tensor([[0]]), torch.ones(1, 1, 1)).conditions
    expected = decode(vae, draw(nano, build_scheduler(), conditions, steps=3))
    export(nano, vae, tmp_path / "pipeline")
    pipe = AniFaceDiffPipeline.from_pretrained(tmp_path / "pipeline")
    found = next(pipe.stream(reference, motion[:1], num_inference_steps=3, start="zeros")).image
    truth = (expected[0].clamp(0, 1) * 255).permute(1, 2, 0).detach().numpy()
    assert np.abs(found - truth).mean() < 1.5
    assert max(path.stat().st_size for path in (tmp_path / "pipeline").rglob("*.safetensors")) < 16 * 2**20


def test_training_leaves_a_checkpoint_that_can_be_exported(drawn: DrawnSet, tmp_path: Path):
    with pytest.raises(CheckpointError, match="stage1"):
        averaged_nano(tmp_path)
    train_stage1(tmp_path, drawn, drawn, build_vae(0).eval(), Schedule(2, learning_rate=1e-3), batch=BATCH)
    nano = averaged_nano(tmp_path)
    assert "psnr_copy" in (tmp_path / "metrics.jsonl").read_text()
    assert list(tmp_path.glob("sheet-*.png"))
    fresh = Nano(0)
    assert not torch.equal(nano.unet.conv_out.weight, fresh.unet.conv_out.weight)


class Face:
    """A reference."""

    def __init__(self, image: UInt8[np.ndarray, "h w 3"], parameters: FaceParameters) -> None:
        self.image = image
        self.parameters = parameters
