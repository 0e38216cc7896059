"""Frames in, frames out, of which only the newest wait."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from jaxtyping import UInt8

from anifacediff.live import LiveFrame, LiveRun

PATIENCE = 20  # seconds after which a test that waits has failed
Picture = UInt8[np.ndarray, "h w 3"]


def picture(number: int) -> Picture:
    return np.full((2, 2, 3), number, dtype=np.uint8)


class World:
    """A camera and work on its frames that go on when the test says so, and a clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.wanted = threading.Semaphore(0)
        self.given = threading.Semaphore(0)
        self.begun: list[int] = []
        self.beginning = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.over = False

    def camera(self) -> Iterator[Picture]:
        for number in range(200):
            assert self.wanted.acquire(timeout=PATIENCE)
            if self.over:
                return
            yield picture(number)
            self.given.release()

    def work(self, image: Picture) -> int:
        self.begun.append(int(image[0, 0, 0]))
        self.beginning.release()
        assert self.may_end.acquire(timeout=PATIENCE)
        return int(image[0, 0, 0]) * 2


def test_slow_work_on_a_fast_source_drops_frames_and_stays_bounded_behind():
    """The camera gives ten frames while one is worked on: the newest is next, however long that goes on."""
    world = World()
    taken: list[LiveFrame[int]] = []
    with LiveRun(world.camera(), world.work, clock=lambda: world.seconds) as run:
        results = iter(run)
        consumer = threading.Thread(target=lambda: taken.extend(results))
        consumer.start()
        world.wanted.release()  # the first frame
        assert world.beginning.acquire(timeout=PATIENCE)
        for _ in range(6):
            for _ in range(10):
                world.seconds += 0.1
                world.wanted.release()
                assert world.given.acquire(timeout=PATIENCE)  # the frame before is in its place
            world.may_end.release()
            assert world.beginning.acquire(timeout=PATIENCE)
        world.over = True
        world.wanted.release()
        world.may_end.release()
        consumer.join(PATIENCE)
        assert not consumer.is_alive()
    assert [frame.result for frame in taken] == [2 * frame.number for frame in taken]
    numbers = [frame.number for frame in taken]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    steps = np.diff(world.begun)
    assert ((steps >= 9) & (steps <= 11)).all(), world.begun  # one of ten, whichever of two had come in
    assert max(frame.latency for frame in taken) <= 1.2  # two frames' work at most: this one's, and the rest of another
    assert run.dropped >= 6 * 8


def test_frames_without_a_result_are_passed_over():
    done = threading.Semaphore(0)

    def frames() -> Iterator[Picture]:
        for number in range(4):
            yield picture(number)
            assert done.acquire(timeout=PATIENCE)

    def work(image: Picture) -> int | None:
        number = int(image[0, 0, 0])
        if number % 2 == 0:
            done.release()
            return None
        return number

    seen: list[tuple[int, int]] = []
    with LiveRun(frames(), work) as run:
        for frame in run:
            seen.append((frame.number, frame.result))
            done.release()
    assert seen == [(1, 1), (3, 3)]


@pytest.mark.parametrize("place", ["source", "work"])
def test_errors_of_both_threads_reach_the_caller_and_the_threads_end(place: str):
    def frames() -> Iterator[Picture]:
        yield picture(0)
        if place == "source":
            raise OSError("the camera was pulled out")
        threading.Event().wait(0.05)
        yield picture(1)

    def work(image: Picture) -> int:
        if place == "work":
            raise OSError("the camera was pulled out")
        return 1

    before = threading.active_count()
    with pytest.raises(OSError, match="pulled out"), LiveRun(frames(), work) as run:
        list(run)
    assert threading.active_count() == before


def test_leaving_early_ends_both_threads_and_closes_the_source():
    closed = threading.Event()

    def frames() -> Iterator[Picture]:
        try:
            while True:
                yield picture(0)
        finally:
            closed.set()

    before = threading.active_count()
    with LiveRun(frames(), lambda image: 1) as run:
        assert next(iter(run)).result == 1
    assert threading.active_count() == before
    assert closed.wait(PATIENCE)


def test_closing_before_anything_was_taken_is_no_harm():
    run = LiveRun(iter([picture(0)]), lambda image: 1)
    run.close()
    assert list(run) == []


def test_an_error_of_the_work_lets_go_of_the_camera_without_a_with_block():
    closed = threading.Event()

    def camera() -> Iterator[Picture]:
        try:
            for number in range(1000):
                yield picture(number)
                closed.wait(0.01)
        finally:
            closed.set()

    def work(image: Picture) -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(LiveRun(camera(), work))
    assert closed.wait(PATIENCE)
