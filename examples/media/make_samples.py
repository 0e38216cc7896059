"""Draw the bundled samples: an avatar and a driving clip, both the built-in head with a painted skin.

    python examples/media/make_samples.py [FOLDER]

Nobody's face is in them. The dlib tracker finds the face in every frame.
"""

import math
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from anifacediff.geometry import ParametricHead, SpanRasterizer, WeakPerspective
from anifacediff.geometry.snapshots import Topology, render_maps
from anifacediff.media import VideoWriter, write_image
from anifacediff.shapes import Tensor

SIZE = 256
SUPERSAMPLING = 3
FRAMES = 36
FPS = 24
CENTIMETRES = 100

Points = Float[np.ndarray, "p 3"]
Colors = Float[np.ndarray, "p 3"]
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Character:
    """How someone looks: colours in RGB, and identity coefficients by name."""

    skin: Color
    hair: Color
    brow: Color
    lips: Color
    iris: Color
    background: Color
    shape: dict[str, float] = field(default_factory=dict)


AVATAR = Character(
    skin=(255, 214, 178),
    hair=(62, 120, 176),
    brow=(44, 78, 120),
    lips=(222, 92, 104),
    iris=(64, 150, 96),
    background=(250, 226, 150),
    shape={"cartoon_eyes": 1.2, "cartoon_taper": 0.8, "chin_point": 0.8, "cheek_fullness": 0.8},
)
DRIVER = Character(
    skin=(226, 176, 142),
    hair=(70, 48, 36),
    brow=(58, 40, 30),
    lips=(176, 92, 88),
    iris=(84, 62, 44),
    background=(196, 208, 216),
    shape={"jaw_width": 0.8, "face_length": 0.6, "nose_length": 0.5, "brow_ridge": 0.6},
)


@dataclass(frozen=True)
class Act:
    """One moment of the performance: expression coefficients by name, angles in degrees."""

    expression: dict[str, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    jaw: float = 0.0
    gaze: float = 0.0


def perform(frame: int) -> Act:
    """Turn the head, speak, smile and blink; the end meets the beginning."""
    phase = 2 * math.pi * frame / FRAMES
    talking = 0.5 - 0.5 * math.cos(4 * phase)
    smile = max(0.0, math.sin(phase - 0.6)) * 1.4
    blink = math.exp(-(((frame - 0.62 * FRAMES) / 1.3) ** 2))
    brows = max(0.0, math.sin(2 * phase)) * 0.9
    expression = {
        "smile_left": smile,
        "smile_right": smile,
        "lids_close_left": 0.9 * blink,
        "lids_close_right": 0.9 * blink,
        "brow_inner_up_left": brows,
        "brow_inner_up_right": brows,
        "brow_outer_up_left": brows,
        "brow_outer_up_right": brows,
    }
    return Act(
        expression,
        yaw=18 * math.sin(phase),
        pitch=5 * math.sin(2 * phase),
        roll=4 * math.sin(phase + 1),
        jaw=9 * talking,
        gaze=8 * math.sin(phase),
    )


class Painter:
    """Draws a character with the built-in head."""

    def __init__(self, character: Character) -> None:
        self._look = character
        self._head = ParametricHead()
        self._topology = Topology.of(self._head.triangles)
        self._rasterizer = SpanRasterizer()
        still = torch.zeros(1, len(self._head.joint_names), 3)
        rest = self._head(torch.zeros(1, self._head.num_shape), torch.zeros(1, self._head.num_expression), still)
        self._rest = rest
        self._marks: Float[np.ndarray, "68 3"] = (self._head.landmarks(rest, still)[0] * CENTIMETRES).numpy()
        self._is_eye = _eyeballs(self._head, rest)

    def __call__(self, act: Act) -> UInt8[np.ndarray, "h w 3"]:
        """Draw one moment."""
        side = SIZE * SUPERSAMPLING
        vertices = self._vertices(act)
        camera = WeakPerspective(torch.tensor([side * 3.4]), torch.tensor([[side * 0.5, side * 0.46]]))
        maps = render_maps(
            vertices, self._topology, camera, size=(side, side), rasterizer=self._rasterizer, maps=("shaded",)
        )
        fragments = self._rasterizer(camera.project(vertices), self._head.triangles, height=side, width=side)
        painted = torch.cat([self._rest * CENTIMETRES, self._is_eye[None, :, None].float()], dim=-1)
        seen = fragments.interpolate(painted).numpy().astype(np.float64)
        albedo = torch.from_numpy(self._paint(seen[:, :3], seen[:, 3] > 0.5))
        assert maps.shaded is not None
        light = (maps.shaded[0].permute(1, 2, 0).double() * 1.25 + 0.1).numpy()
        color = fragments.scatter(albedo)[0].permute(1, 2, 0).numpy()
        covered = fragments.mask[0].numpy()[..., None]
        picture = np.where(covered, color * light, self._backdrop(side))
        return _reduced(picture)

    def _vertices(self, act: Act) -> Float[Tensor, "1 v 3"]:
        head = self._head
        shape = _coefficients(head.shape_names, self._look.shape)
        expression = _coefficients(head.expression_names, act.expression)
        pose = torch.zeros(1, len(head.joint_names), 3)
        for joint, turn in {
            "neck": (act.pitch, act.yaw, act.roll),
            "jaw": (act.jaw, 0.0, 0.0),
            "left_eye": (0.0, act.gaze, 0.0),
            "right_eye": (0.0, act.gaze, 0.0),
        }.items():
            pose[0, head.joint_names.index(joint)] = torch.tensor(turn).deg2rad()
        return head(shape, expression, pose)

    def _paint(self, points: Points, eye: Bool[np.ndarray, "p"]) -> Colors:
        """The colour of points on the head at rest, given in centimetres."""
        look, marks = self._look, self._marks
        x, y, z = points.T
        front = z > 4
        colors = np.tile(np.array(look.skin, dtype=np.float64), (len(points), 1))
        for side in (-1, 1):
            cheek = np.exp(-(((x - side * 4.2) / 1.8) ** 2) - ((y + 2.2) / 1.5) ** 2) * front
            colors += cheek[:, None] * (np.array(look.lips) - colors) * 0.25
        _mix(colors, look.hair, _step(y - (2.6 + 0.56 * z + 0.5 * np.cos(1.4 * x)), 0.15) * (np.abs(x) < 7.6))
        for brow in (marks[17:22], marks[22:27]):
            _mix(colors, look.brow, _step(0.36 - _distance(points[:, :2], brow[:, :2] + (0, 0.15)), 0.06) * front)
        _mix(colors, look.lips, _inside(points[:, :2], marks[48:60, :2]) * front)
        in_mouth = _inside(points[:, :2], marks[48:60, :2] * (0.95, 1)) & front & (z < 8.2)
        _mix(colors, (70, 24, 28), in_mouth)
        _mix(colors, look.brow, _lash_line(points, marks) * front * ~eye * 0.85)
        self._paint_eyes(colors, points, eye)
        return colors

    def _paint_eyes(self, colors: Colors, points: Points, eye: Bool[np.ndarray, "p"]) -> None:
        ball = (self._rest[0, self._is_eye] * CENTIMETRES).numpy()
        colors[eye] = (248, 248, 246)
        for side in (-1, 1):
            mine = ball[ball[:, 0] * side > 0]
            center = (mine.max(0) + mine.min(0)) / 2
            radius = float(np.ptp(mine[:, 1])) / 2
            off_axis = np.hypot(points[:, 0] - center[0], points[:, 1] - center[1]) / radius
            here = eye & (points[:, 0] * side > 0) & (points[:, 2] > center[2])
            _mix(colors, self._look.iris, _step(0.52 - off_axis, 0.02) * here)
            _mix(colors, (20, 18, 20), _step(0.25 - off_axis, 0.02) * here)

    def _backdrop(self, side: int) -> Float[np.ndarray, "h w 3"]:
        rows = np.linspace(1.06, 0.88, side)[:, None, None]
        return np.broadcast_to(np.array(self._look.background) * rows, (side, side, 3))


def _eyeballs(head: ParametricHead, rest: Float[Tensor, "1 v 3"]) -> Bool[Tensor, "v"]:
    """Which vertices move when the eyes turn."""
    pose = torch.zeros(1, len(head.joint_names), 3)
    for eye in ("left_eye", "right_eye"):
        pose[0, head.joint_names.index(eye), 0] = 0.3
    turned = head(torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression), pose)
    return (turned - rest)[0].norm(dim=-1) > 1e-6


def _coefficients(names: tuple[str, ...], values: dict[str, float]) -> Float[Tensor, "1 n"]:
    coefficients = torch.zeros(1, len(names))
    for name, value in values.items():
        coefficients[0, names.index(name)] = value
    return coefficients


def _mix(colors: Colors, color: Color, share: Float[np.ndarray, "p"] | Bool[np.ndarray, "p"]) -> None:
    colors += np.asarray(share, dtype=np.float64)[:, None] * (np.array(color) - colors)


def _step(value: Float[np.ndarray, "p"], softness: float) -> Float[np.ndarray, "p"]:
    return np.clip(value / softness * 0.5 + 0.5, 0, 1)


def _distance(points: Float[np.ndarray, "p 2"], line: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "p"]:
    """Distance of points from a line of several pieces."""
    nearest = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        along = np.clip(((points - start) @ (end - start)) / ((end - start) @ (end - start)), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - start - along[:, None] * (end - start), axis=1))
    return nearest


def _inside(points: Float[np.ndarray, "p 2"], corners: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "p"]:
    """Whether points lie in a polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        between = (y0 > points[:, 1]) != (y1 > points[:, 1])
        crossing = x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0 + 1e-12)
        inside ^= between & (points[:, 0] < crossing)
    return inside


def _lash_line(points: Points, marks: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "p"]:
    upper = [marks[36:40, :2], marks[42:46, :2]]
    return np.max([_step(0.14 - _distance(points[:, :2], lid), 0.05) for lid in upper], axis=0)


def _reduced(picture: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    large = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return np.array(large.resize((SIZE, SIZE), Image.Resampling.BOX))


def main(folder: Path) -> None:
    """Draw both samples into a folder."""
    write_image(folder / "avatar.png", Painter(AVATAR)(Act({"smile_left": 0.4, "smile_right": 0.4})))
    draw = Painter(DRIVER)
    with VideoWriter(folder / "driving.mp4", FPS) as writer:
        for frame in range(FRAMES):
            writer.write(draw(perform(frame)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
