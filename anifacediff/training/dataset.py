"""Drawn training data on disk: avatars by seed, each in a few poses, with control maps and expression."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.plane_sweep import PLANES, PlaneSweep
from anifacediff.conditioning.reference_warp import ReferenceWarp
from anifacediff.errors import ConfigurationError, InputError
from anifacediff.media.pictures import to_pictures
from anifacediff.synthetic.artist import AvatarArtist
from anifacediff.synthetic.casting import random_avatar
from anifacediff.synthetic.expression import COMPONENTS, DEFAULT_WITHHELD, ExpressiveHead
from anifacediff.synthetic.motion import random_motion
from anifacediff.synthetic.regions import eye_region, true_landmarks

_DESCRIPTION = "set.json"
_LOOSE = 0.5
_AROUND_EYES = 0.15  # of the region's width: brows belong to a gaze


@dataclass(frozen=True)
class Casting:
    """Which avatars are in a set, and how they are drawn.

    Attributes:
        first_seed: of the first avatar; the next has the next.
        identities: how many avatars.
        frames: pictures of each, at least two.
        size: height and width in pixels.
        fps: frames per second; at the usual rate, frames have little to do with each other.
        references: how many of the first frames are warped to all frames.
        withheld: components of the expression, or groups of them, that control maps and warps do not show.
        turn: the largest turn of a head to either side, degrees.
        closer: how much larger heads are than usual; not all of them is seen if they are.

    Raises:
        InputError: if there is no avatar, or fewer than two pictures of each.
    """

    first_seed: int
    identities: int
    frames: int = 6
    size: int = 128
    fps: float = _LOOSE
    references: int = 0
    withheld: tuple[str, ...] = DEFAULT_WITHHELD
    turn: float = 50.0
    closer: float = 1.0

    def __post_init__(self) -> None:
        if self.identities < 1 or self.frames < 2 or self.size < 1 or self.first_seed < 0:
            raise InputError(
                f"{self}: the split is empty; it needs an identity at least, and two frames of each: a reference, and "
                "one to be drawn from it."
            )

    @property
    def seeds(self) -> range:
        """The seeds of the avatars."""
        return range(self.first_seed, self.first_seed + self.identities)

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """The fields, as a run notes them down."""
        return {**asdict(self), "withheld": ", ".join(self.withheld)}


@dataclass(frozen=True)
class DrawnSet:
    """Pictures of avatars, mapped from disk; what has not been drawn yet is black.

    Attributes:
        casting: who is in it.
        pictures: n identities, f frames, RGB.
        maps: the control maps, as the pipeline draws them.
        expression: n f e, all of the expression, in standard deviations.
        eyes: n f 4, left, top, right and bottom of the region of the eyes, in pixels.
        warps: n r f, the first r frames as :class:`~anifacediff.conditioning.ReferenceWarp` moves them to each frame.
        shown: n r f, how well they show each spot.
        motions: n r f p 2 3, of :class:`~anifacediff.conditioning.PlaneSweep` from the first r frames to each frame.
        done: n, which identities have been drawn.
    """

    casting: Casting
    pictures: UInt8[np.ndarray, "n f h w 3"]
    maps: UInt8[np.ndarray, "n f h w 3"]
    expression: Float[np.ndarray, "n f e"]
    eyes: Float[np.ndarray, "n f 4"]
    warps: UInt8[np.ndarray, "n r f h w 3"]
    shown: UInt8[np.ndarray, "n r f h w"]
    motions: Float[np.ndarray, "n r f p 2 3"]
    done: Bool[np.ndarray, "n"]

    def complete(self) -> "DrawnSet":
        """Return the set itself, once all of it has been drawn.

        Raises:
            InputError: if identities are missing.
        """
        if not self.done.all():
            missing = len(self.done) - int(self.done.sum())
            raise InputError(
                f"{self.casting}: {missing} identities are not drawn yet; finish `anifacediff train data`."
            )
        return self

    @property
    def digest(self) -> str:
        """A fingerprint of what is drawn."""
        digest = hashlib.sha256(self.expression.tobytes() + self.eyes.tobytes() + self.motions.tobytes())
        every = max(1, len(self.pictures) // 32)
        for pictures in (self.pictures, self.maps, self.warps, self.shown):
            digest.update(pictures[::every, -1:].tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def open(cls, folder: Path) -> "DrawnSet":
        """Map a set that :meth:`create` began, to read and to draw into.

        Raises:
            InputError: if there is none.
        """
        try:
            found = json.loads((folder / _DESCRIPTION).read_text())
            casting = Casting(**found | {"withheld": tuple(found["withheld"])})
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in cls._arrays()}
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder}: holds no drawn set of this version ({error}); make one with `anifacediff train data` in a "
                "folder where there is none."
            ) from error
        return cls(casting, **arrays)

    @classmethod
    def create(cls, folder: Path, casting: Casting) -> "DrawnSet":
        """Begin a set, or go on with the one in ``folder``.

        Raises:
            ConfigurationError: if the folder holds another set.
        """
        if (folder / _DESCRIPTION).is_file():
            found = cls.open(folder)
            if found.casting != casting:
                raise ConfigurationError(f"{folder}: holds {found.casting}, not {casting}; choose another folder.")
            return found
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder.parent))
        try:
            _fill(partial, casting)
            partial.chmod(0o755)
            partial.replace(folder)
        except OSError:
            shutil.rmtree(partial)
            if not (folder / _DESCRIPTION).is_file():  # else another process was faster
                raise
        return cls.open(folder)

    @classmethod
    def _arrays(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.name != "casting"]

    def first(self, identities: int) -> "DrawnSet":
        """Return the set of its first identities, or of all if there are not as many."""
        casting = replace(self.casting, identities=min(identities, self.casting.identities))
        return replace(self, casting=casting, **{name: getattr(self, name)[:identities] for name in self._arrays()})

    def missing(self, share: int = 0, shares: int = 1) -> list[int]:
        """Numbers of the identities still to be drawn by one of several processes.

        Args:
            share: which process, from 0.
            shares: how many there are.
        """
        return [index for index in range(share, self.casting.identities, shares) if not self.done[index]]


def draw_identities(drawn: DrawnSet, missing: Sequence[int]) -> Iterator[int]:
    """Draw identities one after another; each is complete on disk before its number is yielded.

    Args:
        drawn: receives them.
        missing: their numbers.
    """
    casting = drawn.casting
    artist = AvatarArtist()
    head = ExpressiveHead(withheld=casting.withheld)
    align, warp = FacialAlignment(head, image_size=casting.size), ReferenceWarp(head, image_size=casting.size)
    sweep = PlaneSweep(head, image_size=casting.size)
    for index in missing:
        seed = casting.seeds[index]
        avatar = random_avatar(seed)
        performance = random_motion(seed, casting.frames, fps=casting.fps, turn=casting.turn)
        performance = replace(performance, zoom=casting.closer * performance.zoom)
        motion = artist.parameters(avatar, performance, size=casting.size)
        maps = align.render(align.plan(motion[:1], motion[:1]), motion).normal
        assert maps is not None
        pictures = artist.draw(avatar, motion)
        drawn.pictures[index] = to_pictures(pictures)
        drawn.maps[index] = to_pictures(maps)
        drawn.expression[index] = motion.expression.numpy()
        drawn.eyes[index] = eye_region(true_landmarks(artist.head, motion), _AROUND_EYES).corners.numpy()
        for first in range(casting.references):
            warped = warp(pictures[first : first + 1], motion[first : first + 1], motion)
            drawn.warps[index, first] = to_pictures(warped.image)
            drawn.shown[index, first] = to_pictures(warped.shown)[..., 0]
            drawn.motions[index, first] = sweep.motions(motion[first : first + 1], motion).numpy()
        drawn.done[index] = True
        yield index


def _fill(folder: Path, casting: Casting) -> None:
    """Write a set of which nothing is drawn."""
    images = (casting.identities, casting.frames, casting.size, casting.size, 3)
    warps = (casting.identities, casting.references, *images[1:])
    _new(folder / "pictures.npy", np.uint8, images)
    _new(folder / "maps.npy", np.uint8, images)
    _new(folder / "expression.npy", np.float32, (*images[:2], len(COMPONENTS)))
    _new(folder / "eyes.npy", np.float32, (*images[:2], 4))
    _new(folder / "warps.npy", np.uint8, warps)
    _new(folder / "shown.npy", np.uint8, warps[:-1])
    _new(folder / "motions.npy", np.float32, (*warps[:3], PLANES, 2, 3))
    _new(folder / "done.npy", np.bool_, images[:1])
    (folder / _DESCRIPTION).write_text(json.dumps(asdict(casting), indent=2) + "\n")


def _new(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
