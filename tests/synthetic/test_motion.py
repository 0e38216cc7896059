import math

import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.synthetic import COMPONENTS, random_motion
from anifacediff.synthetic.performance import Performance


def yaw(performance: Performance) -> torch.Tensor:
    return (performance.pose[:, 0, 1] + performance.pose[:, 1, 1]).rad2deg()


def equal(first: Performance, second: Performance) -> bool:
    return all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))


def test_the_same_seed_moves_in_the_same_way_and_another_does_not():
    assert equal(random_motion(4, 20), random_motion(4, 20))
    assert not equal(random_motion(4, 20), random_motion(5, 20))


def test_a_longer_clip_begins_like_a_shorter_one():
    assert equal(random_motion(7, 60)[:25], random_motion(7, 25))


def test_turns_stay_within_the_limit_and_reach_it_in_some_clips():
    turns = torch.stack([yaw(random_motion(seed, 100, fps=2)).abs().max() for seed in range(40)])
    assert turns.max() <= 50.01
    assert turns.max() > 45
    assert yaw(random_motion(3, 100, fps=2, turn=0)).abs().max() == 0


def test_motion_is_smooth():
    for seed in range(6):
        clip = random_motion(seed, 250)
        assert yaw(clip).diff().abs().max() < 6
        jaw = clip.expression[:, COMPONENTS.index("jaw_open")]
        assert jaw.diff().abs().max() < 1.5
        assert clip.place.diff(dim=0).abs().max() < 0.01


def test_clips_blink_look_around_speak_and_feel():
    clips = torch.cat([random_motion(seed, 500, fps=25).expression for seed in range(8)])
    largest = dict(zip(COMPONENTS, clips.abs().amax(0).tolist(), strict=True))
    assert largest["lids_close_left"] > 1.9
    assert largest["gaze_sideways"] > 1.5
    assert largest["jaw_open"] > 1.5
    assert min(largest.values()) > 0.05
    assert max(largest.values()) < 6


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1, "frames": 1},
        {"seed": 0, "frames": 0},
        {"seed": 0, "frames": 1, "fps": 0.0},
        {"seed": 0, "frames": 1, "fps": math.nan},
        {"seed": 0, "frames": 1, "turn": 120.0},
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, float]):
    with pytest.raises(InputError, match="random_motion"):
        random_motion(**arguments)  # pyright: ignore[reportArgumentType]
