import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.tracking import smooth_parameters, smooth_signal


def clip(pose: torch.Tensor) -> FaceParameters:
    frames = pose.shape[0]
    generator = torch.Generator().manual_seed(0)
    return FaceParameters(
        shape=torch.ones(frames, 4),
        expression=torch.randn(frames, 5, generator=generator),
        pose=pose,
        camera=WeakPerspective(100 + torch.randn(frames, generator=generator), torch.zeros(frames, 2)),
        box=Box(torch.tensor([0.0, 0.0, 9.0, 9.0]).expand(frames, 4)),
        canvas=(64, 64),
    )


@pytest.mark.parametrize("frames", [3, 8, 40])
@pytest.mark.parametrize("strength", [0.5, 1.0, 3.0])
def test_a_parabola_in_time_stays_as_it_is(frames: int, strength: float):
    time = torch.linspace(-1, 1, frames, dtype=torch.float64)
    motion = torch.stack([2 + 0 * time, 3 * time - 1, time**2], dim=-1)
    torch.testing.assert_close(smooth_signal(motion, strength), motion, atol=1e-4, rtol=0)


@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_clips_pass(frames: int):
    values = torch.full((frames, 2), 4.0)
    torch.testing.assert_close(smooth_signal(values, 2.0), values)


def test_noise_shrinks_and_more_with_more_strength():
    noise = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    deviations = [float(smooth_signal(noise, strength).std()) for strength in (0.0, 1.0, 2.0, 4.0)]
    assert deviations[0] > 1.3 * deviations[1] > 1.6 * deviations[2] > 1.9 * deviations[3]


def test_it_equals_the_fit_of_a_parabola_in_every_window():
    values = torch.randn(12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    smoothed = smooth_signal(values, 1.0)
    for frame in range(12):
        near = torch.arange(max(0, frame - 3), min(12, frame + 4))
        time = (near - frame).double()
        root = torch.exp(-(time**2) / 4)[:, None]
        design = torch.stack([torch.ones_like(time), time, time**2], -1)
        parabola = torch.linalg.lstsq(root * design, root * values[near, None]).solution
        assert float(smoothed[frame]) == pytest.approx(float(parabola[0]), abs=1e-4)


def test_a_blink_keeps_its_depth_and_its_moment():
    time = torch.arange(60.0)
    blink = torch.exp(-((time - 30) ** 2) / (2 * 1.7**2))  # 4 frames wide at half its depth
    smoothed = smooth_signal(blink, 1.0)
    assert int(smoothed.argmax()) == 30
    assert float(smoothed.max()) > 0.95


def test_it_does_not_lag():
    values = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(smooth_signal(values.flip(0), 2.0), smooth_signal(values, 2.0).flip(0))


def test_no_strength_changes_nothing():
    values = clip(torch.zeros(5, 2, 3))
    assert smooth_parameters(values, 0.0) is values


def test_rotations_are_smoothed_across_the_half_turn():
    turn = torch.zeros(40, 1, 3)
    turn[:, 0, 1] = torch.linspace(3.0, 3.3, 40)  # passes pi, where an axis-angle vector jumps
    wrapped = turn.clone()
    wrapped[turn > torch.pi] -= 2 * torch.pi
    smoothed = smooth_parameters(clip(wrapped), 2.0)
    torch.testing.assert_close(rotation_matrix(smoothed.pose), rotation_matrix(turn), atol=1e-4, rtol=0)


def test_identity_stays_and_the_rest_gets_steadier():
    before = clip(0.1 * torch.randn(60, 2, 3, generator=torch.Generator().manual_seed(0)))
    after = smooth_parameters(before, 1.5)
    assert torch.equal(after.shape, before.shape)
    assert isinstance(before.camera, WeakPerspective)
    assert isinstance(after.camera, WeakPerspective)
    pairs = [
        (before.expression, after.expression),
        (before.pose, after.pose),
        (before.camera.scale, after.camera.scale),
    ]
    assert all(float(new.diff(dim=0).std()) < 0.6 * float(old.diff(dim=0).std()) for old, new in pairs)


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_impossible_strengths_are_refused(strength: float):
    with pytest.raises(InputError, match="strength"):
        smooth_signal(torch.zeros(4, 1), strength)
