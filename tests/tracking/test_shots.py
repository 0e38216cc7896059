from collections.abc import Iterable

import numpy as np
import pytest
import torch
from linear_head import LinearHead

from anifacediff.errors import InputError
from anifacediff.geometry.faces import WeakPerspective
from anifacediff.tracking import DetectedFace, smooth_signal, track_clip, track_faces
from anifacediff.tracking.gaps import Missing
from anifacediff.tracking.shots import shot_spans
from anifacediff.tracking.tracked import TrackedClip

HEAD = LinearHead()
DARK, LIGHT = np.full((200, 300, 3), 30, np.uint8), np.full((200, 300, 3), 220, np.uint8)


def face_at(x: float, y: float, scale: float = 20.0) -> DetectedFace:
    pose = torch.zeros(1, 5, 3)
    points = HEAD.landmarks(HEAD(torch.zeros(1, 8), torch.zeros(1, 6), pose), pose)
    camera = WeakPerspective(torch.tensor([scale]), torch.tensor([[x, y]]))
    return DetectedFace.at(camera.project(points)[0, :, :2].numpy())


class Script:
    """Answers with the next line of a script."""

    def __init__(self, lines: Iterable[tuple[DetectedFace, ...]]):
        self._lines = iter(lines)

    def __call__(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        return next(self._lines)


def middles(clip: TrackedClip) -> list[float]:
    return clip.boxes().center[:, 0].tolist()


def test_smoothing_does_not_cross_a_cut():
    left = [100.0 + (n % 2) for n in range(6)]
    right = [240.0 + (n % 2) for n in range(6)]
    faces = [face_at(x, 100.0) for x in (*left, *right)]
    smoothed = track_faces(faces, model=HEAD, smoothing=2.0, cuts=[6])
    expected = [*smooth_signal(torch.tensor(left), 2.0), *smooth_signal(torch.tensor(right), 2.0)]
    np.testing.assert_allclose(middles(smoothed), expected, atol=0.2)
    across = track_faces(faces, model=HEAD, smoothing=2.0)
    assert abs(np.array(middles(across)) - expected).max() > 3


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("interpolate", [100, 110, 120, 120, 220, 220, 230]), ("hold", [100, 100, 120, 120, 220, 220, 230])],
)
def test_gaps_are_filled_from_their_own_shot(missing: Missing, expected: list[float]):
    faces = [face_at(100.0, 90.0), None, face_at(120.0, 90.0), None, None, face_at(220.0, 90.0), face_at(230.0, 90.0)]
    clip = track_faces(faces, model=HEAD, missing=missing, smoothing=0.0, cuts=[4])
    np.testing.assert_allclose(middles(clip), expected, atol=1)
    assert clip.report.missing == (1, 3, 4)


def test_every_shot_is_measured_against_its_first_frame():
    scales = [20.0, 22.0, 24.0, 40.0, 48.0, 50.0]
    faces = [face_at(150.0, 100.0, scale) for scale in scales]
    clip = track_faces(faces, model=HEAD, smoothing=0.0, cuts=[3])
    sizes = clip.parameters.box.size
    relative = torch.tensor([1, 1.1, 1.2, 1, 1.2, 1.25])
    torch.testing.assert_close(sizes / sizes[0], relative, rtol=0.01, atol=0)
    assert [clip.crop_at(n) == clip.crop for n in range(6)] == [True] * 3 + [False] * 3
    assert clip.crop_at(5) == clip.later_shots[0].crop
    torch.testing.assert_close(clip.boxes().size / clip.boxes().size[0], torch.tensor(scales) / 20, rtol=0.01, atol=0)


def test_cuts_are_found_and_the_face_is_followed_to_wherever_it_is():
    near, far, other = face_at(60.0, 100.0), face_at(250.0, 100.0), face_at(120.0, 40.0, 12.0)
    script = Script([*[(near,)] * 3, *[(other, far)] * 3, *[(near,)] * 2])
    frames = [DARK] * 3 + [LIGHT] * 3 + [DARK] * 2
    clip = track_clip(frames, tracker=script, model=HEAD, smoothing=0.0)
    assert [shot.first for shot in clip.later_shots] == [3, 6]
    assert clip.report.missing == ()
    np.testing.assert_allclose(middles(clip), [60, 60, 60, 120, 120, 120, 60, 60], atol=1)  # the nearest of two
    script = Script([*[(near,)] * 3, *[(far,)] * 3])
    blind = track_clip([DARK] * 3 + [LIGHT] * 3, tracker=script, model=HEAD, smoothing=0.0, find_cuts=False)
    assert blind.later_shots == ()
    assert blind.report.missing[0] == 3


@pytest.mark.parametrize(
    ("seen", "cuts", "expected"),
    [
        ("xxxx", [], [(0, 4)]),
        ("xxxx", [1, 3], [(0, 1), (1, 3), (3, 4)]),
        ("xx..xx", [2, 4], [(0, 4), (4, 6)]),  # without a face: counted to the shot before
        ("..xx", [2], [(0, 4)]),  # or to the one after
        ("xx..", [2], [(0, 4)]),
        (".x.x", [2], [(0, 2), (2, 4)]),
    ],
)
def test_shots_without_a_face_join_another(seen: str, cuts: list[int], expected: list[tuple[int, int]]):
    spans = shot_spans([each == "x" for each in seen], cuts)
    assert [(span.start, span.stop) for span in spans] == expected


@pytest.mark.parametrize("cuts", [[0], [3], [2, 1], [1, 1], [-1]])
def test_impossible_cuts_are_refused(cuts: list[int]):
    with pytest.raises(InputError, match="cuts: expected ascending numbers of frames between 1 and 2"):
        track_faces([face_at(100.0, 100.0)] * 3, model=HEAD, cuts=cuts)
