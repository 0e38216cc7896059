"""Work in a thread, of which only the newest outcome waits."""

import threading
from collections.abc import Callable

import pytest

from anifacediff.live import Closed, NewestOf

PATIENCE = 10  # seconds after which a test that waits has failed


def test_a_fast_producer_is_never_waited_for_and_the_last_item_arrives():
    taken_first, made = threading.Event(), threading.Event()

    def produce(put: Callable[[int], None]) -> None:
        put(0)
        assert taken_first.wait(PATIENCE)
        for number in range(1, 100):
            put(number)
        made.set()

    with NewestOf(produce) as numbers:
        taking = iter(numbers)
        assert next(taking) == 0
        taken_first.set()
        assert made.wait(PATIENCE)
        assert list(taking) == [99]
        assert numbers.dropped == 98


def test_nothing_is_dropped_where_the_taker_keeps_up():
    taken = threading.Semaphore(0)

    def produce(put: Callable[[int], None]) -> None:
        for number in range(20):
            put(number)
            assert taken.acquire(timeout=PATIENCE)

    with NewestOf(produce) as numbers:
        seen: list[int] = []
        for number in numbers:
            seen.append(number)
            taken.release()
    assert seen == list(range(20))
    assert numbers.dropped == 0


def test_an_error_is_raised_where_the_items_are_taken_after_those_before_it():
    def produce(put: Callable[[int], None]) -> None:
        put(1)
        raise ValueError("the camera fell down")

    with NewestOf(produce) as numbers:
        taking = iter(numbers)
        assert next(taking) == 1
        with pytest.raises(ValueError, match="the camera fell down"):
            next(taking)


def test_leaving_ends_the_producer_at_its_next_item():
    left, ended = threading.Event(), threading.Event()

    def produce(put: Callable[[int], None]) -> None:
        put(0)
        assert left.wait(PATIENCE)
        try:
            put(1)
        except Closed:
            ended.set()
            raise

    with NewestOf(produce) as numbers:
        assert next(iter(numbers)) == 0
        numbers.stop()
        left.set()
    assert ended.is_set()
    assert list(numbers) == []


def test_stopping_from_another_thread_ends_the_iteration():
    stopped = threading.Event()
    numbers = NewestOf[int](lambda put: stopped.wait(PATIENCE))
    seen: list[int] = []
    taker = threading.Thread(target=lambda: seen.extend(numbers))
    taker.start()
    numbers.stop()
    taker.join(PATIENCE)
    assert not taker.is_alive()
    stopped.set()
    numbers.close()
    assert seen == []


def test_what_waits_too_long_ends_the_work(monkeypatch: pytest.MonkeyPatch):
    seconds = iter([0.0, 4.0, 5.0, 6.0, 11.5])
    monkeypatch.setattr("anifacediff.live.newest.time.monotonic", lambda: next(seconds))
    first_taken, ended = threading.Event(), threading.Event()

    def produce(put: Callable[[int], None]) -> None:
        put(0)
        assert first_taken.wait(PATIENCE)
        for number in (1, 2, 3):
            put(number)  # at 4, 5, and 6 seconds
        try:
            put(4)  # the one from 4 seconds was not taken
        except Closed:
            ended.set()
            raise

    with NewestOf(produce, patience=7.0) as numbers:
        taking = iter(numbers)
        assert next(taking) == 0
        first_taken.set()
        assert ended.wait(PATIENCE)
        assert list(taking) == [3]
