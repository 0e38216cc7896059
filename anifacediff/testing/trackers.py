"""Trackers to check."""

from dataclasses import dataclass

from anifacediff.testing import tracker_estimates, tracker_faces
from anifacediff.testing.checks import CheckFunction
from anifacediff.testing.pictured import PicturedCase

CHECKS: tuple[CheckFunction, ...] = (
    tracker_faces.finds_the_face,
    tracker_faces.faces_are_finite_and_in_the_picture,
    tracker_faces.landmarks_are_in_the_ibug_order,
    tracker_faces.is_deterministic,
    tracker_faces.takes_any_memory_layout,
    tracker_faces.pictures_without_a_face_raise_nothing,
    tracker_faces.largest_face_comes_first,
    tracker_estimates.estimate_agrees_with_the_picture,
    tracker_estimates.estimate_lies_on_the_face,
    tracker_estimates.estimate_looks_at_each_picture_alone,
    tracker_estimates.estimate_never_answers_nan,
)


@dataclass(frozen=True, eq=False)
class TrackerCase(PicturedCase):
    """A tracker to check.

    Attributes:
        name: of the component, in reports.
        build: makes a tracker; a function without arguments.
        picture: h w 3, uint8 RGB: one upright face that looks at the viewer and that this tracker finds;
            :func:`drawn_portrait` if None.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS
