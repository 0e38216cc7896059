"""Windows over a clip."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError
from anifacediff.sampling import closed_windows, open_windows
from anifacediff.sampling.windows import check_consecutive


@st.composite
def clips(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 30))
    return draw(st.integers(1, 200)), size, draw(st.integers(0, size - 1))


@settings(max_examples=60, deadline=None)
@given(clips())
def test_open_windows_cover_the_clip_from_its_first_to_its_last_frame(clip: tuple[int, int, int]):
    num_frames, size, overlap = clip
    windows = open_windows(num_frames, size, overlap)
    assert all(len(window) == min(size, num_frames) for window in windows)
    assert windows[0].start == 0
    assert windows[-1].stop == num_frames
    assert {frame for window in windows for frame in window} == set(range(num_frames))
    shared = [before.stop - after.start for before, after in pairwise(windows)]
    assert all(share == overlap for share in shared[:-1])
    assert all(overlap <= share < size for share in shared[-1:])
    check_consecutive(windows)


@settings(max_examples=60, deadline=None)
@given(clips())
def test_closed_windows_visit_every_frame_and_none_twice_in_a_window(clip: tuple[int, int, int]):
    num_frames, size, overlap = clip
    windows = closed_windows(num_frames, size, overlap)
    assert all(len(window) == len(set(window)) == min(size, num_frames) for window in windows)
    assert {frame for window in windows for frame in window} == set(range(num_frames))
    assert all(
        (second - first) % num_frames == 1 % num_frames for window in windows for first, second in pairwise(window)
    )


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [
        (10, [(0, 10)]),
        (24, [(0, 24)]),
        (25, [(0, 24), (1, 25)]),
        (44, [(0, 24), (20, 44)]),
        (45, [(0, 24), (20, 44), (21, 45)]),
    ],
)
def test_the_last_open_window_is_moved_back(num_frames: int, expected: list[tuple[int, int]]):
    assert [(window.start, window.stop) for window in open_windows(num_frames)] == expected


@pytest.mark.parametrize("make", [open_windows, closed_windows])
@pytest.mark.parametrize(
    ("arguments", "named"), [((0,), "num_frames"), ((5, 0), "size"), ((5, 4, 4), "overlap"), ((5, 4, -1), "overlap")]
)
def test_bad_sizes_are_named(make: object, arguments: tuple[int, ...], named: str):
    assert callable(make)
    with pytest.raises(InputError, match=f"^{named}: .*found"):
        make(*arguments)


@pytest.mark.parametrize(
    "windows",
    [
        (),
        (range(1, 5),),
        (range(0, 0),),
        (range(0, 8, 2),),
        (range(0, 4), range(5, 9)),
        (range(0, 4), range(0, 6)),
        (range(0, 6), range(2, 6)),
    ],
)
def test_windows_that_cannot_be_streamed_are_refused(windows: tuple[range, ...]):
    with pytest.raises(InputError, match=r"^windows:"):
        check_consecutive(windows)
