"""Checks of rasterisers, against triangles whose pixels are known."""

from dataclasses import dataclass

import torch

from anifacediff.geometry.contracts import Rasterizer
from anifacediff.testing.checks import Case, CheckFunction, require
from anifacediff.testing.triangles import HEIGHT, LARGE, WIDTH, call, centers, differences, draw, inside, small

TOLERANCE = 1e-4  # pixels


@dataclass(frozen=True)
class RasterizerCase(Case[Rasterizer]):
    """A rasteriser to check.

    Attributes:
        name: of the component, in reports.
        build: makes a rasteriser; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def covers_the_known_pixels(case: Case[Rasterizer]) -> None:
    """A pixel is covered if, and only if, its centre lies inside the triangle."""
    seen = draw(case.made(), [LARGE])
    wrong = int((seen.mask[0] != inside(LARGE)).sum())
    require(
        not wrong,
        f"{wrong} of {HEIGHT * WIDTH} pixels differ from those whose centres lie inside the triangle {LARGE}. x points "
        "right, y down, in pixels; check for a flipped axis, or height and width exchanged.",
    )


def centre_of_the_first_pixel_is_at_one_half(case: Case[Rasterizer]) -> None:
    """The top-left pixel is the point (0.5, 0.5): a small triangle around it covers it, one around (0, 0) nothing."""
    rasterizer = case.made()
    around = draw(rasterizer, [small(0.5, 0.5)]).mask[0]
    require(
        around[0, 0] and int(around.sum()) == 1,
        f"a triangle of 0.6 pixels around (0.5, 0.5) should cover the pixel in row 0, column 0 alone, but covers "
        f"{around.nonzero().tolist()}; centres are at +0.5.",
    )
    between = draw(rasterizer, [small(4.0, 4.0)]).mask
    require(
        not between.any(),
        f"a triangle of 0.6 pixels around (4, 4), where four pixels meet, should cover no centre, but covers "
        f"{between.nonzero().tolist()}; centres are at +0.5, not at whole numbers.",
    )


def neighbours_leave_no_gap(case: Case[Rasterizer]) -> None:
    """Two triangles that make a rectangle cover each of its pixels, though their edge runs through centres."""
    quad = torch.tensor([[[2.0, 1.0, 1.0], [8.0, 1.0, 1.0], [8.0, 7.0, 1.0], [2.0, 7.0, 1.0]]])
    seen = case.made()(quad, torch.tensor([[0, 1, 2], [0, 2, 3]]), height=HEIGHT, width=WIDTH)
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    expected[1:7, 2:8] = True
    wrong = (seen.mask[0] != expected).nonzero().tolist()
    require(
        not wrong,
        f"two triangles that share an edge and make the rectangle of rows 1 to 6, columns 2 to 7 are wrong at {wrong}; "
        "a centre on the shared edge belongs to one of them.",
    )


def nearer_triangle_wins(case: Case[Rasterizer]) -> None:
    """Of two triangles the one with the smaller depth is seen, in whatever order they come, also if depth is < 0."""
    rasterizer = case.made()
    for far, near in ((3.0, 2.0), (-2.0, -3.0)):
        for depths in ((far, near), (near, far)):
            layers = [tuple((x, y, depth) for x, y, _ in LARGE) for depth in depths]
            seen = set(draw(rasterizer, layers).triangle.tolist())
            expected = depths.index(near)
            require(
                seen == {expected},
                f"of triangles at the depths {depths} number {expected} is nearer to the viewer and hides the other, "
                f"but {sorted(seen)} are seen; depth grows away from the viewer.",
            )


def weights_reproduce_the_screen(case: Case[Rasterizer]) -> None:
    """Barycentric weights lie in [0, 1], sum to one, and interpolate screen positions to pixel centres."""
    screen = torch.tensor([LARGE])
    seen = draw(case.made(), [LARGE])
    weights = seen.barycentric
    require(
        bool((weights >= -TOLERANCE).all()) and bool(((weights.sum(1) - 1).abs() < TOLERANCE).all()),
        f"barycentric: expected weights in [0, 1] that sum to one, found {float(weights.min()):.4f} to "
        f"{float(weights.max()):.4f} with sums from {float(weights.sum(1).min()):.4f} to "
        f"{float(weights.sum(1).max()):.4f}.",
    )
    worst = float((seen.interpolate(screen[..., :2].to(weights)) - centers(seen)).abs().max())
    require(
        worst < 10 * TOLERANCE,
        f"without perspective the weights are affine on the screen, but interpolated screen positions miss the pixel "
        f"centres by {worst:.3f} pixels. Are the corners in the order of the triangle's indices?",
    )


def perspective_is_corrected(case: Case[Rasterizer]) -> None:
    """With perspective=True the weights are divided by depth, so that points of space are interpolated."""
    rasterizer = case.made()
    flat = draw(rasterizer, [LARGE])
    deep = draw(rasterizer, [LARGE], perspective=True)
    require(torch.equal(flat.pixel, deep.pixel), "perspective=True covers other pixels; they depend on x and y alone.")
    expected = flat.barycentric.double() / torch.tensor([z for *_, z in LARGE], dtype=torch.float64)
    expected = expected / expected.sum(1, keepdim=True)
    worst = float((deep.barycentric - expected).abs().max())
    require(
        worst < 10 * TOLERANCE,
        f"perspective=True: weights differ by up to {worst:.3f} from w / depth, normalised to sum one.",
    )


def gradients_are_those_of_the_weights(case: Case[Rasterizer]) -> None:
    """The gradient of the weights by the vertices is what finite differences say, with and without perspective."""
    rasterizer = case.made()
    screen = torch.tensor([LARGE], dtype=torch.float64)
    for perspective in (False, True):
        moved = screen.clone().requires_grad_()
        seen = call(rasterizer, moved, perspective)
        factors = torch.randn(seen.barycentric.shape, generator=torch.Generator().manual_seed(0))
        require(seen.barycentric.requires_grad, "barycentric carries no gradient to the vertices.")
        (found,) = torch.autograd.grad((seen.barycentric * factors).sum(), moved)
        expected = differences(rasterizer, screen, factors, perspective)
        worst = float((found - expected).abs().max() / expected.abs().max())
        require(
            worst < 0.02,
            f"perspective={perspective}: the gradient of barycentric by the vertices differs from finite differences "
            f"by {worst:.1%}; compute the weights with differentiable operations from screen.",
        )


def frames_are_numbered(case: Case[Rasterizer]) -> None:
    """Several frames give what each gives alone; pixels are numbered through frames, rows, columns, and ascend."""
    rasterizer = case.made()
    shifted = tuple((x + 1, y + 0.4, z) for x, y, z in LARGE)
    triangles = torch.tensor([[0, 1, 2]])
    both = rasterizer(torch.tensor([LARGE, shifted]), triangles, height=HEIGHT, width=WIDTH)
    alone = torch.cat([draw(rasterizer, [corners]).mask for corners in (LARGE, shifted)])
    require((both.frames, both.height, both.width) == (2, HEIGHT, WIDTH), "frames, height or width are wrong.")
    require(
        torch.equal(both.mask, alone),
        "two frames cover other pixels than each alone; pixel is a flat index into (frames, height, width).",
    )
    require(bool((both.pixel.diff() > 0).all()), "pixel: expected ascending numbers without repetition; sort them.")


def nothing_in_sight_is_an_empty_answer(case: Case[Rasterizer]) -> None:
    """A mesh beside the picture covers no pixel, and raises nothing."""
    beside = tuple((x + 100, y, z) for x, y, z in LARGE)
    seen = draw(case.made(), [beside])
    require(
        not seen.pixel.numel() and not seen.mask.any() and seen.barycentric.shape == (0, 3),
        f"a mesh beside the picture covers {seen.pixel.numel()} pixels; expected none, and weights of shape (0, 3).",
    )


CHECKS: tuple[CheckFunction, ...] = (
    covers_the_known_pixels,
    centre_of_the_first_pixel_is_at_one_half,
    neighbours_leave_no_gap,
    nearer_triangle_wins,
    weights_reproduce_the_screen,
    perspective_is_corrected,
    gradients_are_those_of_the_weights,
    frames_are_numbered,
    nothing_in_sight_is_an_empty_answer,
)
