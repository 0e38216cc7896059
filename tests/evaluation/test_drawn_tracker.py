"""The tracker of drawn avatars, with the weights that ship, on avatars that nothing was trained with."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from anifacediff import registry
from anifacediff.errors import InputError
from anifacediff.evaluation import DrawnTracker, ExpressionExtractor, FrameExtractor, IdentityExtractor, PoseExtractor
from anifacediff.evaluation.measures import DrawnFaceReader
from anifacediff.geometry import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion
from anifacediff.synthetic.expression import indices
from anifacediff.synthetic.regions import true_landmarks
from anifacediff.tracking import ParameterTracker

SEEDS, FRAMES = range(26_000, 26_024), 4


@dataclass(frozen=True)
class Drawn:
    """Pictures of some avatars, frame after frame of each, and the truth about them."""

    images: Float[Tensor, "f 3 h w"]
    truth: tuple[FaceParameters, ...]

    def all(self, name: str) -> Tensor:
        return torch.cat([getattr(motion, name) for motion in self.truth])


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    artist = AvatarArtist()
    avatars = [random_avatar(seed) for seed in SEEDS]
    motions = [
        artist.parameters(avatar, random_motion(seed, FRAMES, fps=0.5))
        for avatar, seed in zip(avatars, SEEDS, strict=True)
    ]
    images = [artist.draw(avatar, motion) for avatar, motion in zip(avatars, motions, strict=True)]
    return Drawn(torch.cat(images), tuple(motions))


@pytest.fixture(scope="module")
def tracker() -> DrawnTracker:
    return DrawnTracker()


@pytest.fixture(scope="module")
def found(tracker: DrawnTracker, drawn: Drawn) -> FaceParameters:
    return tracker.parameters(drawn.images)


def gain(found: Tensor, truth: Tensor) -> float:
    """Which share of the mean predictor's squared error is gone."""
    return 1 - float((found - truth).square().sum() / (truth - truth.mean(0)).square().sum())


@pytest.mark.parametrize(("group", "least"), [("gaze", 0.3), ("lids", 0.3), ("jaw", 0.3)])
def test_expression_is_read_better_than_by_the_mean(drawn: Drawn, found: FaceParameters, group: str, least: float):
    which = indices([group])
    assert gain(found.expression[:, which], drawn.all("expression")[:, which]) > least


def test_pose_is_read_better_than_by_the_mean(drawn: Drawn, found: FaceParameters):
    heads, truth = (pose[:, :2].sum(1) for pose in (found.pose, drawn.all("pose")))
    assert gain(heads, truth) > 0.8


def test_frames_of_one_avatar_look_alike_and_others_do_not(tracker: DrawnTracker, drawn: Drawn):
    who = tracker.identity(drawn.images)
    likeness = who @ who.T
    owner = torch.arange(len(who)) // FRAMES
    same = owner[:, None] == owner
    rest = ~torch.eye(len(who), dtype=torch.bool)
    assert likeness[same & rest].mean() > likeness[~same].mean() + 0.4


def test_landmarks_lie_where_they_are(tracker: DrawnTracker, drawn: Drawn):
    truth = torch.cat([true_landmarks(tracker.head, motion) for motion in drawn.truth])
    marks = [tracker(picture)[0].landmarks for picture in to_pictures(drawn.images)]
    off = np.linalg.norm(np.stack(marks) - truth.numpy(), axis=2).mean(1)
    assert np.median(off) < 3.0


def test_a_larger_and_wider_picture_is_read_where_it_is(tracker: DrawnTracker, drawn: Drawn):
    image = drawn.images[:1]
    large = torch.nn.functional.interpolate(image, scale_factor=2, mode="nearest")
    wide = torch.nn.functional.pad(large, (30, 30, 0, 0), mode="replicate")
    small, square, other = (tracker.parameters(picture) for picture in (image, large, wide))
    assert other.canvas == (256, 316)
    torch.testing.assert_close(other.expression, square.expression, atol=1e-3, rtol=0)
    moved = square.box.corners + torch.tensor([30.0, 0, 30, 0])
    torch.testing.assert_close(other.box.corners, moved, atol=0.1, rtol=0)
    torch.testing.assert_close(square.box.corners, 2 * small.box.corners, atol=6.0, rtol=0)  # scaling blurs a little


def test_the_box_holds_the_landmarks(tracker: DrawnTracker, found: FaceParameters):
    marks = true_landmarks(tracker.head, found)
    torch.testing.assert_close(found.box.corners, torch.cat([marks.amin(1), marks.amax(1)], dim=1))


def test_extractors_say_what_the_parameters_say(tracker: DrawnTracker, drawn: Drawn, found: FaceParameters):
    torch.testing.assert_close(tracker.expression(drawn.images), found.expression, atol=1e-5, rtol=1e-5)
    turned = tracker.pose(drawn.images)
    only_neck = found.pose[:, 0].norm(dim=1) < 0.05
    torch.testing.assert_close(turned[only_neck], found.pose[only_neck][:, :2].sum(1), atol=0.05, rtol=0)


def test_protocols_are_satisfied(tracker: DrawnTracker):
    assert isinstance(tracker, ParameterTracker)
    assert isinstance(tracker, DrawnFaceReader)
    for kind in (IdentityExtractor, PoseExtractor, ExpressionExtractor):
        assert isinstance(kind(tracker.reader), FrameExtractor)


def test_pictures_with_nan_are_refused(tracker: DrawnTracker):
    with pytest.raises(InputError, match="NaN"):
        tracker.parameters(torch.full((1, 3, 64, 64), torch.nan))


def test_it_is_registered_but_no_default():
    assert registry.trackers["drawn"] is DrawnTracker
    assert "drawn" not in registry.trackers.defaults()
