import pytest
import torch

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import LandmarkedModel, ParametricHead
from anifacediff.geometry.head_sculpt import sculpt
from anifacediff.synthetic import COMPONENTS, DEFAULT_WITHHELD, GROUPS, ExpressiveHead
from anifacediff.synthetic.expression import indices

OPEN = ExpressiveHead(withheld=())
MESH_COMPONENTS = [name for name in COMPONENTS if name not in GROUPS["surface"]]


def vertices(head: ExpressiveHead, shape: dict[str, float] | None = None, /, **coefficients: float) -> torch.Tensor:
    shapes, expression = torch.zeros(1, head.num_shape), torch.zeros(1, 50)
    for name, value in (shape or {}).items():
        shapes[0, head.shape_names.index(name)] = value
    for name, value in coefficients.items():
        expression[0, COMPONENTS.index(name)] = value
    return head(shapes, expression, torch.zeros(1, 5, 3))[0]


def one(name: str) -> dict[str, float]:
    return {name: 1.0}


def test_there_are_fifty_components_each_in_one_group():
    assert len(COMPONENTS) == len(set(COMPONENTS)) == OPEN.num_expression == 50
    names = ParametricHead().expression_names
    assert {name for name in names if not name.startswith("wave_")} == {n for n in COMPONENTS if n in names}
    assert sum(name in names for name in COMPONENTS) == 45


def test_it_is_a_model_that_landmarks_can_be_fitted_to():
    assert isinstance(OPEN, LandmarkedModel)
    at_rest = vertices(OPEN)
    head = ParametricHead()
    still = torch.zeros(1, 5, 3)
    torch.testing.assert_close(at_rest, head(torch.zeros(1, 63), torch.zeros(1, 52), still)[0])
    torch.testing.assert_close(OPEN.landmarks(at_rest[None], still), head.landmarks(at_rest[None], still))


def test_every_component_of_the_mesh_moves_it_and_the_surface_ones_do_not():
    rest = vertices(OPEN)
    moved = {name: float((vertices(OPEN, **one(name)) - rest).norm(dim=1).max()) for name in COMPONENTS}
    assert all(moved[name] > 5e-4 for name in MESH_COMPONENTS)
    assert all(moved[name] == 0 for name in GROUPS["surface"])


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_withheld_does_not_move_the_mesh_and_everything_else_does_as_before(group: str):
    head = ExpressiveHead(withheld=(group,))
    rest = vertices(head)
    for name in COMPONENTS:
        expected = rest if name in GROUPS[group] else vertices(OPEN, **one(name))
        assert torch.equal(vertices(head, **one(name)), expected)


def test_gaze_and_lids_are_withheld_by_default():
    assert set(DEFAULT_WITHHELD) == {"gaze", "lids"}
    head = ExpressiveHead()
    assert torch.equal(vertices(head, gaze_sideways=2.0, lids_close_left=2.0), vertices(head))
    assert not torch.equal(vertices(head, jaw_open=1.0), vertices(head))


def test_single_components_can_be_withheld_by_name():
    head = ExpressiveHead(withheld="smile_left")
    assert torch.equal(vertices(head, smile_left=1.0), vertices(head))
    assert not torch.equal(vertices(head, smile_right=1.0), vertices(head))


def test_gaze_turns_the_irises_to_the_image_right_and_up():
    ball = torch.from_numpy(sculpt().eyeballs[0])
    front = int(vertices(OPEN)[ball, 2].argmax())
    rest, turned = vertices(OPEN)[ball[front]], vertices(OPEN, gaze_sideways=1.0, gaze_up=1.0)[ball[front]]
    assert turned[0] - rest[0] > 0.002
    assert turned[1] - rest[1] > 0.002


@pytest.mark.parametrize("shape", [{}, {"cartoon_eyes": 4.0, "eye_opening": 3.0}, {"eye_size": -1.5}])
def test_lids_close_at_two_on_eyes_of_any_size(shape: dict[str, float]):
    eye = sculpt().grid.eyes[0]
    middle = len(eye.upper) // 2

    def opening(**coefficients: float) -> float:
        points = vertices(OPEN, shape, **coefficients)
        return float(points[eye.upper[middle], 1] - points[eye.lower[middle], 1])

    assert opening() > 0.005
    assert abs(opening(lids_close_left=2.0, lids_close_right=2.0)) < 0.06 * opening()


@pytest.mark.parametrize("name", ["gaz", "wave_mouth_wide", ""])
def test_an_unknown_component_is_refused(name: str):
    with pytest.raises(InputError, match=r"neither an expression component nor a group"):
        ExpressiveHead(withheld=(name,))
    with pytest.raises(InputError, match=r"groups are jaw, lips"):
        indices([name])


def test_coefficients_of_another_width_are_refused():
    with pytest.raises(ShapeError, match="expression"):
        OPEN(torch.zeros(1, 63), torch.zeros(1, 52), torch.zeros(1, 5, 3))
    with pytest.raises(ShapeError, match="pose"):
        OPEN(torch.zeros(1, 63), torch.zeros(1, 50), torch.zeros(1, 4, 3))
