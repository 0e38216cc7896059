import numpy as np
import pytest
import torch

from anifacediff.synthetic import Avatar, ExpressiveHead
from anifacediff.synthetic.avatar import HAIRCUTS, Hair, HairCut
from anifacediff.synthetic.hair import cap, locks
from anifacediff.synthetic.skull import Skull, over_hairline, sculpture

HEAD = ExpressiveHead()
SKULL = Skull.of(HEAD, Avatar().coefficients(HEAD.shape_names))


def test_the_skull_is_where_the_cranium_is():
    top, back = SKULL.skin[:, 1].max(), SKULL.skin[:, 2].min()
    assert SKULL.center[1] + SKULL.radii[1] == pytest.approx(top)
    assert SKULL.center[2] - SKULL.radii[2] == pytest.approx(back, abs=0.2)
    assert abs(SKULL.center[0]) < 1e-4


def test_points_are_pushed_out_of_the_skull_and_no_further():
    inside = SKULL.center + np.array([[1.0, 2.0, 1.0], [0.5, -6.0, 0.5]])
    outside = SKULL.center + np.array([[20.0, 0.0, 0.0]])
    pushed = (SKULL.pushed_out(inside, np.full(2, 0.1)) - SKULL.center) / SKULL.radii
    assert np.linalg.norm(pushed[0]) == pytest.approx(1.1)
    assert np.hypot(pushed[1, 0], pushed[1, 2]) == pytest.approx(1.1)
    assert pushed[1, 1] * SKULL.radii[1] == pytest.approx(-6.0)
    assert SKULL.pushed_out(outside, np.full(1, 0.1)) == pytest.approx(outside)


def test_the_hairline_leaves_the_face_and_the_neck_bare():
    bare = np.array([[0.0, 4.0, 9.7], [3.2, 1.7, 8.5], [0.0, -5.0, 9.8], [0.0, -13.0, -6.5], [5.0, -3.0, 6.0]])
    hairy = np.array([[0.0, 12.7, -1.2], [7.0, 6.0, -2.0], [0.0, 3.0, -10.0], [0.0, 11.0, 5.0]])
    assert (over_hairline(bare) < 0).all()
    assert (over_hairline(hairy) > 0).all()


@pytest.mark.parametrize("cut", HAIRCUTS)
def test_a_haircut_is_the_same_for_the_same_seed_and_leaves_the_eyes_free(cut: HairCut):
    hair = Hair(cut=cut, fringe="straight", seed=3)
    first, again = locks(hair, SKULL, False), locks(hair, SKULL, False)
    assert (first is None) == (cut in ("bald", "buzz"))
    if first is None or again is None:
        return
    assert torch.equal(first.points, again.points)
    assert first.points.isfinite().all()
    assert first.normals.isfinite().all()
    torch.testing.assert_close(first.bones.sum(1), torch.ones(len(first.bones)))
    x, y, z = (first.points * 100).T
    before_the_eyes = (x.abs() < 4.8) & (x.abs() > 1.8) & (y < 2.3) & (y > 0.5) & (z > 4)
    assert not before_the_eyes.any()


def test_a_cap_covers_the_scalp_and_ends_under_the_skin():
    grown = cap(Hair(cut="short"), False)
    assert grown is not None
    field = torch.from_numpy(over_hairline(sculpture().vertices[grown.vertex.numpy()]))
    assert (grown.lift[field > 2] > 0.004).all()
    assert (grown.lift[field < -0.3] < 0).all()
    assert cap(Hair(cut="bald"), False) is None


def test_a_hat_presses_the_hair_down():
    free, pressed = cap(Hair(cut="afro"), False), cap(Hair(cut="afro"), True)
    assert free is not None
    assert pressed is not None
    assert pressed.lift.max() < 0.5 * free.lift.max()
