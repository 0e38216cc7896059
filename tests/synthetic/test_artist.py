from dataclasses import replace
from typing import get_args

import pytest
import torch

from anifacediff.conditioning import FacialAlignment
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import FaceParameters
from anifacediff.synthetic import Avatar, AvatarArtist, ExpressiveHead, Performance, random_avatar, random_motion
from anifacediff.synthetic import avatar as parts
from anifacediff.synthetic.avatar import Accessories, Clothes, Hair, Scene

ARTIST = AvatarArtist()
SIZE = 64


def drawn(avatar: Avatar, performance: Performance, size: int = SIZE) -> torch.Tensor:
    return ARTIST.draw(avatar, ARTIST.parameters(avatar, performance, size=size))


def changed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """h w: where two pictures differ visibly."""
    return (first - second).abs().amax((0, 1)) > 0.02


@pytest.mark.parametrize("seed", range(8))
def test_pictures_have_the_size_asked_for_and_finite_colours(seed: int):
    picture = drawn(random_avatar(seed), random_motion(seed, 3, fps=0.5), size=48)
    assert picture.shape == (3, 3, 48, 48)
    assert picture.isfinite().all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.05


def test_the_same_call_draws_the_same_in_every_bit():
    avatar, performance = random_avatar(3), random_motion(3, 2, fps=1)
    again = AvatarArtist()
    assert torch.equal(
        drawn(avatar, performance), again.draw(random_avatar(3), again.parameters(avatar, performance, size=SIZE))
    )


def test_a_clip_drawn_in_pieces_equals_the_whole():
    avatar, motion = random_avatar(21), ARTIST.parameters(random_avatar(21), random_motion(4, 5, fps=1), size=SIZE)
    whole = ARTIST.draw(avatar, motion)
    pieces = torch.cat([ARTIST.draw(avatar, motion[:2]), ARTIST.draw(avatar, motion[2:])])
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


def test_who_is_drawn_does_not_depend_on_the_shape_in_the_motion():
    avatar = random_avatar(2)
    motion = ARTIST.parameters(avatar, random_motion(2, 1), size=SIZE)
    assert torch.equal(ARTIST.draw(avatar, motion), ARTIST.draw(avatar, replace(motion, shape=motion.shape + 1)))


def test_two_avatars_that_live_one_after_the_other_are_not_confused():
    pictures = [drawn(random_avatar(seed), Performance.still()) for seed in range(12)]
    again = [drawn(random_avatar(seed), Performance.still()) for seed in range(12)]
    assert all(torch.equal(*pair) for pair in zip(pictures, again, strict=True))
    assert all(changed(one, two).any() for one, two in zip(pictures[1:], pictures[:-1], strict=True))


@pytest.mark.parametrize(
    "coefficients",
    [
        {"gaze_sideways": 2.0},
        {"gaze_up": 1.0},
        {"lids_close_left": 2.0, "lids_close_right": 2.0},
        {"blush": 2.0},
        {"wrinkles": 1.5},
    ],
)
def test_what_is_withheld_changes_the_picture_and_leaves_the_control_map(coefficients: dict[str, float]):
    avatar, still = Avatar(), Performance.still()
    moved = still.changed(**coefficients)
    assert changed(drawn(avatar, still), drawn(avatar, moved)).sum() >= 8
    align = FacialAlignment(ExpressiveHead(), image_size=SIZE)
    reference = ARTIST.parameters(avatar, still, size=SIZE)
    before, after = (align(reference, ARTIST.parameters(avatar, one, size=SIZE)).normal for one in (still, moved))
    assert before is not None
    assert after is not None
    assert torch.equal(before, after)


def test_the_tongue_shows_in_an_open_mouth_alone_and_no_map_tells():
    avatar = Avatar()
    shut, wide = Performance.still(), Performance.still().changed(jaw_open=2.5)
    assert not changed(drawn(avatar, shut), drawn(avatar, shut.changed(tongue=1.0))).any()
    assert changed(drawn(avatar, wide), drawn(avatar, wide.changed(tongue=2.0))).any()


def marks(motion: FaceParameters, points: slice) -> torch.Tensor:
    head = ARTIST.head
    vertices = head(motion.shape, motion.expression, motion.pose)
    return motion.camera.project(head.landmarks(vertices, motion.pose))[0, points, :2]


@pytest.mark.parametrize(
    ("part", "points"), [("eyes", slice(36, 48)), ("lips", slice(48, 68)), ("brows", slice(17, 27))]
)
def test_a_part_is_drawn_at_its_landmarks_and_nowhere_else(part: str, points: slice):
    avatar = Avatar(hair=Hair(cut="bald"))
    other = {
        "eyes": replace(avatar, eyes=replace(avatar.eyes, iris=(0.9, 0.1, 0.9))),
        "lips": replace(avatar, lips=replace(avatar.lips, color=(0.1, 0.1, 0.9))),
        "brows": replace(avatar, brows=replace(avatar.brows, color=(0.1, 0.9, 0.1))),
    }[part]
    performance = Performance.still()
    where = changed(drawn(avatar, performance), drawn(other, performance))
    assert where.sum() >= 6
    here = marks(ARTIST.parameters(avatar, performance, size=SIZE), points)
    y, x = where.nonzero().T + 0.5
    low, high = here.amin(0) - 3, here.amax(0) + 3
    assert bool(((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])).all())


def options() -> list[Avatar]:
    """One avatar for every way to look."""
    plain = Avatar()
    cuts = [replace(plain, hair=Hair(cut=cut, seed=4)) for cut in get_args(parts.HairCut)]
    fringes = [replace(plain, hair=Hair(cut="bob", fringe=fringe, seed=4)) for fringe in get_args(parts.Fringe)]
    facial = [replace(plain, hair=Hair(facial=facial)) for facial in get_args(parts.FacialHair)]
    garments = [replace(plain, clothes=Clothes(garment=garment)) for garment in get_args(parts.Garment)]
    patterns = [replace(plain, clothes=Clothes(pattern=pattern)) for pattern in get_args(parts.Pattern)]
    glasses = [replace(plain, accessories=Accessories(glasses=one)) for one in get_args(parts.Glasses)]
    hats = [replace(plain, accessories=Accessories(hat=hat)) for hat in get_args(parts.Hat)]
    backdrops = [replace(plain, scene=Scene(backdrop=backdrop)) for backdrop in get_args(parts.Backdrop)]
    styles = [replace(plain, style=style) for style in get_args(parts.Style)]
    return [*cuts, *fringes, *facial, *garments, *patterns, *glasses, *hats, *backdrops, *styles]


def test_every_option_makes_a_picture_of_its_own():
    pictures = [drawn(avatar, Performance.still()) for avatar in options()]
    groups = [get_args(kind) for kind in (parts.HairCut, parts.Fringe, parts.FacialHair, parts.Garment, parts.Pattern)]
    groups += [get_args(kind) for kind in (parts.Glasses, parts.Hat, parts.Backdrop, parts.Style)]
    first = 0
    for group in groups:
        mine = pictures[first : first + len(group)]
        first += len(group)
        for index, picture in enumerate(mine):
            assert picture.isfinite().all()
            assert all(changed(picture, other).any() for other in mine[:index])
    assert first == len(pictures)


def test_finer_sampling_is_smoother_but_the_same_picture():
    avatar, performance = random_avatar(4), Performance.still()
    rough, fine = AvatarArtist(supersampling=1), AvatarArtist(supersampling=4)
    motion = fine.parameters(avatar, performance, size=SIZE)
    usual, best, worst = ARTIST.draw(avatar, motion), fine.draw(avatar, motion), rough.draw(avatar, motion)
    assert (usual - best).abs().mean() < 0.7 * (worst - best).abs().mean() < 0.05


def test_bad_input_is_refused():
    avatar = Avatar()
    motion = ARTIST.parameters(avatar, Performance.still(), size=SIZE)
    with pytest.raises(InputError, match="square"):
        ARTIST.draw(avatar, replace(motion, canvas=(64, 32)))
    with pytest.raises(ShapeError, match="expression"):
        ARTIST.draw(avatar, replace(motion, expression=torch.zeros(1, 52)))
    with pytest.raises(ShapeError, match="at least 1 frame"):
        ARTIST.draw(avatar, motion[:0])
    with pytest.raises(InputError, match="supersampling"):
        AvatarArtist(supersampling=0)
    with pytest.raises(InputError, match="identity coefficient 'nose'"):
        drawn(Avatar(shape={"nose": 1.0}), Performance.still())
