from itertools import pairwise

import numpy as np
import pytest
import torch

from anifacediff.errors import ShapeError
from anifacediff.media import SceneCuts
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion

FRAMES = 10


def found(frames: list[np.ndarray]) -> list[int]:
    begins_shot = SceneCuts()
    return [number for number, frame in enumerate(frames) if begins_shot(frame)]


@pytest.fixture(scope="module")
def shots() -> list[list[np.ndarray]]:
    """Six avatars that move, at no more than 8 frames a second so that they move fast."""
    artist = AvatarArtist(supersampling=1)

    def shot(seed: int) -> list[np.ndarray]:
        motion = random_motion(seed, FRAMES, fps=8)
        avatar = random_avatar(seed)
        drawn = artist.draw(avatar, artist.parameters(avatar, motion, size=64))
        return list((drawn * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())

    return [shot(seed) for seed in range(6)]


def test_cuts_between_avatars_are_found_and_none_within_a_shot(shots: list[list[np.ndarray]]):
    whole = [frame for shot in shots for frame in shot]
    assert found(whole) == list(range(FRAMES, len(whole), FRAMES))
    for shot in shots:
        assert found(shot) == []


def test_a_nearer_view_of_the_same_avatar_is_a_cut(shots: list[list[np.ndarray]]):
    for shot in shots:
        nearer = [np.repeat(np.repeat(frame[:32, 16:48], 2, 0), 2, 1) for frame in shot]
        assert found([*shot, *nearer]) == [FRAMES]


def test_movement_that_is_usual_is_no_cut_and_less_than_15_levels_neither():
    def grey(level: float) -> np.ndarray:
        return np.full((40, 60, 3), round(level), np.uint8)

    assert found([grey(20 * n % 200) for n in range(9)]) == [1]  # the first step has nothing to compare with
    assert found([grey(level) for level in (0, 14, 28, 42)]) == []
    assert found([grey(level) for level in (100, 104, 108, 124, 128)]) == [3]
    assert found([grey(level) for level in (100, 106, 112, 129)]) == []  # 17 after 6
    assert found([grey(level) for level in (100, 100, 250, 100, 100)]) == [2]  # a flash


def test_the_whole_picture_counts_not_its_size():
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    for one, other in pairwise([picture, picture[:, :100], picture[:50]]):
        assert found([one, other]) == found([other, one])


def test_what_is_no_picture_is_refused(monkeypatch: pytest.MonkeyPatch):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ShapeError, match="frame: expected uint8"):
        SceneCuts()(np.zeros((4, 4), np.uint8))
