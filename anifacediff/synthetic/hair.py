"""Hair: a cap on the scalp and locks that grow from it, fall, curl and end in points; lengths in centimetres."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Hair, HairCut
from anifacediff.synthetic.pieces import (
    HEAD,
    Growth,
    Material,
    Piece,
    ellipsoid,
    grid_triangles,
    joined,
    on_bone,
    smooth_normals,
)
from anifacediff.synthetic.skull import Floats, Skull, scalp_field, sculpture

METRES = 0.01
STEPS = 9


@dataclass(frozen=True)
class Cut:
    """What a haircut does, in centimetres.

    Attributes:
        cap: thickness of the cap.
        top, side, back: length of the locks there.
        count: of locks.
        width: of a lock.
        stiff: how much a lock keeps its direction, 0 to 1.
        rise: how much it leaves upwards and outwards.
        curl: radius of its curls.
        bump: height of the cap's bumps.
        fringe: whether the fringe is drawn as asked for; else the hair is combed back.
    """

    cap: float = 0.7
    top: float = 5.0
    side: float = 4.0
    back: float = 5.0
    count: int = 110
    width: float = 1.9
    stiff: float = 0.35
    rise: float = 0.1
    curl: float = 0.0
    bump: float = 0.0
    fringe: bool = True


CUTS: dict[HairCut, Cut] = {
    "bald": Cut(cap=0.0, count=0),
    "buzz": Cut(cap=0.12, count=0),
    "short": Cut(top=4.5, side=3.0, back=3.5),
    "spiky": Cut(top=5.5, side=3.2, back=4.5, width=2.2, stiff=0.85, rise=0.75, count=90),
    "bob": Cut(cap=0.9, top=6.0, side=13.0, back=14.0, width=2.3, stiff=0.2),
    "long": Cut(cap=0.9, top=7.0, side=24.0, back=28.0, width=2.4, stiff=0.2, count=120),
    "wavy": Cut(cap=1.0, top=7.0, side=20.0, back=23.0, width=2.4, stiff=0.25, curl=0.7, count=120),
    "curly": Cut(
        cap=1.7, top=6.0, side=12.0, back=13.0, width=1.7, stiff=0.5, rise=0.35, curl=0.9, bump=0.35, count=150
    ),
    "afro": Cut(
        cap=3.2,
        top=6.0,
        side=5.6,
        back=5.6,
        count=170,
        width=3.0,
        stiff=0.9,
        rise=1.1,
        curl=0.5,
        bump=0.2,
        fringe=False,
    ),
    "swept": Cut(cap=1.0, top=7.0, side=4.0, back=6.0, stiff=0.5, fringe=False),
    "bun": Cut(cap=0.7, top=7.0, side=4.5, back=4.5, stiff=0.3),
    "twintails": Cut(cap=0.8, top=6.0, side=5.0, back=4.0, stiff=0.3),
    "ponytail": Cut(cap=0.8, top=6.0, side=7.0, back=4.0, stiff=0.3),
    "mohawk": Cut(cap=0.12, top=7.5, side=0.0, back=6.0, count=60, width=2.0, stiff=0.95, rise=1.4, fringe=False),
}


def cap(hair: Hair, squeezed: bool) -> Growth | None:
    """The hair that lies on the scalp; its rim sinks into the skin.

    Args:
        hair: to be drawn.
        squeezed: whether a hat presses it down.
    """
    cut = CUTS[hair.cut]
    thick = min(cut.cap, 0.5) if squeezed else cut.cap * (0.6 + 0.4 * hair.volume)
    if thick == 0:
        return None
    field = scalp_field() - hair.line
    inside = np.clip((field + 0.25) / (1.2 + 0.45 * thick), 0, 1)
    points = sculpture().vertices
    bumps = np.sin(2.1 * points + [0, 1, 2]).sum(1) + np.sin(3.7 * points + hair.seed % 7).sum(1)
    lift = thick * np.sqrt(inside * (2 - inside)) + cut.bump * inside * bumps - 0.12
    top = np.clip((points[:, 1] - 4) / 9, 0, 1)
    lift += np.where(inside > 0, 0.35 * hair.volume * top * min(thick, 1.0), 0)
    return shell(lift, Material.CAP)


def shell(lift: Floats, material: Material) -> Growth:
    """A coat over the skin, as thick as said in centimetres at every vertex of the head, where that is positive."""
    triangles = sculpture().triangles
    kept = triangles[(lift[triangles] > 0).any(1)]
    vertices, numbered = np.unique(kept, return_inverse=True)
    marks = np.concatenate([sculpture().vertices[vertices], np.zeros((len(vertices), 1))], axis=1)
    return Growth(
        torch.from_numpy(vertices),
        tensor(lift[vertices] * METRES),
        torch.zeros(len(vertices), 3),
        tensor(marks),
        torch.from_numpy(numbered.reshape(-1, 3)),
        material,
    )


def locks(hair: Hair, skull: Skull, squeezed: bool) -> Piece | None:
    """The locks of a haircut, or None if it has none."""
    cut = CUTS[hair.cut]
    chance = np.random.default_rng([hair.seed, 0x10C5])
    pieces: list[Piece] = []
    if cut.count:
        pieces.append(_grown(cut, hair, skull, chance, squeezed))
    if hair.cut == "bun" and not squeezed:
        pieces.append(_bun(skull, hair))
    if hair.cut == "twintails":
        pieces += [_tail(skull, hair, chance, np.array([side * 0.98, 0.35, -0.35])) for side in (-1.0, 1.0)]
    if hair.cut == "ponytail":
        pieces.append(_tail(skull, hair, chance, np.array([0.25, 0.45, -1.02])))
    return joined(pieces) if pieces else None


def _grown(cut: Cut, hair: Hair, skull: Skull, chance: np.random.Generator, squeezed: bool) -> Piece:
    field, template = scalp_field() - hair.line, sculpture().vertices
    if squeezed:
        allowed = (field > 0.2) & (template[:, 1] < 6.5) & (template[:, 2] < 5)
    elif hair.cut == "mohawk":
        allowed = (field > 0.5) & (np.abs(template[:, 0]) < 1.3) & (template[:, 1] > 6.5)
    else:
        allowed = field > 0.2
    roots = _spread(np.flatnonzero(allowed), template, cut.count, chance)
    start, at = skull.skin[roots], template[roots]
    front = np.clip((at[:, 2] - 1.5) / 4, 0, 1) * np.clip((at[:, 1] - 4) / 3, 0, 1)
    side = np.clip((np.abs(at[:, 0]) - 3.5) / 3, 0, 1) * (1 - front)
    back = np.clip(-at[:, 2] / 4, 0, 1)
    length = (cut.top + (cut.side - cut.top) * side) * (1 - back) + cut.back * back
    length = length * (0.5 + 0.5 * hair.length) * chance.uniform(0.85, 1.15, len(roots))
    heading = _combed(hair, cut, start, front, skull)
    length = np.where(front > 0.35, _fringe_length(hair, cut, start, length, front, skull, chance), length)
    keep = length > 1.0
    paths = _fallen(start[keep], heading[keep], length[keep], cut, skull, chance)
    width = cut.width * chance.uniform(0.75, 1.25, int(keep.sum())) * (0.85 + 0.15 * hair.volume)
    return ribbons(paths, width, skull.outward(paths), chance)


def _spread(allowed: NDArray[np.int64], template: Floats, count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Choose roots evenly over the scalp: keep the best of random ones in cells of equal size."""
    size = 2.3 * np.sqrt(110 / max(count, 1))
    cells = np.floor((template[allowed] + chance.uniform(0, size, 3)) / size).astype(np.int64)
    order = chance.permutation(len(allowed))
    _, first = np.unique(cells[order], axis=0, return_index=True)
    return np.sort(allowed[order[first]])


def _combed(hair: Hair, cut: Cut, start: Floats, front: Floats, skull: Skull) -> Floats:
    """The direction in which each lock leaves the scalp."""
    whorl = skull.center + skull.radii * np.array([0.25 * hair.part, 0.93, -0.35])
    line = skull.center + skull.radii * np.array([0.6 * hair.part, 0.95, 0.35])
    from_line = start - line
    parted = np.stack([np.sign(from_line[:, 0]) * 1.0, 0 * from_line[:, 1], 0.3 + 0 * from_line[:, 2]], axis=1)
    straight = (start - whorl) / skull.radii
    share = front * (0.9 if hair.fringe in ("side", "parted") else 0.1 * (hair.fringe == "wispy"))
    heading = (
        straight / np.linalg.norm(straight, axis=1, keepdims=True) * (1 - share[:, None]) + parted * share[:, None]
    )
    if not cut.fringe or hair.fringe == "none":
        backwards = np.array([0.0, 0.6, -1.0]) + np.stack([0.12 * start[:, 0], 0 * start[:, 1], 0 * start[:, 2]], 1)
        heading += front[:, None] * (1.6 * backwards - heading)
    outward = skull.outward(start)
    heading -= (heading * outward).sum(1, keepdims=True) * outward
    heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-6)
    heading += cut.rise * (outward + np.array([0.0, 0.5, 0.0]))
    return heading / np.linalg.norm(heading, axis=1, keepdims=True)


def _fringe_length(
    hair: Hair, cut: Cut, start: Floats, length: Floats, front: Floats, skull: Skull, chance: np.random.Generator
) -> Floats:
    if not cut.fringe or hair.fringe == "none":
        return np.minimum(length, 6.0)
    brow = skull.center[1] + {"straight": 0.7, "wispy": 0.9, "side": 0.5, "parted": -1.5}[hair.fringe]
    down = (
        np.maximum(start[:, 1] - brow, 0) * {"straight": 1.1, "wispy": 1.0, "side": 1.35, "parted": 1.35}[hair.fringe]
    )
    thinned = chance.random(len(start)) < (0.45 if hair.fringe == "wispy" else 0.0)
    return np.where(thinned, 0.0, down * chance.uniform(0.85, 1.08, len(start)))


def _fallen(
    start: Floats, heading: Floats, length: Floats, cut: Cut, skull: Skull, chance: np.random.Generator
) -> Floats:
    """Follow each lock from its root: n STEPS+1 3."""
    step = (length / STEPS)[:, None]
    phase = chance.uniform(0, 2 * np.pi, (len(start), 1))
    layer = 0.035 + cut.cap * 0.075 + chance.uniform(0, 0.05, len(start))
    path = [start]
    direction = heading
    gravity = np.array([0.0, -1.0, 0.0])
    for index in range(STEPS):
        pull = (1 - cut.stiff) * np.minimum(0.22 * step, 0.75)
        direction = direction + pull * (gravity - direction)
        direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        point = path[-1] + step * direction
        grown = layer * min(1.0, 0.35 + 0.3 * index)
        path.append(skull.pushed_out(point, grown))
    curve = np.stack(path, axis=1)
    if cut.curl:
        along = np.arange(STEPS + 1)[None, :, None] / STEPS
        turns = phase[:, :, None] + 2 * np.pi * along * (length[:, None, None] / 7.5)
        wave = np.concatenate([np.cos(turns), 0 * turns, np.sin(turns)], axis=2)
        curve = curve + cut.curl * np.minimum(2.5 * along, 1) * wave
    return curve


def ribbons(paths: Floats, width: Floats, outward: Floats, chance: np.random.Generator) -> Piece:
    """Ribbons along paths, ridged in the middle and pointed at the end.

    Args:
        paths: n m 3.
        width: n, at the widest.
        outward: n m 3, the side from which a lock is seen.
        chance: gives every lock a number of its own.
    """
    count, nodes = paths.shape[:2]
    along = np.linspace(0, 1, nodes)
    taper = np.minimum(0.2 + 2.6 * along, 1) * np.sqrt(np.clip(1 - along**2.6, 0, 1))
    half = 0.5 * width[:, None, None] * taper[:, None]
    ahead = np.gradient(paths, axis=1)
    across = np.cross(ahead, outward)
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-6)
    ridge = paths + 0.42 * half * outward
    points = np.stack([paths - half * across, ridge, paths + half * across], axis=2)
    normals = np.stack([outward - 0.75 * across, outward, outward + 0.75 * across], axis=2)
    normals /= np.linalg.norm(normals, axis=3, keepdims=True)
    own = chance.random(count)
    shape = (count, nodes, 3)
    marks = np.stack(
        [
            np.broadcast_to(along[:, None], shape),
            np.array([-1.0, 0.0, 1.0]) * 0.5 * np.broadcast_to(width[:, None, None], shape),
            np.broadcast_to(own[:, None, None], shape),
            points[..., 1],
        ],
        axis=3,
    )
    strip = grid_triangles(nodes, 3)
    triangles = (strip[None] + torch.arange(count)[:, None, None] * nodes * 3).view(-1, 3)
    flat = points.reshape(-1, 3)
    return Piece(
        tensor(flat * METRES),
        tensor(normals.reshape(-1, 3)),
        _hung(flat[:, 1]),
        tensor(marks.reshape(-1, 4)),
        triangles,
        Material.LOCK,
    )


def _hung(height: Floats) -> Float[Tensor, "n 3"]:
    """What lies on the shoulders moves with the body."""
    body = 0.8 * np.clip((-9.0 - height) / 8.0, 0, 1)
    return tensor(np.stack([body, 1 - body, 0 * body], axis=1))


def _bun(skull: Skull, hair: Hair) -> Piece:
    center = skull.center + skull.radii * np.array([0.2 * hair.part, 1.12, -0.35])
    size = 3.0 + 0.9 * hair.volume
    points, triangles = ellipsoid(tensor(center), tensor(size * np.array([1.0, 0.85, 1.0])), rings=12, spokes=20)
    offset = (points - tensor(center)) / size
    around = torch.atan2(offset[:, 0], offset[:, 2])
    marks = torch.stack([0.5 * (1 - offset[:, 1]), 2.0 * around, torch.full_like(around, 0.4), points[:, 1]], dim=1)
    return Piece(
        points * METRES, smooth_normals(points, triangles), on_bone(len(points), HEAD), marks, triangles, Material.LOCK
    )


def _tail(skull: Skull, hair: Hair, chance: np.random.Generator, direction: Floats) -> Piece:
    """A bundle of locks tied at a point of the skull."""
    tie = skull.center + skull.radii * direction * 1.04
    count, length = 26, 19.0 * hair.length
    out = direction / np.linalg.norm(direction)
    spread = chance.normal(0, 0.45, (count, 3))
    along = np.linspace(0, 1, STEPS + 1)[None, :, None]
    reach = (2.6 + 1.6 * hair.volume) * (1 - np.exp(-4 * along)) * (out + 0.8 * spread[:, None])
    drop = np.array([0.0, -1.0, 0.0]) * length * np.clip(along - 0.08, 0, 1) ** 1.15
    sway = np.sin(np.pi * along * 1.3) * spread[:, None] * 1.2
    paths = tie + reach + drop + sway + np.array([0.0, 1.2, 0.0]) * np.sin(np.pi * np.minimum(4 * along, 1))
    facing = paths - paths.mean(0, keepdims=True) + 0.6 * out + np.array([0.0, 0.0, 0.9])
    facing /= np.linalg.norm(facing, axis=2, keepdims=True)
    return ribbons(paths, chance.uniform(1.6, 2.6, count), facing, chance)


def tensor(values: Floats) -> Float[Tensor, "*n"]:
    """In the precision that is drawn with."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
