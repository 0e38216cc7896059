import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.synthetic import COMPONENTS, ExpressiveHead, Performance, random_motion, true_parameters

HEAD = ExpressiveHead(withheld=())


def shape(seed: int) -> torch.Tensor:
    return 0.6 * torch.randn(63, generator=torch.Generator().manual_seed(seed))


def test_the_box_holds_the_landmarks_and_the_camera_lands_where_it_was_asked_to():
    performance = random_motion(3, 4, fps=0.5)
    found = true_parameters(HEAD, shape(0), performance, size=200)
    assert found.canvas == (200, 200)
    torch.testing.assert_close(found.expression, performance.expression)
    origin = found.camera.project(torch.zeros(4, 1, 3))[:, 0]
    torch.testing.assert_close(origin[:, :2], 200 * performance.place)
    points = HEAD(found.shape, found.expression, found.pose)
    marks = HEAD.landmarks(points, found.pose)
    x = 200 * performance.place[:, :1] + 200 * performance.zoom[:, None] * marks[..., 0]
    y = 200 * performance.place[:, 1:] - 200 * performance.zoom[:, None] * marks[..., 1]
    expected = torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], dim=1)
    torch.testing.assert_close(found.box.corners, expected, atol=1e-3, rtol=0)


def test_a_larger_canvas_is_the_same_picture():
    performance = random_motion(1, 2, fps=1)
    small, large = (true_parameters(HEAD, shape(1), performance, size=size) for size in (64, 256))
    torch.testing.assert_close(4 * small.box.corners, large.box.corners)


def test_components_are_put_to_rest_and_set_by_name():
    performance = random_motion(2, 30, fps=2)
    gaze = [COMPONENTS.index("gaze_sideways"), COMPONENTS.index("gaze_up")]
    assert performance.expression[:, gaze].abs().max() > 0.1
    calm = performance.without("gaze")
    assert calm.expression[:, gaze].abs().max() == 0
    others = [index for index in range(50) if index not in gaze]
    assert torch.equal(calm.expression[:, others], performance.expression[:, others])
    assert torch.equal(
        Performance.still().changed(blush=2.0).expression.nonzero()[:, 1], torch.tensor([COMPONENTS.index("blush")])
    )


def test_what_does_not_exist_is_refused():
    with pytest.raises(InputError, match="size"):
        true_parameters(HEAD, shape(0), Performance.still(), size=0)
    with pytest.raises(InputError, match="'eyes'"):
        Performance.still().without("eyes")
    with pytest.raises(InputError, match="'grin'"):
        Performance.still().changed(grin=1.0)
