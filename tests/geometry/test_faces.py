"""Properties of the parameters' arithmetic; the references are written out per point in float64."""

import re
from dataclasses import replace
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import Box, Camera, FaceParameters, Similarity, WeakPerspective

few = settings(max_examples=25, deadline=None)
position = st.floats(-300, 300)
positive = st.floats(0.05, 20)


def similarity(*rows: tuple[float, float, float]) -> Similarity:
    values = torch.tensor(rows, dtype=torch.float64)
    return Similarity(values[:, 0], values[:, 1:])


similarities = st.lists(st.tuples(positive, position, position), min_size=2, max_size=2).map(
    lambda rows: similarity(*rows)
)
clouds = st.lists(st.tuples(position, position), min_size=10, max_size=10).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).view(2, 5, 2)
)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-9, atol=1e-7)


@few
@given(similarities, clouds)
def test_inverse_undoes(move: Similarity, points: torch.Tensor) -> None:
    assert close(move.inverse()(move(points)), points)
    assert close(move.then(move.inverse())(points), points)


@few
@given(similarities, similarities, clouds)
def test_then_applies_the_first_one_first(first: Similarity, second: Similarity, points: torch.Tensor) -> None:
    assert close(first.then(second)(points), second(first(points)))


@few
@given(clouds, positive)
def test_about_keeps_the_pivot_and_scales_distances(points: torch.Tensor, scale: float) -> None:
    pivot = points[:, 0]
    moved = Similarity.about(pivot, torch.full((2,), scale, dtype=torch.float64))(points)
    assert close(moved[:, 0], pivot)
    assert close(moved - pivot[:, None], (points - pivot[:, None]) * scale)


@few
@given(similarities, clouds)
def test_the_box_of_moved_points_is_the_moved_box(move: Similarity, points: torch.Tensor) -> None:
    assert close(Box.around(move(points)).corners, Box.around(points).moved(move).corners)


def test_box_measures() -> None:
    box = Box(torch.tensor([[10.0, 20.0, 16.0, 30.0]]))
    assert box.center.tolist() == [[13.0, 25.0]]
    assert (box.width.item(), box.height.item(), box.size.item()) == (6.0, 10.0, 8.0)


def test_weak_perspective_turns_y_and_depth_over() -> None:
    camera = WeakPerspective(torch.tensor([10.0]), torch.tensor([[100.0, 50.0]]))
    assert camera.project(torch.tensor([[[1.0, 2.0, 3.0]]])).tolist() == [[[110.0, 30.0, -30.0]]]
    assert not camera.perspective
    assert isinstance(camera, Camera)


@few
@given(similarities, similarities, st.lists(position, min_size=18, max_size=18))
def test_a_moved_camera_draws_moved_pictures(view: Similarity, move: Similarity, values: list[float]) -> None:
    points = torch.tensor(values, dtype=torch.float64).view(2, 3, 3)
    camera = WeakPerspective(view.scale, view.translation)
    before, after = camera.project(points), camera.moved(move).project(points)
    assert close(after[..., :2], move(before[..., :2]))
    assert close(after[..., 2], before[..., 2] * move.scale[:, None])


def face(frames: int = 3, dtype: torch.dtype = torch.float32) -> FaceParameters:
    count = torch.arange(1.0, frames + 1, dtype=dtype)
    return FaceParameters(
        shape=count[:, None].repeat(1, 4),
        expression=count[:, None].repeat(1, 2),
        pose=count[:, None, None].repeat(1, 5, 3),
        camera=WeakPerspective(count * 100, count[:, None].repeat(1, 2)),
        box=Box(torch.stack([count, count, count + 10, count + 20], dim=1)),
        canvas=(64, 48),
    )


def test_slices_take_every_field() -> None:
    some = face()[1:3]
    assert len(some) == 2
    assert isinstance(some.camera, WeakPerspective)
    fields = (some.shape, some.expression, some.pose[:, 0], some.camera.translation, some.box.corners)
    assert [field[:, 0].tolist() for field in fields] == [[2.0, 3.0]] * 5
    assert some.camera.scale.tolist() == [200.0, 300.0]
    assert some.canvas == (64, 48)


def test_to_changes_the_precision_of_every_field() -> None:
    double = face().to(dtype=torch.float64)
    assert isinstance(double.camera, WeakPerspective)
    tensors = (double.shape, double.expression, double.pose, double.camera.scale, double.camera.translation)
    assert {tensor.dtype for tensor in (*tensors, double.box.corners)} == {torch.float64}


def test_moved_changes_camera_box_and_canvas_only() -> None:
    before = face(2, torch.float64)
    move = similarity((2.0, 5.0, -3.0), (0.5, 0.0, 1.0))
    after = before.moved(move, canvas=(128, 128))
    assert torch.equal(after.box.corners, before.box.moved(move).corners)
    points = torch.ones(2, 1, 3, dtype=torch.float64)
    assert torch.equal(after.camera.project(points), before.camera.moved(move).project(points))
    assert after.canvas == (128, 128)
    assert before.moved(move).canvas == (64, 48)
    assert after.shape is before.shape


@pytest.mark.parametrize("field", ["expression", "pose", "box", "camera"])
@pytest.mark.parametrize("frames", [1, 2])
def test_fields_of_another_length_are_refused(field: str, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    values = vars(face()) | {field: getattr(face(frames), field)}
    with pytest.raises(ShapeError, match=rf"FaceParameters\.{field}.*(\(3, .*found \({frames}, |has {frames} frames)"):
        FaceParameters(**values)


@pytest.mark.parametrize(
    ("field", "value", "axes"),
    [
        ("shape", torch.zeros(3), "(f s)"),
        ("expression", torch.zeros(3, 2, 1), "(f e)"),
        ("pose", torch.zeros(3, 15), "(f j 3)"),
        ("pose", torch.zeros(3, 5, 4), "(f j 3)"),
        ("box", torch.zeros(3, 2), "(f 4)"),
    ],
)
def test_fields_with_other_axes_are_refused(
    field: str, value: torch.Tensor, axes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    changed: dict[str, Any] = {field: Box(value) if field == "box" else value}
    with pytest.raises(ShapeError, match=rf"FaceParameters\.{field}.*{re.escape(axes)}"):
        FaceParameters(**(vars(face()) | changed))


@pytest.mark.parametrize("translation", [torch.zeros(1, 2), torch.zeros(3, 3), torch.zeros(3)])
def test_a_camera_refuses_other_axes(translation: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ShapeError, match=r"WeakPerspective\.translation.*\(f 2\) = \(3, 2\)"):
        WeakPerspective(torch.ones(3), translation)


def test_a_move_for_another_number_of_frames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ShapeError, match=r"FaceParameters\.box\.corners.*found \(2, 4\)"):
        face(1).moved(similarity((1.0, 0.0, 0.0), (2.0, 0.0, 0.0)))


def test_acting_changes_expression_and_pose_only() -> None:
    before = face()
    after = before.acting(before.expression + 1, before.pose + 2)
    assert torch.equal(after.expression, before.expression + 1)
    assert torch.equal(after.pose, before.pose + 2)
    assert torch.equal(after.shape, before.shape)
    assert after.camera is before.camera
    assert after.canvas == before.canvas


def test_slices_copies_and_moves_do_not_wait_for_the_device() -> None:
    away = face().to("meta")  # where no value can be looked at
    move = similarity((2.0, 5.0, -3.0), (0.5, 0.0, 1.0)).to("meta")
    assert len(away[1:].to(dtype=torch.float64).moved(move)) == 2


def test_replaced_values_are_looked_at() -> None:
    with pytest.raises(InputError, match=r"FaceParameters\.pose.*NaN or infinite"):
        replace(face(), pose=torch.full((3, 5, 3), torch.nan))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("field", ["shape", "expression", "pose"])
def test_values_that_are_not_finite_are_refused(field: str, value: float) -> None:
    bad = getattr(face(), field).clone()
    bad[1, 0] = value
    with pytest.raises(InputError, match=rf"FaceParameters\.{field}.*NaN or infinite"):
        FaceParameters(**(vars(face()) | {field: bad}))


def test_a_camera_refuses_nan():
    with pytest.raises(InputError, match=r"WeakPerspective\.translation: 1 of 2 values are NaN"):
        WeakPerspective(torch.ones(1), torch.tensor([[0.0, torch.nan]]))


def test_a_camera_has_a_positive_scale():
    with pytest.raises(InputError, match=r"WeakPerspective\.scale: must be positive, found -2\.0"):
        WeakPerspective(torch.tensor([1.0, -2.0]), torch.zeros(2, 2))


def told(frames: int = 3) -> FaceParameters:
    return replace(face(frames), gaze=torch.arange(4.0 * frames).view(frames, 4), eyelids=torch.rand(frames, 2))


def test_gaze_and_eyelids_join_the_expression_code() -> None:
    plain, both = face(), told()
    assert torch.equal(plain.expression_code, plain.expression)
    assert both.gaze is not None
    assert both.eyelids is not None
    expected = torch.cat([both.expression, both.gaze, both.eyelids], dim=1)
    assert torch.equal(both.expression_code, expected)
    assert torch.equal(both[1:].expression_code, expected[1:])
    assert both.to(dtype=torch.float64).expression_code.dtype == torch.float64
    assert torch.equal(both.moved(Similarity(torch.ones(3), torch.zeros(3, 2))).expression_code, expected)


def test_gaze_and_eyelids_of_other_frames_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ShapeError, match=r"gaze: expected shape \(f n\) = \(3, any\)"):
        replace(face(), gaze=torch.zeros(2, 4))
    with pytest.raises(ShapeError, match=r"eyelids: expected shape \(f 2\) = \(3, 2\)"):
        replace(face(), eyelids=torch.zeros(3, 3))
    with pytest.raises(InputError, match=r"FaceParameters.eyelids: 6 of 6"):
        replace(face(), eyelids=torch.full((3, 2), torch.nan))
