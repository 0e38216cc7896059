import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from anifacediff.errors import ConfigurationError
from anifacediff.media.pictures import to_images
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.decoder import train_decoder
from anifacediff.training.nano import Nano, build_vae
from anifacediff.training.principal import start_linear
from anifacediff.training.run import Schedule
from anifacediff.training.vae import load_vae


def test_predictions_are_decoded_better_and_the_encoder_stays(drawn: DrawnSet, tmp_path: Path):
    vae = build_vae(0).eval()
    start_linear(vae, to_images(drawn.pictures[:, 0]) * 2 - 1)
    before = {name: value.clone() for name, value in vae.encoder.state_dict().items()}
    nano = Nano(0).eval()
    measured: list[float] = []
    schedules = [Schedule(steps, learning_rate=2e-3, warmup=2) for steps in (1, 24)]
    for schedule in schedules:
        train_decoder(tmp_path, nano, drawn, drawn, deepcopy(vae), schedule, identities=2, batch=4)
        line = (tmp_path / "metrics.jsonl").read_text().splitlines()[-1]
        measured.append(json.loads(line)["psnr"])
    assert measured[1] > measured[0] + 1
    found = load_vae(tmp_path)
    for name, value in before.items():
        assert torch.equal(found.encoder.state_dict()[name], value), name
    with pytest.raises(ConfigurationError, match="identities"):
        train_decoder(tmp_path, nano, drawn, drawn, deepcopy(vae), schedules[1], identities=1, batch=4)
