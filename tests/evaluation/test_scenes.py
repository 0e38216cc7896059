from dataclasses import replace

import pytest
import torch
from suites import SUITE, drawn_scenes, scenes_of

from anifacediff.errors import InputError
from anifacediff.evaluation.scenes import Suite, find_suite
from anifacediff.geometry import WeakPerspective
from anifacediff.synthetic import AvatarArtist, random_avatar


def test_every_identity_has_its_own_clip_and_clips_under_drivers_that_nobody_else_has():
    assert [(scene.task, scene.identity) for scene in drawn_scenes()] == [
        ("same", 30_000),
        ("cross", 30_000),
        ("same", 30_001),
        ("cross", 30_001),
    ]
    assert len(SUITE) == 4
    first, second = (scene.driving.expression for scene in scenes_of("cross"))
    assert not torch.equal(first, second)
    two = Suite(identities=1, drivers=2, frames=1, size=16)
    motions = [scene.driving.pose for scene in two.scenes()]
    assert len(two) == len(motions) == 3
    assert not torch.equal(motions[1], motions[2])


def test_an_avatar_under_its_own_motion_is_the_driver():
    for scene in scenes_of("same"):
        assert torch.equal(scene.truth, scene.driving_images)
        assert torch.equal(scene.reference, scene.truth[:1])
        assert torch.equal(scene.portrait.parameters.pose, scene.driving.pose[:1])


def test_across_identities_the_truth_is_the_avatar_at_its_own_size_where_the_driver_is():
    artist = AvatarArtist()
    for scene in scenes_of("cross"):
        first, camera = scene.driving.box[:1], scene.driving.camera
        assert isinstance(camera, WeakPerspective)
        larger = float(scene.portrait.parameters.box.size / first.size)
        middle = scene.driving.box.center
        moved = WeakPerspective(camera.scale * larger, middle + (camera.translation - middle) * larger)
        expected = artist.draw(random_avatar(scene.identity), replace(scene.driving, camera=moved))
        assert abs(larger - 1) > 0.005
        assert (scene.truth - expected).abs().max() <= 0.5 / 255 + 1e-2
        assert (scene.truth - expected).abs().mean() < 0.3 / 255
        assert (scene.truth - scene.driving_images).abs().mean() > 0.05


def test_the_same_suite_is_drawn_the_same_and_rounded_to_bytes():
    again = next(SUITE.scenes())
    assert torch.equal(again.truth, drawn_scenes()[0].truth)
    levels = again.truth * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_eyes_are_above_the_mouth_and_both_in_the_picture():
    for scene in drawn_scenes():
        assert (scene.eyes.center[:, 1] < scene.mouth.center[:, 1]).all()
        for box in (scene.eyes, scene.mouth):
            assert ((box.center > 0) & (box.center < SUITE.size)).all()


def test_the_frame_by_which_a_clip_is_aligned_is_not_judged():
    scene = scenes_of("cross")[0]
    judged = scene.animation(1 - scene.truth)
    assert len(judged.output) == SUITE.frames
    assert torch.equal(judged.output, 1 - scene.truth[1:])
    assert torch.equal(judged.needed("truth", "a test"), scene.truth[1:])
    assert torch.equal(judged.needed("driving", "a test"), scene.driving_images[1:])


@pytest.mark.parametrize("sizes", [(0, 1, 2), (1, 0, 2), (1, 1, 0), (1001, 1, 2)])
def test_a_suite_without_scenes_is_refused(sizes: tuple[int, int, int]):
    identities, drivers, frames = sizes
    with pytest.raises(InputError, match=r"suite is empty|at most 1000"):
        Suite(identities=identities, drivers=drivers, frames=frames)


def test_an_unknown_suite_is_refused_with_those_there_are():
    assert find_suite("nano", identities=3, drivers=2, frames=5, size=64) == Suite("nano", 3, 2, 5, size=64)
    with pytest.raises(InputError, match="one of nano, found 'mega'"):
        find_suite("mega", identities=1, drivers=1, frames=2, size=16)
