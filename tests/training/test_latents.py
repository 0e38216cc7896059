from pathlib import Path

import numpy as np
import torch

from anifacediff.conditioning.plane_sweep import moved
from anifacediff.media.pictures import to_images
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.latents import EncodedSet, fingerprint
from anifacediff.training.nano import build_vae
from anifacediff.training.vae import encode


def test_frames_of_one_reference_stand_together(stills: EncodedSet):
    task = stills.task(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([[1, 2], [0, 1]]), torch.ones(4, 1, 1))
    conditions, clean = task.conditions, task.clean
    assert torch.equal(clean[1], torch.from_numpy(stills.latents[1, 2]).float())
    assert torch.equal(clean[2], torch.from_numpy(stills.latents[0, 0]).float())
    assert torch.equal(conditions.expression[3], torch.from_numpy(stills.drawn.expression[0, 1]))
    assert torch.equal(conditions.reference_latents[1], torch.from_numpy(stills.latents[0, 2]).float())


def test_the_guide_is_the_right_reference_moved_to_the_right_frame(drawn: DrawnSet, tmp_path: Path):
    vae = build_vae(0).eval()
    encoded = EncodedSet.encoded(drawn, vae, tmp_path)
    task = encoded.task(torch.tensor([1]), torch.tensor([2]), torch.tensor([[0]]), torch.ones(1, 1, 1))
    with torch.no_grad():
        warped, still = (encode(vae, to_images(each[None])) for each in (drawn.warps[1, 2, 0], drawn.pictures[1, 2]))
    channels = warped.shape[1]
    torch.testing.assert_close(task.conditions.guide[:, :channels], warped, atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(task.conditions.guide[:, channels : 2 * channels], still, atol=1e-2, rtol=1e-2)
    for plane, maps in enumerate(torch.from_numpy(drawn.motions[1, 2, 0])):
        with torch.no_grad():
            swept = encode(vae, moved(to_images(drawn.pictures[1, 2][None]), maps[None]))
        found = task.conditions.guide[:, (2 + plane) * channels : (3 + plane) * channels]
        torch.testing.assert_close(found, swept, atol=1e-2, rtol=1e-2)
    shown = drawn.shown[1, 2, 0].reshape(16, 8, 16, 8).mean((1, 3)) / 255
    torch.testing.assert_close(task.conditions.guide[0, -1].double(), torch.from_numpy(shown), atol=1e-5, rtol=0)


def test_latents_are_found_again(drawn: DrawnSet, tmp_path: Path):
    vae = build_vae(0).eval()
    first = EncodedSet.encoded(drawn, vae, tmp_path).latents
    files = list(tmp_path.iterdir())
    again = EncodedSet.encoded(drawn, vae, tmp_path).latents
    assert np.array_equal(first, again)
    assert list(tmp_path.iterdir()) == files
    assert fingerprint(vae) in files[0].name
    assert fingerprint(build_vae(1)) != fingerprint(vae)
