import math

import numpy as np
import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.media.crop import SquareCrop
from anifacediff.tracking.tracked import TrackedClip, TrackingReport
from anifacediff.training.preparation.screening import Fault, clips, faults, head_turn, sharpness
from anifacediff.training.preparation.settings import Limits, Preparation

JOINTS = ("global", "neck", "jaw")


def test_sharpness_is_the_variance_of_the_laplacian():
    grey = np.zeros((5, 5), dtype=np.uint8)
    grey[2, 2] = 100
    picture = np.stack([grey] * 3, axis=-1)
    inner = np.array([[0, 100, 0], [100, -400, 100], [0, 100, 0]], dtype=float)
    assert sharpness(picture) == pytest.approx(inner.var(), rel=1e-6)
    assert sharpness(np.full((8, 8, 3), 77, dtype=np.uint8)) == pytest.approx(0, abs=1e-9)


def test_turns_of_neck_and_head_add_up_and_the_jaw_does_not_count():
    pose = torch.zeros(3, 3, 3)
    pose[1, 0, 1], pose[1, 1, 1] = math.radians(20), math.radians(15)
    pose[2, 2, 0] = 0.5
    torch.testing.assert_close(head_turn(pose, JOINTS), torch.tensor([0.0, 35.0, 0.0]), atol=0.05, rtol=0)


def tracked(frames: int) -> TrackedClip:
    """Crops of 64 pixels out of squares of 128: a face of 16 pixels in the crop has 32 in the video."""
    sides = torch.tensor([16.0] * (frames - 1) + [4.0])
    corners = torch.stack([torch.zeros(frames), torch.zeros(frames), sides, sides], dim=1)
    pose = torch.zeros(frames, 3, 3)
    pose[2, 0, 1] = math.radians(70)
    parameters = FaceParameters(
        torch.zeros(frames, 2),
        torch.zeros(frames, 2),
        pose,
        WeakPerspective(torch.ones(frames), torch.zeros(frames, 2)),
        Box(corners),
        canvas=(64, 64),
    )
    error = torch.zeros(frames)
    error[1] = 0.5
    return TrackedClip(SquareCrop(64.0, 64.0, 128.0), parameters, TrackingReport((0,), "interpolate", error))


def test_every_fault_has_its_name():
    sharp = np.array([50.0, 50.0, 50.0, 1.0, 50.0, 50.0])
    limits = Limits(pose=60.0, sharpness=20.0, face=32.0, misfit=0.2, run=2)
    expected = ["missing", "misfit", "pose", "blurred", None, "small"]
    assert faults(tracked(6), sharp, JOINTS, limits) == expected


def test_runs_are_cut_and_short_ones_left_out():
    good: list[Fault | None] = [None] * 7
    frames: list[Fault | None] = [*good, "blurred", None, "pose", *good[:3]]
    assert clips(frames, Limits(run=3), 5) == [range(5), range(10, 13)]
    assert clips(frames, Limits(run=2), 5) == [range(5), range(5, 7), range(10, 13)]
    assert clips(good, Limits(run=3), 5, cuts=[4]) == [range(4), range(4, 7)]
    assert clips([], Limits(), 64) == []


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="negative"):
        Limits(pose=-1.0)
    with pytest.raises(InputError, match="clip_frames"):
        Preparation("drawn", "parametric", 64, 1.8, clip_frames=4, limits=Limits(run=8))
