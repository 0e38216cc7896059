"""The pinhole camera, against its formula written out for one point in float64."""

import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.geometry.faces import Camera, Similarity
from anifacediff.geometry.perspective import Perspective


def camera(frames: int = 2) -> Perspective:
    chance = torch.Generator().manual_seed(0)
    return Perspective(
        torch.rand(frames, generator=chance).double() * 500 + 800,
        torch.rand(frames, 2, generator=chance).double() * 10 + 112,
        torch.randn(frames, 3, generator=chance).double() - torch.tensor([0.0, 0.0, 10.0]),
    )


def points(frames: int = 2) -> torch.Tensor:
    return torch.randn(frames, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_point_lands_where_the_formula_says() -> None:
    view, cloud = camera(), points()
    assert isinstance(view, Camera)
    assert view.perspective
    found = view.project(cloud)
    for frame in range(2):
        for number in range(5):
            x, y, z = (cloud[frame, number] + view.translation[frame]).tolist()
            u, v = view.principal[frame].tolist()
            focal = float(view.focal[frame])
            assert found[frame, number].tolist() == pytest.approx([u + focal * x / -z, v - focal * y / -z, -z])


def test_a_moved_camera_draws_moved_pictures() -> None:
    move = Similarity(torch.tensor([0.5, 3.0]).double(), torch.tensor([[5.0, -7.0], [0.25, 1.0]]).double())
    moved = camera().moved(move).project(points())
    still = camera().project(points())
    torch.testing.assert_close(moved[..., :2], move(still[..., :2]))
    torch.testing.assert_close(moved[..., 2], still[..., 2])


def test_slices_and_copies_take_every_field() -> None:
    part = camera(3)[1:].to(dtype=torch.float32)
    assert len(part) == 2
    assert {values.dtype for values in vars(part).values()} == {torch.float32}
    torch.testing.assert_close(part.translation, camera(3).translation[1:].float())


def test_values_that_cannot_be_are_refused() -> None:
    good = camera()
    with pytest.raises(InputError, match="focal: must be positive"):
        Perspective(-good.focal, good.principal, good.translation)
    with pytest.raises(InputError, match=r"translation: 6 of 6"):
        Perspective(good.focal, good.principal, good.translation * torch.nan)
