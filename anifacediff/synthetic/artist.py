"""Draws avatars."""

from collections import OrderedDict

import torch
from torch.nn import functional as F

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import FaceParameters, Rasterizer, Similarity, SpanRasterizer
from anifacediff.geometry.chunks import chunks, frames_at_once
from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Avatar
from anifacediff.synthetic.backdrop import backdrop
from anifacediff.synthetic.expression import ExpressiveHead
from anifacediff.synthetic.fabric import paint_beard, paint_cap, paint_cloth, paint_locks
from anifacediff.synthetic.figure import Figure, Posed
from anifacediff.synthetic.light import MANNERS, Surface, lit
from anifacediff.synthetic.outline import outlined
from anifacediff.synthetic.paint import Colors, Mood, paint_eyes, paint_skin
from anifacediff.synthetic.patterns import Values, step
from anifacediff.synthetic.performance import Performance, true_parameters
from anifacediff.synthetic.pieces import Material
from anifacediff.synthetic.shadow import hidden_from_light
from anifacediff.synthetic.skull import over_hairline

_KEPT = 8  # figures of this many avatars stay in memory; an avatar is kept with its figure, so its id stays its own


class AvatarArtist:
    """Draws avatars with the built-in head, the rasteriser and textures made by code.

    The same call gives the same picture in every bit; a clip drawn in pieces differs from the whole by rounding alone.

    Args:
        supersampling: pixels are drawn this many times finer along x and y, then averaged.
        rasterizer: any :class:`~anifacediff.geometry.Rasterizer`; a ``SpanRasterizer`` if None.

    Raises:
        InputError: if ``supersampling`` is not positive.
    """

    def __init__(self, *, supersampling: int = 2, rasterizer: Rasterizer | None = None) -> None:
        if supersampling < 1:
            raise InputError(f"supersampling: expected at least 1, found {supersampling}.")
        self.supersampling = supersampling
        self.head = ExpressiveHead(withheld=())
        self._rasterizer = SpanRasterizer() if rasterizer is None else rasterizer
        self._figures: OrderedDict[int, tuple[Avatar, Figure]] = OrderedDict()

    def parameters(self, avatar: Avatar, performance: Performance, *, size: int = 128) -> FaceParameters:
        """What a perfect tracker would report about an avatar's performance; see :func:`true_parameters`."""
        return true_parameters(self.head, avatar.coefficients(self.head.shape_names), performance, size=size)

    @torch.no_grad()
    def draw(self, avatar: Avatar, motion: FaceParameters) -> Float[Tensor, "f 3 h w"]:
        """Draw an avatar.

        Args:
            avatar: who.
            motion: f frames; expression is the 50-vector. The avatar's own shape is drawn, whatever
                ``motion.shape`` says. The canvas must be square.

        Returns:
            RGB in [0, 1], as large as the canvas.

        Raises:
            ShapeError: if expression or pose have other sizes than the head's.
            InputError: if the canvas is not square.
        """
        height, width = motion.canvas
        if height != width or height < 1:
            raise InputError(f"motion.canvas: expected a square, found {height} x {width}.")
        if len(motion) == 0:
            raise ShapeError("motion: expected at least 1 frame, found none.")
        side = height * self.supersampling
        ground = backdrop(avatar.scene, side)
        at_once = 2 * frames_at_once(side * side, motion.expression.device)
        figure = self._figure(avatar)
        return torch.cat([self._drawn(avatar, figure, motion[part], ground) for part in chunks(len(motion), at_once)])

    def _figure(self, avatar: Avatar) -> Figure:
        kept = self._figures.get(id(avatar))
        if kept is None:
            kept = avatar, Figure.of(avatar, self.head)
            self._figures[id(avatar)] = kept
            if len(self._figures) > _KEPT:
                self._figures.popitem(last=False)
        return kept[1]

    def _posed(self, figure: Figure, shape: Float[Tensor, "f s"], motion: FaceParameters) -> Posed:
        """Pose the frames one by one, since a product of matrices rounds differently for other numbers of rows."""
        frames = chunks(len(motion), 1)
        posed = [figure.posed(self.head, shape[i], motion.expression[i], motion.pose[i]) for i in frames]
        return Posed(torch.cat([one.points for one in posed]), torch.cat([one.normals for one in posed]))

    def _drawn(
        self, avatar: Avatar, figure: Figure, motion: FaceParameters, ground: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "f 3 h w"]:
        frames, fine = len(motion), self.supersampling
        side = motion.canvas[0] * fine
        shape = avatar.coefficients(self.head.shape_names).expand(frames, -1)
        posed = self._posed(figure, shape, motion)
        larger = Similarity(torch.full((frames,), float(fine)), torch.zeros(frames, 2))
        screen = motion.camera.moved(larger).project(posed.points)
        seen = self._rasterizer(
            screen, figure.triangles, height=side, width=side, perspective=motion.camera.perspective
        )
        material = figure.material[seen.triangle]
        marks = _marks(seen, figure)
        surface = seen.interpolate(torch.cat([posed.normals, screen[..., 2:]], dim=2))
        normals = F.normalize(surface[:, :3], dim=1)
        thin = (material == Material.LOCK) | (material == Material.CLOTH)
        normals[thin & (normals[:, 2] < 0)] *= -1  # the far side of what is seen from both sides
        mood = Mood(motion.expression, seen.pixel.div(side * side, rounding_mode="floor"))
        colors, gloss = _painted(avatar, material, marks, mood)
        hidden = hidden_from_light(material, marks, normals, avatar)
        places = torch.stack([seen.pixel % side, seen.pixel.div(side, rounding_mode="floor") % side], dim=1) / side
        warmth = (material == Material.SKIN).to(normals.dtype)
        colors = lit(Surface(colors, normals, gloss, hidden, warmth, places), avatar.scene, avatar.style)
        picture = ground.repeat(frames, 1).index_copy_(0, seen.pixel, colors)
        picture = picture.view(frames, side, side, 3).permute(0, 3, 1, 2)
        line = MANNERS[avatar.style].outline
        if line:
            picture = outlined(picture, seen, surface[:, 3], material, line)
        return F.avg_pool2d(picture.clamp(0, 1), fine)


def _marks(seen: Fragments, figure: Figure) -> Float[Tensor, "p 4"]:
    """Interpolate what does not change from frame to frame."""
    first, second, third = figure.corners.index_select(0, seen.triangle).split(4, dim=1)
    weights = seen.barycentric
    return first * weights[:, :1] + second * weights[:, 1:2] + third * weights[:, 2:]


def _painted(avatar: Avatar, material: Tensor, marks: Float[Tensor, "p 4"], mood: Mood) -> tuple[Colors, Values]:
    """The colour and the gloss of every pixel."""
    colors, gloss = torch.empty(len(marks), 3), torch.zeros(len(marks))
    for kind in Material:
        here = (material == kind).nonzero()[:, 0]
        if len(here) == 0:
            continue
        mine = marks[here]
        match kind:
            case Material.SKIN:
                above = _above_hairline(mine)
                painted = paint_skin(mine, avatar, above, Mood(mood.values, mood.frame[here]))
                shine = 0.35 + 0 * above
            case Material.EYE:
                painted, shine = paint_eyes(mine, avatar), torch.full((len(mine),), 0.0)
            case Material.CAP:
                painted, shine = paint_cap(mine, avatar), torch.full((len(mine),), 0.55)
            case Material.LOCK:
                painted, shine = paint_locks(mine, avatar), 0.35 + 0.5 * step(0.6 - mine[:, 0], 0.3)
            case Material.BEARD:
                painted, shine = paint_beard(mine, avatar), torch.full((len(mine),), 0.2)
            case Material.CLOTH:
                painted, shine = paint_cloth(mine, avatar), torch.full((len(mine),), 0.1)
            case Material.THING:
                painted, shine = mine[:, :3], mine[:, 3]
        colors[here], gloss[here] = painted, shine
    return colors, gloss


def _above_hairline(marks: Float[Tensor, "p 4"]) -> Values:
    """As :func:`over_hairline`; ears have no hair."""
    points = marks[:, :3].double().numpy()
    above = torch.from_numpy(over_hairline(points)).float()
    return torch.where((marks[:, 0].abs() > 7.05) & (marks[:, 1] < 3.2) & (marks[:, 2] > -5), -1.0, above)
