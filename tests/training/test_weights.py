import pytest
import torch

from anifacediff.training.latents import EncodedSet
from anifacediff.training.nano import build_vae
from anifacediff.training.weights import importance, visibility


def test_weights_of_channels_say_what_shows(stills: EncodedSet):
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
