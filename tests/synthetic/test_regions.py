import torch

from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion
from anifacediff.synthetic.regions import eye_region, mouth_region, true_landmarks


def test_regions_hold_what_they_are_named_after():
    artist = AvatarArtist()
    motion = artist.parameters(random_avatar(1), random_motion(1, 3), size=128)
    marks = true_landmarks(artist.head, motion)
    assert marks.shape == (3, 68, 2)
    torch.testing.assert_close(torch.cat([marks.amin(1), marks.amax(1)], 1), motion.box.corners)
    eyes, mouth = eye_region(marks), mouth_region(marks)
    for region, part in ((eyes, marks[:, 36:48]), (mouth, marks[:, 48:])):
        left, top, right, bottom = region.corners[:, None].unbind(-1)
        x, y = part.unbind(-1)
        assert ((left < x) & (x < right) & (top < y) & (y < bottom)).all()
    assert (eyes.center[:, 1] < mouth.center[:, 1]).all()


def test_what_is_expressed_in_the_eyes_shows_in_their_region():
    artist, avatar = AvatarArtist(), random_avatar(2)
    still = random_motion(2, 1)
    looking = [still.changed(gaze_sideways=value) for value in (-2.0, 2.0)]
    motions = [artist.parameters(avatar, performance, size=128) for performance in looking]
    first, second = (artist.draw(avatar, motion)[0] for motion in motions)
    left, top, right, bottom = eye_region(true_landmarks(artist.head, motions[0])).corners[0].round().long().tolist()
    change = (first - second).abs().sum(0)
    assert change[top:bottom, left:right].sum() > 0.95 * change.sum() > 0
