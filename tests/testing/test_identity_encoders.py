"""Every check of identity encoders catches one that is broken in its way."""

import re
from dataclasses import dataclass

import pytest
import torch
from broken import complaint, conforms, names
from torch import Tensor

from anifacediff.shapes import check_shape
from anifacediff.testing import IdentityEncoderCase
from anifacediff.testing.identity_encoders import CHECKS


@dataclass(frozen=True)
class Colours:
    """The mean colour, if that were an identity."""

    image_size: int = 16
    num_features: int = 3

    def __call__(self, pictures: Tensor) -> Tensor:
        check_shape("pictures", pictures, "f 3 h w", None, 3, self.image_size, self.image_size)
        return self.rows(pictures.mean((2, 3)))

    def rows(self, colours: Tensor) -> Tensor:
        return colours


class Wide(Colours):
    def rows(self, colours: Tensor) -> Tensor:
        return colours.repeat(1, 2)


class Silent(Colours):
    def rows(self, colours: Tensor) -> Tensor:
        return torch.full_like(colours, torch.nan)


class Centred(Colours):
    def rows(self, colours: Tensor) -> Tensor:
        return colours - colours.mean(0, keepdim=True)


class Blind(Colours):
    def rows(self, colours: Tensor) -> Tensor:
        return torch.arange(3.0).expand(len(colours), 3)


class Lenient(Colours):
    def __call__(self, pictures: Tensor) -> Tensor:
        return pictures.mean((2, 3))


BROKEN = [
    ("gives_a_row_for_each_picture", Wide, r"expected rows of shape \(3, 3\), found \(3, 6\)"),
    ("gives_a_row_for_each_picture", Silent, "NaN"),
    ("pictures_are_encoded_alone", Centred, "beside other pictures"),
    ("pictures_differ", Blind, "the same row"),
    ("another_size_is_refused", Lenient, "raise a ShapeError"),
]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "encoder", "message"), BROKEN)
def test_a_broken_encoder_is_caught(name: str, encoder: type[Colours], message: str):
    found = complaint(IdentityEncoderCase("broken", encoder), name)
    assert re.search(message, found), found


def test_a_good_one_conforms():
    assert conforms(IdentityEncoderCase("colours", Colours)) == []
