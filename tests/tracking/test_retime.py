from dataclasses import fields
from fractions import Fraction

import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.tracking import retimed


def motion(frames: int) -> FaceParameters:
    generator = torch.Generator().manual_seed(0)

    def some(*size: int) -> torch.Tensor:
        return torch.randn(frames, *size, generator=generator)

    camera = WeakPerspective(some().exp(), some(2))
    return FaceParameters(some(3), some(4), some(2, 3), camera, Box(some(4)), (64, 64), gaze=some(2))


def test_every_number_of_a_frame_comes_along():
    parameters = motion(6)
    chosen = parameters.at(torch.tensor([4, 0, 0]))
    assert torch.equal(chosen.shape, parameters.shape[[4, 0, 0]])
    for place, frame in enumerate((4, 0, 0)):
        one, expected = chosen[place : place + 1], parameters[frame : frame + 1]
        for field in fields(FaceParameters):
            found, wanted = getattr(one, field.name), getattr(expected, field.name)
            if isinstance(wanted, torch.Tensor):
                assert torch.equal(found, wanted), field.name
        assert torch.equal(one.camera.project(torch.ones(1, 1, 3)), expected.camera.project(torch.ones(1, 1, 3)))
        assert torch.equal(one.box.corners, expected.box.corners)


@pytest.mark.parametrize(
    ("fps", "to", "count", "expected"),
    [
        (10, 10, 4, [0, 1, 2, 3]),
        (20, 10, 4, [0, 2, 4, 5]),  # ends early: rests in its last frame
        (10, 30, 7, [0, 0, 0, 1, 1, 1, 2]),
        (15, 30, 8, [0, 0, 1, 1, 2, 2, 3, 3]),
        (25, 10, 3, [0, 2, 5]),
        (10, 10, 2, [0, 1]),
    ],
)
def test_a_motion_keeps_its_speed(fps: int, to: int, count: int, expected: list[int]):
    parameters = motion(6)
    found = retimed(parameters, Fraction(fps), to=Fraction(to), num_frames=count)
    assert torch.equal(found.expression, parameters.expression[expected])


def test_impossible_speeds_are_refused():
    for fps, count, message in ((0, 3, "cannot bring 0"), (10, 0, "to 0 frames")):
        with pytest.raises(InputError, match=message):
            retimed(motion(2), Fraction(fps), to=Fraction(10), num_frames=count)
    with pytest.raises(InputError, match="no frames"):
        retimed(motion(2)[:0], Fraction(10), to=Fraction(10), num_frames=3)
