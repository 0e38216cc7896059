"""Checks of identity encoders."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from anifacediff.conditioning.contracts import IdentityEncoder
from anifacediff.errors import ShapeError
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import Case, CheckFunction, raised, require

FRAMES, ROUNDING = 3, 1e-4


@dataclass(frozen=True)
class IdentityEncoderCase(Case[IdentityEncoder]):
    """An identity encoder to check.

    Attributes:
        name: of the component, in reports.
        build: makes an encoder; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def gives_a_row_for_each_picture(case: IdentityEncoderCase) -> None:
    """It says its sizes, and gives finite rows of that width."""
    encoder = case.made()
    require(
        isinstance(encoder, IdentityEncoder)  # pyright: ignore[reportUnnecessaryIsInstance] -- it is what is checked
        and encoder.image_size > 0
        and encoder.num_features > 0,
        f"{type(encoder).__name__}: image_size and num_features must be positive, and it must be callable.",
    )
    rows, expected = _encoded(encoder, _pictures(encoder)), (FRAMES, encoder.num_features)
    require(tuple(rows.shape) == expected, f"expected rows of shape {expected}, found {tuple(rows.shape)}.")
    require(bool(rows.isfinite().all()), "a picture gave NaN or infinity.")


def pictures_are_encoded_alone(case: IdentityEncoderCase) -> None:
    """A picture's row is the same alone and beside others; put networks into ``eval`` mode."""
    encoder = case.made()
    pictures = _pictures(encoder)
    together, alone = _encoded(encoder, pictures), _encoded(encoder, pictures[1:2])
    off = float((together[1] - alone[0]).abs().max() / together.std())
    require(off <= ROUNDING, f"beside other pictures, a row differs by {off:.1e} of the rows' standard deviation.")


def pictures_differ(case: IdentityEncoderCase) -> None:
    """Different pictures give different rows."""
    encoder = case.made()
    rows = _encoded(encoder, _pictures(encoder))
    require(bool((rows[0] - rows[1]).abs().max() > 0), "two different pictures gave the same row.")


def another_size_is_refused(case: IdentityEncoderCase) -> None:
    """Pictures of another size are an error that says so."""
    encoder = case.made()
    wrong = torch.zeros(1, 3, encoder.image_size, encoder.image_size + 1)
    error = raised(lambda: encoder(wrong))
    require(
        isinstance(error, ShapeError),
        f"pictures of {tuple(wrong.shape)} led to {error!r}; raise a ShapeError (anifacediff.shapes.check_shape does).",
    )


CHECKS: tuple[CheckFunction, ...] = (
    gives_a_row_for_each_picture,
    pictures_are_encoded_alone,
    pictures_differ,
    another_size_is_refused,
)


def _pictures(encoder: IdentityEncoder) -> Float[Tensor, "f 3 h w"]:
    """Soft blots of colour."""
    coarse = torch.rand(FRAMES, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (encoder.image_size, encoder.image_size), mode="bilinear")


@torch.no_grad()
def _encoded(encoder: IdentityEncoder, pictures: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f2 n"]:
    return encoder(pictures)
