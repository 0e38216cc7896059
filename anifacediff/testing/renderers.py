"""Checks of control renderers."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.errors import ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.morphable import posed
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.shapes import Tensor
from anifacediff.testing.checks import Case, CheckFunction, raised, require
from anifacediff.testing.portraits import portrait

FRAMES = 3


@dataclass(frozen=True)
class RendererCase(Case[ControlRenderer]):
    """A control renderer to check, with a small face model and small maps.

    Attributes:
        name: of the component, in reports.
        build: makes a renderer; a function without arguments.
        limits: the range that its convention declares for all values of its maps.
    """

    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def has_the_members_of_a_renderer(case: RendererCase) -> None:
    """It is a ControlRenderer."""
    made: Any = case.made()
    require(
        isinstance(made, ControlRenderer),
        f"{type(made).__name__} lacks members of anifacediff.conditioning.ControlRenderer: morphable_model, plan, "
        "render, aligned, and a call.",
    )


def draws_a_picture_for_each_frame(case: RendererCase) -> None:
    """Mask and maps have one picture for each driving frame, all of one size, and the face is in them."""
    maps = _drawn(case)
    frames, height, width = maps.mask.shape
    require(frames == FRAMES, f"{FRAMES} driving frames gave {frames} masks.")
    require(pictures(maps), "no map is drawn; a renderer gives at least one of normal, depth, shaded.")
    for name, picture in pictures(maps).items():
        expected = (frames, 1 if name == "depth" else 3, height, width)
        require(picture.shape == expected, f"{name}: expected shape {expected}, found {tuple(picture.shape)}.")
    covered = maps.mask.float().mean((1, 2))
    require(bool((covered > 0.05).all()), f"the face covers {covered.tolist()} of the maps; is it out of the picture?")


def values_lie_in_the_declared_range(case: RendererCase) -> None:
    """Maps are finite, within the case's limits, and 0 where the mesh is not."""
    low, high = case.limits
    maps = _drawn(case)
    for name, picture in pictures(maps).items():
        require(
            bool(picture.isfinite().all()) and low <= float(picture.min()) <= float(picture.max()) <= high,
            f"{name}: values from {float(picture.min()):.3f} to {float(picture.max()):.3f} leave the declared range "
            f"{case.limits}; clip them, or declare the range: RendererCase(..., limits=...).",
        )
        beside = picture.abs().amax(1)[~maps.mask]
        require(
            not beside.any(),
            f"{name}: the background is not 0 but up to {float(beside.max() if len(beside) else 0):.3f}.",
        )


def pieces_equal_the_whole(case: RendererCase) -> None:
    """Planned from the first frame and rendered in pieces, a clip has the very pictures of the whole."""
    made = case.made()
    reference, driving = _clip(made)
    whole = made(reference, driving)
    plan = made.plan(reference, driving[:1])
    pieces = ControlMaps.joined([made.render(plan, driving[:1]), made.render(plan, driving[1:])])
    same = torch.equal(whole.mask, pieces.mask) and all(
        torch.equal(picture, pictures(pieces)[name]) for name, picture in pictures(whole).items()
    )
    require(
        same,
        "rendering frames 0 and 1-2 one after the other gives other pictures than all at once; plan() may look at the "
        "first driving frame only, and render() at each frame by itself (anifacediff.geometry.morphable.posed).",
    )


def expression_and_pose_come_from_the_driver(case: RendererCase) -> None:
    """Another expression or another pose of the driver draws another picture."""
    made = case.made()
    reference, driving = _clip(made)
    for field in ("expression", "pose"):
        changed = replace(driving, **{field: getattr(driving, field) + 0.5})
        require(
            _differ(made(reference, driving), made(reference, changed)),
            f"another {field} of the driving frames draws the same picture.",
        )


def identity_comes_from_the_reference(case: RendererCase) -> None:
    """Another identity of the reference draws another picture; another identity of the driver does not."""
    made = case.made()
    reference, driving = _clip(made)
    before = made(reference, driving)
    other = replace(driving, shape=driving.shape + 0.5)
    require(
        not _differ(before, made(reference, other)),
        "another shape of the driving frames draws another picture; identity must come from the reference alone.",
    )
    other = replace(reference, shape=reference.shape + 0.5)
    require(_differ(before, made(other, driving)), "another shape of the reference draws the same picture.")


def aligned_parameters_are_what_is_drawn(case: RendererCase) -> None:
    """The mesh of ``aligned()``, projected by its camera, covers the mask's extent to within two pixels."""
    made = case.made()
    reference, driving = _clip(made)
    maps, face = made(reference, driving), made.aligned(made.plan(reference, driving), driving)
    points = face.camera.project(posed(made.morphable_model, face))[..., :2]
    for frame in range(FRAMES):
        rows, columns = maps.mask[frame].nonzero().unbind(1)
        seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        size = torch.tensor([maps.mask.shape[2], maps.mask.shape[1]])
        low, high = (torch.clamp(edge, torch.zeros(2), size) for edge in (points[frame].amin(0), points[frame].amax(0)))
        worst = float((torch.cat([low, high]) - seen).abs().max())
        require(
            worst <= 2,
            f"frame {frame}: the mesh of aligned() ends {worst:.1f} pixels from the mask's; it must return the "
            "parameters that render() draws, in pixels of the maps.",
        )


def parameters_of_another_model_are_refused(case: RendererCase) -> None:
    """Parameters with another number of coefficients raise a ShapeError that names the field."""
    made = case.made()
    reference, driving = _clip(made)
    for field in ("shape", "expression"):
        rows = getattr(driving, field)
        other = replace(driving, **{field: torch.cat([rows, rows[:, :1]], dim=1)})
        problem = raised(lambda other=other: made(reference, other))
        require(
            isinstance(problem, ShapeError) and field in str(problem),
            f"driving.{field} with one coefficient too many raised {'nothing' if problem is None else repr(problem)}; "
            f"expected a ShapeError that names {field}.",
        )


CHECKS: tuple[CheckFunction, ...] = (
    has_the_members_of_a_renderer,
    draws_a_picture_for_each_frame,
    values_lie_in_the_declared_range,
    pieces_equal_the_whole,
    expression_and_pose_come_from_the_driver,
    identity_comes_from_the_reference,
    aligned_parameters_are_what_is_drawn,
    parameters_of_another_model_are_refused,
)


def pictures(maps: ControlMaps) -> dict[str, Tensor]:
    """The maps that were drawn, by name."""
    named = {"normal": maps.normal, "depth": maps.depth, "shaded": maps.shaded}
    return {name: picture for name, picture in named.items() if picture is not None}


def _clip(made: ControlRenderer) -> tuple[FaceParameters, FaceParameters]:
    return portrait(made.morphable_model, 1, seed=1), portrait(made.morphable_model, FRAMES)


def _drawn(case: RendererCase) -> ControlMaps:
    made = case.made()
    return made(*_clip(made))


def _differ(first: ControlMaps, second: ControlMaps) -> bool:
    return not torch.equal(first.mask, second.mask) or any(
        not torch.equal(picture, pictures(second)[name]) for name, picture in pictures(first).items()
    )
