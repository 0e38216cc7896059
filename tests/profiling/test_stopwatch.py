import sys
import time
from mmap import PAGESIZE, mmap

import pytest
import torch

from anifacediff.profiling import Spent, Stopwatch

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def timing(spent: Spent) -> tuple[int, float, int]:
    return spent.calls, spent.seconds, spent.work


def test_every_moment_is_counted_once_for_the_innermost_stage(clock: list[float]):
    watch = Stopwatch(CPU, counter=lambda: 10 * int(clock[0]))
    clock[0] = 1
    for _ in range(2):
        with watch.stage("outer"):
            clock[0] += 2
            with watch.stage("inner"):
                clock[0] += 5
            clock[0] += 3
    clock[0] += 4
    spent = watch.spent
    assert {name: timing(each) for name, each in spent.items()} == {
        "outer": (2, 10.0, 100),
        "inner": (2, 10.0, 100),
        "everything else": (1, 5.0, 50),
    }
    assert sum(each.seconds for each in spent.values()) == clock[0]


def test_a_stage_that_fails_ends(clock: list[float]):
    watch = Stopwatch(CPU)

    def fail() -> None:
        with watch.stage("broken"):
            clock[0] += 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    clock[0] += 2
    assert [each.seconds for each in watch.spent.values()] == [1.0, 2.0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the peak cannot be counted anew")
def test_memory_is_told_for_the_stage_that_held_it():
    watch = Stopwatch(CPU)
    with watch.stage("large"):
        with mmap(-1, 256 * 2**20) as fresh:  # never memory that the process has already
            for page in range(0, len(fresh), PAGESIZE):
                fresh[page] = 1
        with watch.stage("small"):
            torch.ones(2**10)
    large, small = watch.spent["large"].peak, watch.spent["small"].peak
    assert large is not None
    assert small is not None
    assert large - small > 200 * 2**20
