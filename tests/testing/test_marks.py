"""Every check of marks catches a mark that is broken in its way."""

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from broken import complaint, conforms, names

from anifacediff.provenance import MarkEvidence, SpreadMark
from anifacediff.testing import MarkCase
from anifacediff.testing.marks import CHECKS


class Blind(SpreadMark):
    def detect(self, frames: Any) -> MarkEvidence:
        return replace(super().detect(frames), score=0.0)


class Eager(SpreadMark):
    def detect(self, frames: Any) -> MarkEvidence:
        return replace(super().detect(frames), score=9.0)


class Answering(SpreadMark):
    def detect(self, frames: Any) -> Any:
        return True


class Certain(SpreadMark):
    def detect(self, frames: Any) -> MarkEvidence:
        return replace(super().detect(frames), score=math.inf)


class Careless(SpreadMark):
    def __init__(self) -> None:
        super().__init__(threshold=2.0)


class Loud(SpreadMark):
    def embed(self, frames: Any, region: Any = None) -> Any:
        return super().embed(super().embed(frames, region), region)


class InPlace(SpreadMark):
    def embed(self, frames: Any, region: Any = None) -> Any:
        frames[:] = super().embed(frames, region)
        return frames


class Everywhere(SpreadMark):
    def embed(self, frames: Any, region: Any = None) -> Any:
        super().embed(frames, region)
        return super().embed(frames)


class Nowhere(SpreadMark):
    def embed(self, frames: Any, region: Any = None) -> Any:
        return frames.copy() if region else super().embed(frames, region)


class Wavering(SpreadMark):
    chance = itertools.count()

    def embed(self, frames: Any, region: Any = None) -> Any:
        after = super().embed(frames, region)
        after[0, 0, 0] = next(self.chance)
        return after


class Undemanding(SpreadMark):
    def detect(self, frames: Iterable[Any]) -> MarkEvidence:
        return super().detect([*frames] or [np.zeros((64, 64, 3), np.uint8)])


class Clipping(SpreadMark):
    def embed(self, frames: Any, region: Any = None) -> Any:
        return super().embed(frames)


BROKEN: list[tuple[str, type[Any], str]] = [
    ("is_found_again", Blind, "just marked scores"),
    ("is_found_again", Eager, "without a mark scores"),
    ("says_how_sure_it_is", Answering, "expected a MarkEvidence"),
    ("says_how_sure_it_is", Certain, "not finite"),
    ("says_how_sure_it_is", Careless, "raise it to 3"),
    ("is_invisible", Loud, "at least 40 dB"),
    ("is_invisible", InPlace, "work on a copy"),
    ("keeps_to_its_region", Everywhere, "outside of the region"),
    ("keeps_to_its_region", Nowhere, "changed nothing inside"),
    ("frames_may_come_one_by_one", Wavering, "depends on the frames"),
    ("bad_input_is_refused", Undemanding, "detect of no frames"),
    ("bad_input_is_refused", Clipping, "embed beyond the edges"),
]


def test_marks_without_faults_conform():
    assert conforms(MarkCase("spread", SpreadMark)) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_a_broken_mark_is_caught(name: str, build: type[Any], message: str):
    found = complaint(MarkCase("mark", build), name)
    assert re.search(message, found), found
