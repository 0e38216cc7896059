"""Morphable models to check."""

from dataclasses import dataclass

from anifacediff.geometry.contracts import MorphableModel
from anifacediff.testing import model_numbers, model_space
from anifacediff.testing.checks import Case, CheckFunction

CHECKS: tuple[CheckFunction, ...] = (
    model_numbers.has_the_members_of_a_model,
    model_numbers.sizes_agree,
    model_numbers.neutral_face_is_finite,
    model_numbers.is_deterministic,
    model_numbers.frames_do_not_see_each_other,
    model_numbers.follows_the_precision_asked_for,
    model_numbers.follows_the_device_asked_for,
    model_numbers.gradients_reach_every_argument,
    model_numbers.wrong_sizes_are_refused_by_name,
    model_space.triangles_face_outwards,
    model_space.turns_with_the_global_joint,
    model_space.expression_moves_the_front,
    model_space.landmarks_lie_on_the_face,
    model_space.facial_alignment_draws_it,
)


@dataclass(frozen=True)
class ModelCase(Case[MorphableModel]):
    """A morphable model to check.

    Attributes:
        name: of the component, in reports.
        build: makes a new model; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS
