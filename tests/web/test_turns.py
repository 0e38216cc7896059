"""One after the other, in the order in which they came."""

import threading

import pytest

from anifacediff.web.turns import Turns

PATIENCE = 20  # seconds after which a test that waits has failed


def test_turns_are_taken_one_at_a_time_in_order():
    turns, order, together = Turns(), list[int](), list[int]()
    inside = threading.Lock()
    waits = [threading.Event() for _ in range(4)]

    def visit(number: int) -> None:
        with turns.turn(lambda before: waits[number].set()):
            together.append(int(not inside.acquire(blocking=False)))
            order.append(number)
            inside.release()

    visits = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    with turns.turn(lambda before: pytest.fail("nobody was before")):
        assert turns.taken
        for each, waiting in zip(visits, waits, strict=True):
            each.start()
            assert waiting.wait(PATIENCE)
        assert order == []
    for each in visits:
        each.join(PATIENCE)
    assert (order, together) == ([0, 1, 2, 3], [0, 0, 0, 0])
    assert not turns.taken


def test_who_waits_is_told_how_many_are_before_and_can_go():
    turns, told = Turns(), list[int]()

    def leave(before: int) -> None:
        told.append(before)
        raise InterruptedError

    with turns.turn(leave):
        for _ in range(2):
            with pytest.raises(InterruptedError), turns.turn(leave):
                pytest.fail("the turn was taken")
        assert turns.taken
    assert told == [1, 1]
    assert not turns.taken
