"""Suites of drawn scenes whose answer is known: an avatar, a motion, and the avatar under that motion."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.errors import InputError
from anifacediff.evaluation.contracts import Animation
from anifacediff.geometry.faces import Box, FaceParameters
from anifacediff.media.pictures import to_images, to_pictures
from anifacediff.shapes import Float, Tensor, UInt8
from anifacediff.synthetic.artist import AvatarArtist
from anifacediff.synthetic.avatar import Avatar
from anifacediff.synthetic.casting import random_avatar
from anifacediff.synthetic.expression import ExpressiveHead
from anifacediff.synthetic.motion import random_motion
from anifacediff.synthetic.regions import eye_region, mouth_region, true_landmarks

Task: TypeAlias = Literal["same", "cross"]
TASKS: tuple[Task, ...] = get_args(Task)

_IDENTITIES, _DRIVERS = 30_000, 31_000  # first seeds; no choice was made, and nothing trained, with these avatars


@dataclass(frozen=True)
class Portrait:
    """A drawn reference, as the pipeline takes it.

    Attributes:
        image: h w 3, RGB.
        parameters: the face in it, one frame.
    """

    image: UInt8[np.ndarray, "h w 3"]
    parameters: FaceParameters


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip to be made, and everything that is known about it; pictures are RGB in [0, 1], rounded to bytes.

    Attributes:
        task: ``"same"`` (an avatar under its own motion) or ``"cross"`` (under someone else's).
        identity: seed of the avatar.
        portrait: the reference: the first frame of the avatar's own motion.
        driving: f frames, the true parameters of the driver.
        driving_images: f 3 h w, the driver.
        truth: f 3 h w, the avatar under the driver's motion, after Facial Alignment of shape and scale.
        eyes: the region of the eyes in the truth, in pixels.
        mouth: the region of the mouth in the truth, in pixels.
    """

    task: Task
    identity: int
    portrait: Portrait
    driving: FaceParameters
    driving_images: Float[Tensor, "f 3 h w"]
    truth: Float[Tensor, "f 3 h w"]
    eyes: Box
    mouth: Box

    @property
    def reference(self) -> Float[Tensor, "1 3 h w"]:
        """The portrait's picture."""
        return to_images(self.portrait.image[None])

    def animation(self, output: Float[Tensor, "f 3 h w"]) -> Animation:
        """What is judged: all but the first frame, by which the clip is aligned and which is the reference itself
        in ``same``.
        """
        return Animation(output[1:], self.reference, self.truth[1:], self.driving_images[1:])


@dataclass(frozen=True)
class Suite:
    """Which scenes are drawn; every clip has a driver of its own, so that identities are independent of each other.

    Attributes:
        name: of the suite.
        identities: avatars that are animated.
        drivers: drivers for each of them in ``cross``; none drives two avatars.
        frames: judged frames of a clip; one more is animated before them.
        fps: frames per second of the motion.
        size: height and width of pictures in pixels; the pipeline's.

    Raises:
        InputError: if there would be no scene, no frame, or more seeds than are kept for the suite.
    """

    name: str = "nano"
    identities: int = 16
    drivers: int = 1
    frames: int = 16
    fps: float | int = 8
    size: int = 128

    def __post_init__(self) -> None:
        if min(self.identities, self.drivers, self.frames, self.size) < 1:
            raise InputError(f"{self}: the suite is empty; it needs at least one identity, driver, frame and pixel.")
        if self.identities > _DRIVERS - _IDENTITIES:
            raise InputError(f"{self}: at most {_DRIVERS - _IDENTITIES} identities; the seeds after are the drivers'.")

    def count(self, task: Task) -> int:
        """How many scenes a task has."""
        return self.identities * (1 if task == "same" else self.drivers)

    def __len__(self) -> int:
        return sum(self.count(task) for task in TASKS)

    def scenes(self) -> Iterator[Scene]:
        """Draw the scenes of one identity after another."""
        stage = _Stage(self)
        for index in range(self.identities):
            identity = _IDENTITIES + index
            own = stage.act(identity)
            portrait = Portrait(to_pictures(own.images[:1])[0], own.motion[:1])
            yield stage.scene("same", own, portrait, own)
            first = _DRIVERS + index * self.drivers
            for driver in range(first, first + self.drivers):
                yield stage.scene("cross", own, portrait, stage.act(driver))


def find_suite(name: str, *, identities: int, drivers: int, frames: int, size: int) -> Suite:
    """Look up a suite by its name; the arguments are its sizes, see :class:`Suite`.

    Raises:
        InputError: if there is none of this name, or it would be empty.
    """
    if name != Suite.name:
        raise InputError(f"suite: expected one of {Suite.name}, found {name!r}.")
    return Suite(identities=identities, drivers=drivers, frames=frames, size=size)


@dataclass(frozen=True, eq=False)
class _Act:
    """Someone's own motion."""

    seed: int
    avatar: Avatar
    motion: FaceParameters
    images: Float[Tensor, "f 3 h w"]


class _Stage:
    """Draws the scenes of a suite."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._artist = AvatarArtist()
        self._align = FacialAlignment(ExpressiveHead(), image_size=suite.size)

    def act(self, seed: int) -> _Act:
        avatar = random_avatar(seed)
        performance = random_motion(seed, self._suite.frames + 1, fps=self._suite.fps)
        motion = self._artist.parameters(avatar, performance, size=self._suite.size)
        return _Act(seed, avatar, motion, self._draw(avatar, motion))

    def scene(self, task: Task, who: _Act, portrait: Portrait, driver: _Act) -> Scene:
        motion = self._align.aligned(self._align.plan(portrait.parameters, driver.motion), driver.motion)
        truth = who.images if driver is who else self._draw(who.avatar, motion)
        marks = true_landmarks(self._artist.head, motion)
        eyes, mouth = eye_region(marks), mouth_region(marks)
        return Scene(task, who.seed, portrait, driver.motion, driver.images, truth, eyes, mouth)

    def _draw(self, avatar: Avatar, motion: FaceParameters) -> Float[Tensor, "f 3 h w"]:
        return to_images(to_pictures(self._artist.draw(avatar, motion)))
