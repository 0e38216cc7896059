from typing import Any

import pytest
import torch
from suites import make_pipeline, scenes_of

from anifacediff.errors import InputError
from anifacediff.evaluation.animate import Sampling, Studio
from anifacediff.evaluation.arms import ARMS, choose


def studio(task: str) -> Studio:
    return Studio(make_pipeline(), scenes_of(task), Sampling(steps=1))


@pytest.fixture(scope="module")
def cross() -> Studio:
    return studio("cross")


def test_the_arms_that_need_no_model(cross: Studio):
    scene = cross.scenes[1]
    assert torch.equal(ARMS["truth"].make(cross, 1), scene.truth)
    copied = ARMS["copy"].make(cross, 1)
    assert copied.shape == scene.truth.shape
    assert all(torch.equal(frame, scene.reference[0]) for frame in copied)
    judged = torch.cat([each.truth[1:] for each in cross.scenes]).double()
    mean = ARMS["mean"].make(cross, 1)
    assert torch.allclose(mean[2].double(), judged.mean(0), atol=1e-6)


@torch.no_grad()
def test_the_ceiling_is_the_truth_through_the_autoencoder(cross: Studio):
    truth = cross.scenes[0].truth
    vae: Any = cross.pipeline.vae
    expected = [vae.decode(vae.encode(frame[None] * 2 - 1).latent_dist.mean).sample[0] / 2 + 0.5 for frame in truth]
    found = ARMS["vae"].make(cross, 0)
    assert torch.allclose(found, torch.stack(expected).clamp(0, 1), atol=1e-5)


def test_every_arm_says_what_it_is():
    assert all(arm.about and arm.tasks for arm in ARMS.values())
    assert {name for name, arm in ARMS.items() if arm.tasks != ("same", "cross")} == {
        "align-none",
        "align-shape",
        "align-scale",
        "align-both",
    }


def test_names_are_chosen_from_those_there_are():
    assert choose((), ("a", "b"), "arms") == ("a", "b")
    assert choose(("b",), ("a", "b"), "arms") == ("b",)
    with pytest.raises(InputError, match="arms: expected some of a, b; found 'c'"):
        choose(("b", "c"), ("a", "b"), "arms")
