from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.conditioning.plane_sweep import PLANES
from anifacediff.errors import ConfigurationError
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.export import add_temporal, export
from anifacediff.training.latents import EncodedSet
from anifacediff.training.nano import LATENT_CHANNELS, Nano, build_scheduler, build_vae
from anifacediff.training.run import Run, Schedule
from anifacediff.training.stage2 import Clips, build_temporal, clip_loss, clips_of, judge_clips, train_stage2

BATCH = Clips(clips=2, frames=3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> EncodedSet:
    drawn = DrawnSet.create(
        tmp_path_factory.mktemp("clips"), Casting(7, identities=2, frames=5, fps=25.0, references=1)
    )
    list(draw_identities(drawn, [0, 1]))
    latents = np.random.default_rng(0).normal(size=(2, 5, LATENT_CHANNELS, 16, 16)).astype(np.float16)
    warped = latents[:, None]
    return EncodedSet(drawn, latents, warped, np.stack([warped] * PLANES, axis=3))


def test_fresh_temporal_modules_change_nothing(clips: EncodedSet):
    nano = Nano(0).eval()
    task = clips_of(clips, torch.tensor([0, 1]), torch.tensor([1, 2]), 3)
    noisy, timestep = torch.randn(6, LATENT_CHANNELS, 16, 16), torch.tensor(400)
    with torch.no_grad():
        alone = nano.denoise(noisy, timestep, nano.conditioned(task.conditions))
        build_temporal(nano, seed=0)
        together = nano.denoise_clips(noisy.unflatten(0, (2, 3)), timestep, nano.conditioned(task.conditions))
    torch.testing.assert_close(together.flatten(0, 1), alone, atol=1e-4, rtol=1e-4)


def test_only_temporal_modules_learn_and_frames_then_see_each_other(clips: EncodedSet, tmp_path: Path):
    nano, scheduler = Nano(0), build_scheduler()
    before = {name: value.clone() for name, value in nano.reference_net.named_parameters()}
    temporal = build_temporal(nano, seed=0)
    run = Run(tmp_path, temporal, Schedule(4, learning_rate=5e-3, warmup=1), {})
    for _ in range(3):
        run.advance(lambda g: clip_loss(nano, scheduler, clips, torch.ones(LATENT_CHANNELS, 1, 1), BATCH, g))
    assert all(torch.equal(value, before[name]) for name, value in nano.reference_net.named_parameters())
    task = clips_of(clips, torch.tensor([0]), torch.tensor([1]), 3)
    noisy = torch.randn(1, 3, LATENT_CHANNELS, 16, 16)
    other = noisy.clone()
    other[:, 2] = 0
    with torch.no_grad():
        first, second = (
            nano.denoise_clips(each, torch.tensor(400), nano.conditioned(task.conditions)) for each in (noisy, other)
        )
    assert (first[:, 0] - second[:, 0]).abs().max() > 1e-4


def test_flicker_is_measured_against_the_motion_of_the_truth(clips: EncodedSet, tmp_path: Path):
    nano, vae = Nano(0).eval(), build_vae(0).eval()
    build_temporal(nano, seed=0)
    still = clips.drawn.pictures.copy()
    still[:, 1:] = still[:, 1:2]
    moving = judge_clips(nano, vae, clips, 3, steps=1)
    frozen = judge_clips(nano, vae, replace(clips, drawn=replace(clips.drawn, pictures=still)), 3, steps=1)
    assert moving["motion"] > frozen["motion"] == 0


def test_a_run_leaves_what_can_be_exported_and_refuses_another_batch(clips: EncodedSet, tmp_path: Path):
    vae = build_vae(0).eval()
    train_stage2(tmp_path, Nano(0), clips.drawn, clips.drawn, vae, Schedule(1, learning_rate=1e-3), batch=BATCH)
    nano = Nano(0)
    add_temporal(nano, tmp_path)
    pipe = export(nano, vae, tmp_path / "pipeline")
    assert max(file.stat().st_size for file in (tmp_path / "pipeline").rglob("*.safetensors")) < 16 * 2**20
    loaded = AniFaceDiffPipeline.from_pretrained(tmp_path / "pipeline", torch_dtype=torch.float16)
    weights = loaded.unet.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in pipe.unet.state_dict().items())
    assert any("motion_modules" in name for name in weights)
    with pytest.raises(ConfigurationError, match="frames"):
        train_stage2(
            tmp_path, Nano(0), clips.drawn, clips.drawn, vae.float(), Schedule(1, learning_rate=1e-3), batch=Clips(2, 2)
        )
