"""Motion made by chance: turns of the head, speech, blinks, gaze, brows and moods, smooth in time."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float as NumpyFloat

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import COMPONENTS
from anifacediff.synthetic.performance import Performance

Track = NumpyFloat[np.ndarray, "f"]
Times = NumpyFloat[np.ndarray, "f"]

_VISEMES: tuple[Mapping[str, float], ...] = (
    {},
    {"jaw_open": 2.2, "lower_lip_drop": 0.4},
    {"jaw_open": 1.2, "lip_stretch": 0.9, "smile": 0.3},
    {"jaw_open": 1.2, "lip_pucker": 1.6, "upper_lip_funnel": 0.8, "lower_lip_funnel": 0.8},
    {"jaw_open": 0.6, "lip_pucker": 2.3},
    {"lips_press": 1.4},
    {"jaw_open": 0.5, "lower_lip_roll": 1.3, "upper_lip_raise": 0.4},
    {"jaw_open": 0.9, "upper_lip_raise": 0.5, "tongue": 0.8},
)
_MOODS: tuple[Mapping[str, float], ...] = (
    {},
    {"smile": 1.7, "cheek_raise": 0.9, "squint": 0.5},
    {"smile": 2.2, "cheek_raise": 1.4, "jaw_open": 0.9, "blush": 0.7, "squint": 0.8, "upper_lip_raise": 0.4},
    {"frown": 1.8, "brow_inner_up": 1.6, "chin_raise": 0.9, "wrinkles": 0.4},
    {"brow_down": 1.7, "brow_squeeze": 1.6, "nose_wrinkle": 0.8, "squint": 0.7, "wrinkles": 0.5, "lips_press": 0.7},
    {"brow_inner_up": 1.9, "brow_outer_up": 1.9, "jaw_open": 1.6, "lids_close": -0.5, "wrinkles": 0.7},
    {"cheek_puff": 2.0, "lips_press": 0.6, "blush": 0.5},
    {"blush": 1.0, "brow_inner_up": 0.8, "smile": 0.7},
    {"lip_pucker": 2.0, "brow_inner_up": 0.7},
    {"jaw_open": 2.0, "tongue": 1.8, "smile": 0.8, "squint": 0.6},
)
_SMALL = (
    *("mouth_sideways", "jaw_sideways", "jaw_forward", "throat_drop", "neck_tighten", "dimple", "nostril_flare"),
    *("chin_bunch", "cheek_suck", "upper_lip_roll"),
)
_LENGTH = 60.0  # seconds of events drawn ahead, so that a longer clip begins like a shorter one


def random_motion(seed: int, frames: int, *, fps: float | int = 25, turn: float | int = 50) -> Performance:
    """Draw a performance by chance; it is smooth in time, and the same for the same arguments.

    A clip with more frames continues one with fewer, up to a minute; then events thin out. Few frames per second
    (0.5, say) give frames that have little to do with each other, as training stills should.

    Args:
        seed: of the motion.
        frames: how many.
        fps: frames per second.
        turn: the largest turn of the head to either side, degrees; nodding and tilting go half as far.

    Raises:
        InputError: if ``frames`` or ``fps`` is not positive, ``seed`` is negative, or ``turn`` is not in 0..90.
    """
    if seed < 0 or frames < 1 or not fps > 0 or not 0 <= turn <= 90:
        raise InputError(
            "random_motion: expected seed >= 0, frames >= 1, fps > 0 and turn in [0, 90], "
            f"found seed {seed}, {frames} frames, fps {fps}, turn {turn}."
        )
    chance = np.random.default_rng([seed, 0x0707])
    times = np.arange(frames) / fps
    pose = _pose(chance, times, math.radians(turn))
    expression = _expression(chance, times)
    drift = np.stack([_wander(chance, times, 0.2) for _ in range(3)])
    zoom = chance.uniform(2.65, 3.25) * np.exp(0.1 * drift[0])
    place = np.array([0.5, chance.uniform(0.5, 0.56)]) + drift[1:].T * np.array([0.045, 0.03])
    return Performance(_tensor(expression), _tensor(pose), _tensor(zoom), _tensor(place))


def _tensor(values: NumpyFloat[np.ndarray, "*n"]) -> Float[Tensor, "*n"]:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _wander(chance: np.random.Generator, times: Times, pace: float) -> Track:
    """A smooth curve of mean square one half, at most 1.6, with about ``pace`` swings in a second."""
    rates = pace * np.array([0.43, 0.79, 1.31]) * chance.uniform(0.8, 1.25, 3)
    phases = chance.uniform(0, 2 * math.pi, 3)
    waves = np.sin(2 * math.pi * rates * times[:, None] + phases)
    return waves @ np.array([0.75, 0.55, 0.3])


def _pose(chance: np.random.Generator, times: Times, limit: float) -> NumpyFloat[np.ndarray, "f 5 3"]:
    """Turns of the head, shared between the neck and the whole bust."""
    reach = limit * chance.choice([0.25, 0.6, 1.0])
    rest = chance.uniform(-0.5, 0.5) * reach
    yaw = np.clip(rest + 1.0 * reach * _wander(chance, times, 0.35), -limit, limit)
    pitch = 0.32 * reach * _wander(chance, times, 0.3) + 0.06 * _wander(chance, times, 1.2)
    roll = 0.3 * reach * _wander(chance, times, 0.25)
    angles = np.stack([pitch, yaw, roll], axis=1)
    share = chance.choice([0.0, 0.25, 0.25, 1.0])
    angles *= [1 - 0.6 * share, 1.0, 1 - 0.6 * share]  # a whole bust that nods or tilts would leave the picture
    pose = np.zeros((len(times), 5, 3))
    pose[:, 0], pose[:, 1] = share * angles, (1 - share) * angles
    return pose


def _expression(chance: np.random.Generator, times: Times) -> NumpyFloat[np.ndarray, "f 50"]:
    tracks = _Tracks(len(times))
    _speak(chance, times, tracks)
    _feel(chance, times, tracks)
    for name in _SMALL:
        tracks.add(name, 0.35 * _wander(chance, times, 0.7))
    for name in ("brow_inner_up", "brow_outer_up"):
        tracks.add(name, 1.5 * _events(chance, times, every=2.5, rise=0.18, hold=0.5))
    for name, most in (("smile", 1.0), ("brow_outer_up", 0.5)):
        tracks.add(name, np.full(len(times), chance.uniform(0.2, 1.0) * most))
    tracks.add("brow_down", 0.3 * np.maximum(_wander(chance, times, 0.5), 0))
    _look(chance, times, tracks)
    return tracks.values


class _Tracks:
    """The coefficients of a clip, filled by name; a name without a side means both sides, a little unlike."""

    def __init__(self, frames: int) -> None:
        self.values = np.zeros((frames, len(COMPONENTS)))

    def add(self, name: str, track: Track, tilt: float = 0.0) -> None:
        if name in COMPONENTS:
            self.values[:, COMPONENTS.index(name)] += track
            return
        self.values[:, COMPONENTS.index(f"{name}_left")] += (1 + tilt) * track
        self.values[:, COMPONENTS.index(f"{name}_right")] += (1 - tilt) * track


def _steps(
    chance: np.random.Generator, times: Times, every: float, pick: Callable[[], int]
) -> tuple[NumpyFloat[np.ndarray, "n"], list[int]]:
    """Moments at which something changes, and what to."""
    gaps = every * chance.uniform(0.5, 1.6, int(_LENGTH / (0.5 * every)) + 1)
    moments = np.cumsum(gaps) - every
    chosen = [pick() for _ in moments]
    return moments, chosen


def _blend(times: Times, moments: NumpyFloat[np.ndarray, "n"], width: float) -> NumpyFloat[np.ndarray, "f n"]:
    """How much each of successive states is in force at each time; rows sum to one."""
    start = 1 / (1 + np.exp(np.clip((moments - times[:, None]) / (0.25 * width), -40, 40)))
    start[:, 0] = 1.0
    return start - np.concatenate([start[:, 1:], np.zeros((len(times), 1))], axis=1)


def _speak(chance: np.random.Generator, times: Times, tracks: _Tracks) -> None:
    moments, spoken = _steps(chance, times, 0.2, lambda: int(chance.integers(len(_VISEMES))))
    shares = _blend(times, moments, 0.11)
    talking = np.clip(0.5 + 1.4 * _wander(chance, times, 0.3), 0, 1) * chance.choice([0.4, 0.8, 1.1])
    strength = chance.uniform(0.7, 1.25, len(_VISEMES))
    for index, viseme in enumerate(_VISEMES):
        track = shares[:, [i for i, one in enumerate(spoken) if one == index]].sum(1) * talking * strength[index]
        for name, value in viseme.items():
            tracks.add(name, value * track)


def _feel(chance: np.random.Generator, times: Times, tracks: _Tracks) -> None:
    moments, felt = _steps(chance, times, 2.2, lambda: int(chance.integers(len(_MOODS)) * chance.integers(2)))
    shares = _blend(times, moments, 0.5)
    strengths, tilts = chance.uniform(0.5, 1.15, len(moments)), chance.normal(0, 0.15, len(moments))
    for share, index, strength, tilt in zip(shares.T, felt, strengths, tilts, strict=True):
        for name, value in _MOODS[index].items():
            tracks.add(name, value * strength * share, tilt)


def _events(chance: np.random.Generator, times: Times, *, every: float, rise: float, hold: float) -> Track:
    """Bumps of height one that come now and then."""
    begin = np.cumsum(every * chance.uniform(0.4, 1.6, int(_LENGTH / (0.4 * every)) + 1)) - 0.7 * every
    end = begin + hold * chance.uniform(0.6, 1.5, len(begin))
    up = np.clip((times[:, None] - begin) / rise, 0, 1)
    down = np.clip((end + rise - times[:, None]) / rise, 0, 1)
    bump = np.minimum(up, down)
    return (bump * bump * (3 - 2 * bump)).max(1)


def _look(chance: np.random.Generator, times: Times, tracks: _Tracks) -> None:
    """Gaze jumps; the upper lids follow it, blink, and now and then one eye winks."""
    moments, _ = _steps(chance, times, 1.1, lambda: 0)
    shares = _blend(times, moments, 0.06)
    straight = chance.random(len(moments)) < 0.3
    targets = np.where(straight[:, None], 0.0, chance.uniform(-1, 1, (len(moments), 2)) * [2.0, 1.1])
    sideways, up = (shares @ targets).T
    tracks.add("gaze_sideways", sideways + 0.04 * _wander(chance, times, 2.0))
    tracks.add("gaze_up", up + 0.04 * _wander(chance, times, 2.0))
    blink = 2.0 * _events(chance, times, every=2.8, rise=0.09, hold=0.06)
    drowsy = 0.9 * _events(chance, times, every=6.0, rise=0.5, hold=1.2) * chance.choice([0.0, 1.0])
    wink = 1.9 * _events(chance, times, every=14.0, rise=0.12, hold=0.35)
    rest = np.clip(-0.16 * up, -0.2, 0.35)
    lids = {"left": rest + drowsy, "right": rest + drowsy}
    lids[str(chance.choice(["left", "right"]))] = np.maximum(rest + drowsy, wink)
    for side, lid in lids.items():
        tracks.add(f"lids_close_{side}", np.maximum(lid, blink))
