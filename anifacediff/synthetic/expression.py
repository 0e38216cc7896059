"""What a drawn avatar can express: fifty named coefficients, and the head that they move.

*Expression is a 50-vector.* 45 of its components are the named expression components of
:class:`~anifacediff.geometry.ParametricHead` (its seven ``wave_`` components, which only complete a basis, are left
out); ``jaw_open`` turns the jaw joint, so that a mouth opens along an arc. Five more are what that basis lacks:
``gaze_sideways`` and ``gaze_up`` turn both eyeballs, and ``tongue``, ``blush`` and ``wrinkles`` change the picture
alone.

*The control mesh carries a stated part of it.* :class:`ExpressiveHead` is a morphable model whose expression is that
50-vector, so the same :class:`~anifacediff.geometry.FaceParameters` tell the expression adapter everything and the
mesh what it may know: the components named in ``withheld`` do not move it. By default gaze and lids are withheld.
Wrinkles (those that ``wrinkles`` adds, and those that raised brows or a smile fold), the blush, teeth and tongue are no
part of any mesh. The artist draws with nothing withheld.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from anifacediff.errors import InputError
from anifacediff.geometry import ParametricHead
from anifacediff.geometry.head import build_head
from anifacediff.geometry.head_sculpt import sculpt
from anifacediff.shapes import Float, Int, Tensor, check_shape

JAW_STEP, GAZE_STEP = 0.105, 0.21
"""Radians for a coefficient of one: 6 and 12 degrees."""


def _both(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side}" for name in names for side in ("left", "right"))


GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "jaw": ("jaw_open", "jaw_forward", "jaw_sideways"),
        "lips": (
            *_both("smile", "frown", "lip_stretch", "dimple", "upper_lip_raise", "lower_lip_drop"),
            *("lip_pucker", "upper_lip_funnel", "lower_lip_funnel", "lips_press", "upper_lip_roll", "lower_lip_roll"),
            *("mouth_sideways", "chin_raise", "chin_bunch"),
        ),
        "brows": (*_both("brow_inner_up", "brow_outer_up", "brow_down"), "brow_squeeze"),
        "cheeks": (*_both("cheek_raise", "cheek_puff", "nose_wrinkle"), "cheek_suck", "nostril_flare"),
        "throat": ("throat_drop", "neck_tighten"),
        "lids": _both("lids_close", "squint"),
        "gaze": ("gaze_sideways", "gaze_up"),
        "surface": ("tongue", "blush", "wrinkles"),
    }
)
"""Components that belong together; ``surface`` changes the picture and no mesh."""

COMPONENTS: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
"""The names of the 50 coefficients, in order."""

DEFAULT_WITHHELD = ("gaze", "lids")
"""What the control mesh does not carry, unless told otherwise."""


def indices(names: Iterable[str]) -> Int[Tensor, "n"]:
    """Where components stand in the 50-vector.

    Args:
        names: components or groups of them.

    Raises:
        InputError: if there is no component or group of a name.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in names if name not in GROUPS and name not in COMPONENTS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is neither an expression component nor a group of them; "
            f"the groups are {', '.join(GROUPS)}, the components {', '.join(COMPONENTS)}."
        )
    chosen = {part for name in names for part in GROUPS.get(name, (name,))}
    return torch.tensor([i for i, name in enumerate(COMPONENTS) if name in chosen], dtype=torch.int64)


class ExpressiveHead(nn.Module):
    """The built-in head, moved by the 50-vector; satisfies :class:`~anifacediff.geometry.PartialModel`.

    Args:
        withheld: components, or groups of them, that do not move the mesh.

    Raises:
        InputError: if there is no component or group of a name in ``withheld``.
    """

    num_expression = len(COMPONENTS)
    expression_names = COMPONENTS

    def __init__(self, *, withheld: Iterable[str] = DEFAULT_WITHHELD) -> None:
        super().__init__()
        self.withheld = (withheld,) if isinstance(withheld, str) else tuple(withheld)
        self.head = ParametricHead()
        self.num_shape = self.head.num_shape
        self.joint_names = self.head.joint_names
        self.shape_names = self.head.shape_names
        carried = torch.ones(len(COMPONENTS))
        carried[indices(self.withheld)] = 0.0
        self.register_buffer("_onto_head", _onto_head(self.head.expression_names) * carried[:, None], persistent=False)
        self.register_buffer("_onto_pose", _onto_pose(self.joint_names) * carried[:, None, None], persistent=False)

        is_lid = torch.tensor([name.startswith("lids_close") for name in self.head.expression_names])
        self.register_buffer("_is_lid", is_lid.float(), persistent=False)
        self.register_buffer("_eye_growth", _eye_growth(), persistent=False)

    _onto_head: Tensor
    _onto_pose: Tensor
    _is_lid: Tensor
    _eye_growth: Tensor

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self.head.triangles

    @property
    def num_vertices(self) -> int:
        """The number of vertices."""
        return self.head.num_vertices

    def forward(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Float[Tensor, "f v 3"]:
        """Compute posed vertices.

        Args:
            shape: f s, identity coefficients in standard deviations.
            expression: f 50, see :data:`COMPONENTS`.
            pose: f j 3, axis-angle of each joint relative to its parent, radians; gaze and jaw of the expression
                are added to it.

        Raises:
            ShapeError: if an argument has another number of coefficients, joints or frames.
        """
        return self.head(shape, *self.resolved(shape, expression, pose))

    def resolved(
        self, shape: Float[Tensor, "f s"], expression: Float[Tensor, "f e"], pose: Float[Tensor, "f j 3"]
    ) -> tuple[Float[Tensor, "f n"], Float[Tensor, "f j 3"]]:
        """Translate into the expression and the pose of :class:`~anifacediff.geometry.ParametricHead`.

        Lids move further on larger eyes, so that they close at a coefficient of two whoever blinks.
        """
        frames = len(shape)
        check_shape("shape", shape, "f s", frames, self.num_shape)
        check_shape("expression", expression, "f e", frames, len(COMPONENTS))
        check_shape("pose", pose, "f j 3", frames, len(self.joint_names), 3)
        coefficients = expression @ self._onto_head
        wider = 1 + shape @ self._eye_growth
        scale = 1 + (wider[:, None] - 1) * self._is_lid
        return coefficients * scale, pose + torch.einsum("fe,ejc->fjc", expression, self._onto_pose)

    def complete(self) -> "ExpressiveHead":
        """The same head with nothing withheld."""
        return ExpressiveHead(withheld=()).to(self._onto_head.device)

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f j 3"]) -> Float[Tensor, "f 68 3"]:
        """Pick the 68 iBUG landmarks, as :meth:`ParametricHead.landmarks` does."""
        return self.head.landmarks(vertices, pose)


def _onto_head(names: tuple[str, ...]) -> Float[Tensor, "e n"]:
    table = torch.zeros(len(COMPONENTS), len(names))
    for row, name in enumerate(COMPONENTS):
        if name in names and name != "jaw_open":
            table[row, names.index(name)] = 1.0
    return table


def _onto_pose(joints: tuple[str, ...]) -> Float[Tensor, "e j 3"]:
    table = torch.zeros(len(COMPONENTS), len(joints), 3)
    table[COMPONENTS.index("jaw_open"), joints.index("jaw"), 0] = JAW_STEP
    for eye in ("left_eye", "right_eye"):
        table[COMPONENTS.index("gaze_sideways"), joints.index(eye), 1] = GAZE_STEP
        table[COMPONENTS.index("gaze_up"), joints.index(eye), 0] = -GAZE_STEP
    return table


def _eye_growth() -> Float[Tensor, "s"]:
    """By which share each identity coefficient widens the opening between the lids."""
    mesh, eye = build_head().mesh, sculpt().grid.eyes[1]
    upper, lower = (int(edge[len(edge) // 2]) for edge in (eye.upper, eye.lower))
    opening = mesh.template[upper, 1] - mesh.template[lower, 1]
    return (mesh.shape_basis[upper, 1] - mesh.shape_basis[lower, 1]) / opening
