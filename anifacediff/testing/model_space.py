"""Checks of where the face of a morphable model is, and where it looks."""

import torch

from anifacediff.geometry.contracts import LandmarkedModel, MorphableModel
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.testing.checks import Case, NotApplicable, require
from anifacediff.testing.portraits import coefficients, extent, portrait_maps


def triangles_face_outwards(case: Case[MorphableModel]) -> None:
    """Triangles are counter-clockwise seen from outside: the neutral mesh has a positive volume."""
    model = case.made()
    vertices = model(*coefficients(model, 1, scale=0.0))[0].double()
    volume = _volume(vertices, model.triangles)
    require(
        volume > 0,
        f"the signed volume of the neutral mesh is {volume:.3g}, not positive: its triangles are clockwise seen from "
        "outside. Swap two of their columns: triangles[:, [0, 2, 1]].",
    )


def turns_with_the_global_joint(case: Case[MorphableModel]) -> None:
    """The first joint rotates the head, right-handed: about +y what looks at the viewer moves to the image's right."""
    model = case.made()
    shape, expression, pose = coefficients(model, 1, scale=0.0)
    neutral = model(shape, expression, pose)[0]
    turn = pose.clone()
    turn[:, 0, 1] = 0.2
    moved = (model(shape, expression, turn)[0] - neutral)[:, 0]
    depth = neutral[:, 2]
    ahead = float(moved[depth >= depth.quantile(0.9)].mean() - moved[depth <= depth.quantile(0.1)].mean())
    require(
        ahead > 1e-3 * extent(neutral),
        f"pose[:, 0] = (0, 0.2, 0) moved the front against the back by {ahead:.2g} along x, which should be positive; "
        "multiply the vertices by rotation_matrix(pose[:, 0]) of anifacediff.geometry.morphable, transposed for rows.",
    )


def expression_moves_the_front(case: Case[MorphableModel]) -> None:
    """What an expression moves is in front: the neutral face looks along +z, to the viewer."""
    model = case.made()
    if not model.num_expression:
        raise NotApplicable("the model has no expression")
    shape, _, pose = coefficients(model, 1, scale=0.0)
    neutral = model(shape, torch.zeros(1, model.num_expression), pose)[0]
    bent = torch.stack([model(shape, row[None], pose)[0] for row in torch.eye(model.num_expression)])
    share = (bent - neutral).norm(dim=2).sum(0)
    depth = neutral[:, 2] - neutral[:, 2].mean()
    front = float((share * depth).sum() / share.sum())
    require(
        front > -0.05 * float(neutral[:, 2].max() - neutral[:, 2].min()),
        "the expression moves the back of the mesh (z is small there); model space has z towards the viewer. "
        "Turn the model by 180 degrees about y: negate x and z of the template and of every basis.",
    )


def landmarks_lie_on_the_face(case: Case[MorphableModel]) -> None:
    """The 68 landmarks are finite, near the mesh, and in the iBUG order of a face that looks at the viewer."""
    model = case.made()
    if not isinstance(model, LandmarkedModel):
        raise NotApplicable("the model has no landmarks, and cannot be fitted to them")
    shape, expression, pose = coefficients(model, 2, scale=0.0)
    vertices = model(shape, expression, pose)
    found = model.landmarks(vertices, pose)
    require(
        found.shape == (2, 68, 3) and bool(found.isfinite().all()),
        f"landmarks: expected 2 frames of 68 finite points, (2, 68, 3), found {tuple(found.shape)}.",
    )
    low, high = vertices.amin(1, keepdim=True), vertices.amax(1, keepdim=True)
    margin = 0.1 * (high - low)
    require(((found > low - margin) & (found < high + margin)).all(), "landmarks: some lie outside the mesh.")
    left_eye, right_eye, mouth = found[0, 36:42].mean(0), found[0, 42:48].mean(0), found[0, 48:68].mean(0)
    require(
        left_eye[0] < right_eye[0],
        "landmarks: 36-41 should lie at the image's left and 42-47 at its right; they are swapped, or x is mirrored.",
    )
    require(
        min(left_eye[1], right_eye[1]) > mouth[1] > found[0, 8, 1],
        "landmarks: eyes (36-47), mouth (48-67) and chin (8) should follow from top to bottom; y points up.",
    )


def facial_alignment_draws_it(case: Case[MorphableModel]) -> None:
    """Rendered by FacialAlignment it covers pixels, and what is seen of it looks at the viewer."""
    maps = portrait_maps(case.made())
    covered = maps.mask.float().mean((1, 2))
    require(
        bool((covered > 0.05).all()),
        f"drawn to fill the picture, the mesh covers {[f'{part:.1%}' for part in covered.tolist()]} of it; are "
        "triangles missing?",
    )
    assert maps.normal is not None
    towards = float(maps.normal[:, 2].masked_select(maps.mask).mean())
    require(
        towards > 0.5,
        f"the surfaces that are seen look away from the viewer (mean blue of the normal map {towards:.2f}, not above "
        "0.5): turn the triangles around, or the mesh, whose z should point to the viewer.",
    )


def _volume(vertices: Float[Tensor, "v 3"], triangles: Int[Tensor, "t 3"]) -> float:
    """The signed volume between a mesh, open or closed, and its middle."""
    a, b, c = (vertices - vertices.mean(0))[triangles.long()].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)
