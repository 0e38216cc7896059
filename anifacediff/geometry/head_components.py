"""The identity and expression components of the built-in head: what each is called and which fields it adds.

A component is the displacement, in centimetres, for a coefficient of one (a standard deviation).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anifacediff.geometry.head_fields import (
    Field,
    Number,
    Side,
    Stroke,
    Swell,
    Triple,
    Turn,
    Wave,
    displace,
    smoothstep,
)
from anifacediff.geometry.head_rig import JAW
from anifacediff.geometry.head_sculpt import EYE, Sculpture, lid_height

Floats = NDArray[np.float64]
Part = Literal["all", "ears", "lids", "above_mouth", "below_mouth"]
EXPRESSION_SPREAD = 0.65  # the table shows clear expressions; faces drawn at random should stay plausible
INF = float("inf")
EVERYWHERE = (INF, INF, INF)


@dataclass(frozen=True)
class Component:
    """One column of a basis.

    Attributes:
        name: what it does when its coefficient grows; left and right are the person's.
        fields: added up.
        side: the person's side that moves.
        part: what moves. Except for ``"lids"``, the lids follow the eyeballs.
        mirrored: whether the right side mirrors the left one; otherwise both move the same way along x.
    """

    name: str
    fields: tuple[Field, ...]
    side: Side = "both"
    part: Part = "all"
    mirrored: bool = True


@dataclass(frozen=True)
class Lids:
    """Moves the lids of an eye along the eyeball.

    Attributes:
        edges: n 3: x of the opening, y of its upper and of its lower edge.
        upper: how far the upper lid goes down, as a fraction of the opening.
        lower: how far the lower lid goes up.
        amount: the share of that motion that a coefficient of one makes; the motion is straight, so its end lies on
            the eyeball, not what comes before.
    """

    edges: Floats
    upper: float
    lower: float
    amount: float = 1.0

    def __call__(self, points: Floats) -> Floats:
        x, y, z = points.T
        high, low = (np.interp(x, self.edges[:, 0], edge) for edge in self.edges.T[1:])
        is_upper = y > (high + low) / 2
        beyond = np.where(is_upper, y - high, low - y)
        fade = np.clip(1 - np.maximum(beyond, 0) / np.where(is_upper, 1.5, 1.0), 0, 1) ** 2
        drop = (high - low) * fade * np.where(is_upper, -self.upper, self.lower)
        height = lid_height(x, y)
        on_lid = np.exp(-(((z - EYE[2] - height) / 0.3) ** 2))
        rise = lid_height(x, y + drop, thickness=0.02) - lid_height(x, y, thickness=0.02)
        return self.amount * on_lid[:, None] * np.column_stack([np.zeros_like(x), drop, rise])


def at(x: Number, y: Number, radius: Number, push: Triple) -> Stroke:
    """A push about one point of the face's front."""
    return Stroke(((x, y, radius),), push)


def beside(z: Number, y: Number, radius: Number, push: Triple) -> Stroke:
    """A push about one point of the head's side."""
    return Stroke(((z, y, radius),), push, on="side")


def pair(name: str, *fields: Field, part: Part = "all") -> tuple[Component, Component]:
    """The same component for either side of the person's face."""
    return Component(f"{name}_left", fields, "left", part), Component(f"{name}_right", fields, "right", part)


SHAPES = (
    Component("head_width", (Swell((0, 0, 0), EVERYWHERE, (0.045, 0, 0)),)),
    Component("head_height", (Swell((0, 0, 0), EVERYWHERE, (0, 0.04, 0)),)),
    Component("head_depth", (Swell((0, 0, 0), EVERYWHERE, (0, 0, 0.04)),)),
    Component("cranium_width", (Swell((0, 8, -2), (INF, 6, 12), (0.05, 0, 0)),)),
    Component("cranium_height", (Swell((0, 4, -1), (INF, 9, INF), (0, 0.06, 0)),)),
    Component("occiput", (Swell((0, 2, -10), (8, 6, 7), shift=(0, 0, -0.45)),)),
    Component("forehead_slope", (at(0, 9, 4.5, (0, 0, -0.4)),)),
    Component("forehead_height", (Stroke(((0, 7, 4), (6, 7, 4)), (0, 0.4, 0)),)),
    Component("forehead_width", (beside(3, 6, 3.5, (0.25, 0, 0)),)),
    Component("temple_fullness", (beside(4, 3.2, 2.2, (0.22, 0, 0)),)),
    Component("brow_ridge", (Stroke(((0.8, 3.4, 0.9), (3, 3.8, 0.9), (5, 3.5, 0.8)), (0, 0, 0.2)),)),
    Component("brow_height", (Stroke(((1, 3.7, 1.1), (3, 4.0, 1.1), (5, 3.6, 1.0)), (0, 0.22, 0)),)),
    Component(
        "brow_slant", (Stroke(((1, 3.6, 1.0), (3, 3.9, 1.0), (5, 3.5, 1.0)), ((0, -0.2, 0), (0, 0, 0), (0, 0.2, 0))),)
    ),
    Component("face_length", (Swell((0, 2, 6), (INF, 10, 12), (0, 0.045, 0)),)),
    Component("face_width", (Swell((0, -2, 5), (INF, 5, 7), (0.045, 0, 0)),)),
    Component("face_flatness", (Swell((0, -1, 6), (8, 8, 8), (0, 0, -0.06)),)),
    Component("eye_distance", (Stroke(((3.15, 1.7, 2.0),), (0.16, 0, 0)),)),
    Component("eye_size", (Swell((3.15, 1.7, 7.2), (1.9, 1.7, 2.5), (0.1, 0.1, 0.05)),)),
    Component("eye_height", (at(3.15, 1.7, 2.2, (0, 0.2, 0)),)),
    Component("eye_depth", (Swell((3.15, 1.7, 7.2), (2.2, 1.8, 4.0), shift=(0, 0, 0.14)),)),
    Component("under_eye_fullness", (Stroke(((2.4, -0.2, 0.7), (3.6, -0.4, 0.7)), (0, 0, 0.11)),)),
    Component("cheekbone", (Stroke(((3.5, -0.6, 1.7), (5.2, -0.2, 1.7)), (0.14, 0, 0.14)),)),
    Component("cheekbone_height", (Stroke(((3.5, -0.6, 1.8), (5.5, -0.2, 1.8)), (0, 0.2, 0)),)),
    Component("cheek_fullness", (at(4.2, -3.6, 2.2, (0.12, 0, 0.15)), beside(4, -3.8, 2.4, (0.22, 0, 0)))),
    Component("nose_length", (Stroke(((0, -1, 1.3), (0, -2.4, 1.3)), (0, -0.25, 0)),)),
    Component("nose_width", (Stroke(((1.4, -2.0, 1.0),), (0.16, 0, 0)),)),
    Component(
        "nose_projection",
        (Stroke(((0, 1.5, 0.9), (0, -0.3, 1.1), (0, -1.8, 1.2)), ((0, 0, 0.03), (0, 0, 0.16), (0, 0, 0.3))),),
    ),
    Component("nose_bridge_height", (Stroke(((0, 2.4, 0.8), (0, 0.8, 0.9)), (0, 0, 0.2)),)),
    Component("nose_bridge_width", (Stroke(((0.8, 1.6, 0.8), (0.9, -0.4, 0.8)), (0.12, 0, 0.03)),)),
    Component("nose_hump", (at(0, 0.2, 0.9, (0, 0, 0.18)),)),
    Component("nose_tip_lift", (at(0, -1.8, 1.1, (0, 0.22, 0)),)),
    Component("nose_tip_size", (Swell((0, -1.7, 11.2), (1.1, 1.0, 1.5), (0.14, 0.1, 0.1)),)),
    Component("nostril_height", (at(1.3, -2.1, 0.7, (0, 0.13, 0)),)),
    Component("philtrum_length", (Stroke(((0, -5.2, 1.6), (2.2, -5.2, 1.5)), (0, -0.2, 0)),)),
    Component("mouth_width", (at(2.4, -5.05, 1.4, (0.18, 0, -0.04)),)),
    Component("mouth_protrusion", (at(0, -5.0, 2.1, (0, 0, 0.2)),)),
    Component("upper_lip_fullness", (Stroke(((0, -4.55, 0.5), (1.5, -4.7, 0.45)), (0, 0.1, 0.12)),)),
    Component("lower_lip_fullness", (Stroke(((0, -5.6, 0.55), (1.5, -5.4, 0.45)), (0, -0.1, 0.13)),)),
    Component("lip_fold_depth", (Stroke(((0, -6.7, 0.7), (1.5, -6.5, 0.7)), (0, 0, -0.14)),)),
    Component("chin_length", (Stroke(((0, -9.0, 2.2), (3, -8.6, 2.2)), (0, -0.4, 0)),)),
    Component("chin_projection", (at(0, -8.6, 1.9, (0, 0, 0.3)),)),
    Component("chin_width", (at(1.8, -8.9, 1.7, (0.25, 0, 0)),)),
    Component("chin_point", (at(0, -9.2, 1.1, (0, -0.15, 0.12)), at(2, -8.8, 1.3, (-0.2, 0, 0)))),
    Component("jaw_width", (Swell((0, -7, 2), (INF, 3.5, 8), (0.06, 0, 0)),)),
    Component("jaw_corner", (beside(1.0, -6.3, 2.2, (0.2, -0.2, -0.1)),)),
    Component("jaw_drop", (Stroke(((0, -9.0, 3.0), (5, -7.0, 3.0)), (0, -0.3, 0)),)),
    Component("double_chin", (Swell((0, -10.3, 5.5), (4.5, 1.8, 3.0), shift=(0, -0.35, 0.15)),)),
    Component("neck_width", (Swell((0, -14, -2), (INF, 5, INF), (0.07, 0, 0.05)),)),
    Component("ear_size", (Swell((7.3, -0.3, -1.8), EVERYWHERE, (0.07, 0.09, 0.09)),), part="ears"),
    Component("ear_flare", (Swell((7.0, 0.5, -3.0), (INF, INF, 2.0), shift=(0.25, 0, 0)),), part="ears"),
    Component("nose_sideways", (at(0, -1.5, 1.6, (0.1, 0, 0)),), mirrored=False),
    Component("chin_sideways", (at(0, -8.5, 3.0, (0.14, 0, 0)),), mirrored=False),
    Component(
        "cartoon_eyes", (Swell((3.15, 1.6, 7.2), (2.6, 2.4, 3.0), (0.08, 0.1, 0.05)), at(0, -6, 3.0, (0, 0.12, -0.1)))
    ),
    Component(
        "cartoon_taper",
        (Swell((0, 5, 0), (INF, 9, INF), (0.05, 0.02, 0.03)), Swell((0, -8, 3), (INF, 4, 9), (-0.06, 0, -0.02))),
    ),
    Component("wave_wide_front", (Wave((1, 0.5, 0.5), (0, 0), (0.2, 0, 0)),)),
    Component("wave_wide_height", (Wave((0.5, 2, 0.5), (0.5, 0), (0.15, 0, 0)),)),
    Component("wave_deep_height", (Wave((1, 1.5, 0.5), (1.0, 0), (0, 0, 0.2)),)),
    Component("wave_deep_width", (Wave((2, 0.5, 0.5), (0, 0.5), (0, 0, 0.15)),)),
    Component("wave_tall_width", (Wave((1.5, 0.5, 1), (0, 0), (0, 0.18, 0)),)),
    Component("wave_tall_depth", (Wave((0.5, 1, 2), (0, 0.7), (0, 0.15, 0)),)),
    Component("wave_skull", (Wave((1.5, 1.5, 1.5), (0.8, 0.8), (0.1, 0.08, 0.1), (0, 6, -3), 9.0),)),
    Component("wave_face", (Wave((2, 2, 1), (1.2, 0), (0.08, 0.06, 0.1), (0, -3, 7), 7.0),)),
)

EXPRESSIONS = (
    Component("jaw_open", (Turn(JAW, (0.08, 0, 0)),), part="below_mouth"),
    Component("jaw_forward", (Swell((0, 0, 0), EVERYWHERE, shift=(0, 0.03, 0.25)),), part="below_mouth"),
    Component("jaw_sideways", (Swell((0, 0, 0), EVERYWHERE, shift=(0.3, 0, 0)),), part="below_mouth", mirrored=False),
    *pair("smile", at(2.6, -4.9, 1.2, (0.32, 0.42, -0.2)), at(4.0, -2.6, 1.6, (0.1, 0.18, 0.16))),
    *pair("frown", at(2.5, -5.1, 1.1, (0.05, -0.4, -0.08))),
    *pair("lip_stretch", at(2.6, -5.1, 1.3, (0.38, -0.08, -0.15))),
    *pair("dimple", at(2.9, -4.9, 0.7, (0.1, 0.05, -0.2))),
    *pair(
        "upper_lip_raise", at(1.1, -4.6, 1.1, (0, 0.32, 0.06)), at(2.0, -2.8, 0.9, (0, 0.12, 0.06)), part="above_mouth"
    ),
    *pair("lower_lip_drop", at(1.1, -5.4, 1.1, (0, -0.35, 0.03)), part="below_mouth"),
    Component("lip_pucker", (Swell((0, -5.05, 9.5), (3.2, 1.7, 4), (-0.17, 0.05, 0), (0, 0, 0.3)),)),
    Component(
        "upper_lip_funnel",
        (at(0, -4.7, 1.3, (0, 0.15, 0.25)), Swell((0, -5.05, 9.5), (3.2, 1.7, 4), (-0.08, 0, 0))),
        part="above_mouth",
    ),
    Component(
        "lower_lip_funnel",
        (at(0, -5.4, 1.3, (0, -0.15, 0.25)), Swell((0, -5.05, 9.5), (3.2, 1.7, 4), (-0.08, 0, 0))),
        part="below_mouth",
    ),
    Component(
        "lips_press",
        (
            Stroke(((0, -4.55, 0.45), (1.8, -4.8, 0.4)), (0, -0.08, -0.16)),
            Stroke(((0, -5.55, 0.5), (1.8, -5.3, 0.4)), (0, 0.09, -0.16)),
        ),
    ),
    Component("upper_lip_roll", (Stroke(((0, -4.7, 0.4), (1.6, -4.85, 0.35)), (0, -0.06, -0.2)),), part="above_mouth"),
    Component("lower_lip_roll", (Stroke(((0, -5.4, 0.45), (1.6, -5.25, 0.35)), (0, 0.06, -0.2)),), part="below_mouth"),
    Component("mouth_sideways", (at(0, -5.0, 2.3, (0.3, 0, 0)),), mirrored=False),
    Component("chin_raise", (Stroke(((0, -7.2, 1.4), (1, -7.2, 1.3)), (0, 0.3, 0.08)),), part="below_mouth"),
    *pair("brow_inner_up", at(1.4, 3.9, 1.5, (0, 0.3, 0.03))),
    *pair("brow_outer_up", at(4.2, 4.0, 1.5, (0, 0.3, 0.02))),
    *pair(
        "brow_down",
        Stroke(
            ((1.2, 3.5, 1.0), (3.0, 3.9, 1.0), (4.6, 3.7, 0.9)), ((-0.1, -0.35, 0.08), (0, -0.25, 0.05), (0, -0.12, 0))
        ),
    ),
    Component("brow_squeeze", (at(1.2, 3.5, 0.9, (-0.2, -0.08, 0.1)), at(0, 3.3, 0.5, (0, 0, -0.08)))),
    *pair("cheek_raise", at(3.8, -0.6, 1.5, (0, 0.28, 0.18))),
    *pair("cheek_puff", at(3.9, -4.2, 1.9, (0.15, 0, 0.32)), beside(5.0, -4.2, 2.2, (0.3, 0, 0))),
    Component("cheek_suck", (at(4.0, -4.0, 1.6, (-0.12, 0, -0.22)), beside(5.0, -4.2, 2.0, (-0.22, 0, 0)))),
    *pair("nose_wrinkle", at(1.3, -1.4, 1.1, (0, 0.25, 0.06)), at(0.8, 1.6, 0.8, (0, 0.06, 0.12))),
    Component("nostril_flare", (at(1.4, -2.1, 0.7, (0.14, 0.03, 0)),)),
    Component("chin_bunch", (at(0, -8.2, 1.0, (0, 0.1, 0.2)),), part="below_mouth"),
    Component("throat_drop", (Swell((0, -11.8, 4.5), (3.0, 2.2, 3.0), shift=(0, -0.25, 0.15)),)),
    Component("neck_tighten", (Stroke(((2.6, -11.5, 1.2), (4.0, -14.0, 1.4)), (0.12, 0, 0.2)),)),
    Component("wave_mouth_wide", (Wave((3, 2, 0), (1.0, 0), (0.2, 0, 0), (0, -5, 9), 4.5),)),
    Component("wave_mouth_tall", (Wave((3, 3, 0), (0.5, 0), (0, 0.16, 0), (0, -5, 9), 4.5),)),
    Component("wave_mouth_deep", (Wave((3, 3, 0), (2.0, 0), (0, 0, 0.16), (0, -5, 9), 4.5),)),
    Component("wave_cheek_tall", (Wave((2, 2, 0), (0, 0), (0, 0.18, 0), (3.5, -2, 8), 4.0),)),
    Component("wave_cheek_deep", (Wave((2, 3, 0), (1.0, 0), (0, 0, 0.18), (3.5, -2, 8), 4.0),)),
    Component("wave_brow_tall", (Wave((3, 1, 0), (0, 0), (0, 0.18, 0), (2.5, 4.5, 9), 3.5),)),
    Component("wave_brow_deep", (Wave((3, 2, 0), (1.0, 0), (0, 0, 0.14), (2.5, 4.5, 9), 3.5),)),
)


def shape_components(sculpture: Sculpture) -> tuple[Component, ...]:
    """All identity components."""
    return (*SHAPES, Component("eye_opening", (Lids(lid_edges(sculpture), -0.14, -0.05),), part="lids"))


def expression_components(sculpture: Sculpture) -> tuple[Component, ...]:
    """All expression components; a lid closes at two and widens below zero."""
    edges = lid_edges(sculpture)
    return (
        *EXPRESSIONS,
        *pair("lids_close", Lids(edges, 0.86, 0.14, 0.5), part="lids"),
        *pair("squint", Lids(edges, 0.06, 0.15), part="lids"),
    )


def lid_edges(sculpture: Sculpture) -> Floats:
    """The opening of the eye at image-right, as :class:`Lids` wants it."""
    eye = sculpture.grid.eyes[1]
    upper, lower = sculpture.vertices[eye.upper], sculpture.vertices[eye.lower]
    return np.column_stack([upper[:, :2], lower[:, 1]])


def shape_basis(sculpture: Sculpture, components: tuple[Component, ...]) -> Floats:
    """Evaluate identity components: v 3 s, centimetres. Eyeballs move and grow, but stay round."""
    columns = [follow_eyeballs(evaluate(part, sculpture), part, sculpture, moving=True) for part in components]
    return np.stack(columns, axis=-1)


def expression_basis(sculpture: Sculpture, components: tuple[Component, ...], jaw: Floats) -> Floats:
    """Evaluate expression components: v 3 e, centimetres. Eyeballs stay where they are.

    Args:
        sculpture: the neutral head.
        components: to evaluate.
        jaw: v, how much each vertex belongs to the jaw.
    """
    columns: list[Floats] = []
    for component in components:
        moved = evaluate(component, sculpture) * (1.0 if component.part == "lids" else EXPRESSION_SPREAD)
        if component.part == "below_mouth":
            moved *= jaw[:, None]
        elif component.part == "above_mouth":
            moved *= 1 - jaw[:, None]
        columns.append(follow_eyeballs(moved, component, sculpture, moving=False))
    return np.stack(columns, axis=-1)


def evaluate(component: Component, sculpture: Sculpture) -> Floats:
    """The displacement of every vertex by a component, before the eyeballs are minded."""
    moved = displace(component.fields, sculpture.vertices, component.side, mirrored=component.mirrored)
    if component.part == "ears":
        skin = np.ones(len(moved), dtype=bool)
        skin[np.concatenate(sculpture.ears)] = False
        moved[skin] = 0.0
    return moved


def follow_eyeballs(moved: Floats, component: Component, sculpture: Sculpture, moving: bool) -> Floats:
    """Make the eyeballs rigid, and the skin near them follow them."""
    vertices, free = sculpture.vertices, component.part == "lids"
    for sign, eyeball in zip((-1.0, 1.0), sculpture.eyeballs, strict=True):
        offset = vertices - EYE * np.array([sign, 1.0, 1.0])
        ball = offset[eyeball] - offset[eyeball].mean(0)
        shift, growth = np.zeros(3), 0.0
        if moving and not free:
            shift = moved[eyeball].mean(0)
            growth = float((moved[eyeball] * ball).sum() / (ball**2).sum())
        rigid = shift + growth * (offset - offset[eyeball].mean(0))
        moved[eyeball] = rigid[eyeball]
        if not free:
            near = 1 - smoothstep(1.6, 3.2, np.linalg.norm(offset, axis=1))[:, None]
            moved += near * (rigid - moved)
    return moved
