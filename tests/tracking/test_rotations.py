import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.tracking.rotations import axis_angle, nearest_rotation


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(0, math.pi - 1e-6))
def test_axis_angle_undoes_the_rotation_matrix(axis: list[float], angle: float):
    direction = torch.tensor(axis, dtype=torch.float64) + torch.tensor([0, 0, 1e-3], dtype=torch.float64)
    vector = direction / direction.norm().clamp(min=1e-12) * angle
    torch.testing.assert_close(axis_angle(rotation_matrix(vector)), vector, atol=1e-8, rtol=0)


def test_a_half_turn_keeps_its_axis():
    found = axis_angle(torch.diag(torch.tensor([-1.0, 1.0, -1.0])))
    torch.testing.assert_close(found.abs(), torch.tensor([0.0, math.pi, 0.0]))


def test_nearest_rotation_is_a_rotation_and_no_reflection():
    generator = torch.Generator().manual_seed(0)
    nearest = nearest_rotation(torch.randn(20, 3, 3, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(nearest @ nearest.mT, torch.eye(3).double().expand(20, 3, 3))
    torch.testing.assert_close(torch.linalg.det(nearest), torch.ones(20).double())


def test_nearest_rotation_keeps_a_rotation_of_any_size():
    rotation = rotation_matrix(torch.tensor([0.3, -1.2, 0.4]))
    torch.testing.assert_close(nearest_rotation(3 * rotation), rotation)
