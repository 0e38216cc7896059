from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.errors import CheckpointError
from anifacediff.geometry import FaceParameters
from anifacediff.shapes import Tensor, UInt8
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.export import averaged_nano, export
from anifacediff.training.latents import EncodedSet
from anifacediff.training.nano import LATENT_CHANNELS, Conditions, Nano, build_scheduler, build_vae
from anifacediff.training.run import Run, Schedule
from anifacediff.training.stage1 import Batch, denoising_loss, draw, train_stage1
from anifacediff.training.vae import decode

BATCH = Batch(identities=2, targets=2)


def conditions_of(stills: EncodedSet) -> Conditions:
    who, first = torch.arange(2), torch.zeros(2, dtype=torch.int64)
    return stills.task(who, first, torch.tensor([[1, 2], [1, 2]]), torch.ones(4, 1, 1)).conditions


def test_the_loss_falls_in_a_few_steps(stills: EncodedSet, tmp_path: Path):
    nano, scheduler = Nano(0), build_scheduler()
    run = Run(tmp_path, nano, Schedule(30, learning_rate=2e-3, warmup=3), {})
    weight = torch.ones(LATENT_CHANNELS, 1, 1)
    losses = [run.advance(lambda g: denoising_loss(nano, scheduler, stills, weight, BATCH, g)) for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_some_frames_are_drawn_from_zeros_and_the_others_from_noise(
    stills: EncodedSet, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[Tensor, Tensor]] = []

    def forward(_: Nano, noisy: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        seen.append((noisy, timesteps))
        return noisy

    monkeypatch.setattr(Nano, "forward", forward)
    weight, batch, nano = torch.ones(LATENT_CHANNELS, 1, 1), Batch(identities=20, targets=2), Nano(0)
    for seed in range(5):
        denoising_loss(nano, build_scheduler(), stills, weight, batch, torch.Generator().manual_seed(seed))
    noisy, timesteps = (torch.cat(each) for each in zip(*seen, strict=True))
    zeros = noisy.flatten(1).abs().amax(1) == 0
    assert (timesteps[zeros] == 999).all()
    assert 0.25 < zeros.float().mean() < 0.55
    assert (noisy[~zeros].flatten(1).std(dim=1) > 0.1).all()
    assert timesteps[~zeros].float().std() > 100


def test_every_condition_is_heard(stills: EncodedSet):
    nano, given = Nano(0), conditions_of(stills)
    noisy, timesteps = torch.randn(4, LATENT_CHANNELS, 16, 16), torch.full((4,), 500)
    others = {
        "reference_latents": given.reference_latents.flip(0),
        "reference_images": given.reference_images.flip(0),
        "reference_maps": given.reference_maps.flip(0),
        "maps": given.maps.flip(0),
        "guide": given.guide.flip(0),
        "expression": given.expression + 1,
        "expressed": torch.zeros(4, 1, 1),
    }
    with torch.no_grad():
        base = nano(noisy, timesteps, given)
        for name, value in others.items():
            assert (nano(noisy, timesteps, replace(given, **{name: value})) - base).abs().max() > 1e-4, name


def test_the_pipeline_draws_what_training_drew(stills: EncodedSet, drawn: DrawnSet, tmp_path: Path):
    nano, vae = Nano(0).eval(), build_vae(0).eval()
    artist = AvatarArtist()
    motion = artist.parameters(random_avatar(3), random_motion(3, 3, fps=0.5), size=128)
    reference = Face(drawn.pictures[0, 0], motion[:1])
    encoded = EncodedSet.encoded(drawn, vae, tmp_path / "latents")
    who, first = torch.tensor([0]), torch.tensor([0])
    conditions = encoded.task(who, first, torch.tensor([[0, 2]]), torch.ones(2, 1, 1)).conditions
    expected = decode(vae, draw(nano, build_scheduler(), conditions, steps=3))
    export(nano, vae, tmp_path / "pipeline")
    pipe = AniFaceDiffPipeline.from_pretrained(tmp_path / "pipeline")
    frames = pipe.stream(reference, motion, num_inference_steps=3, start="zeros")
    first, _, last = (frame.image for frame in frames)
    truth = (expected.clamp(0, 1) * 255).permute(0, 2, 3, 1).detach().numpy()
    assert np.abs(np.stack([first, last]) - truth).mean() < 1.5
    assert np.abs(truth[0] - truth[1]).mean() > 3
    assert max(path.stat().st_size for path in (tmp_path / "pipeline").rglob("*.safetensors")) < 16 * 2**20


def test_training_leaves_a_checkpoint_that_can_be_exported(drawn: DrawnSet, tmp_path: Path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
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
