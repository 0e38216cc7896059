"""Checks of the numbers that a morphable model takes and gives."""

from typing import Any

import torch
from jaxtyping import TypeCheckError
from torch import nn

from anifacediff.errors import ShapeError
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.shapes import Tensor
from anifacediff.testing.checks import Case, raised, require
from anifacediff.testing.portraits import coefficients, extent

ARGUMENTS = ("shape", "expression", "pose")
MEMBERS = ("num_shape", "num_expression", "joint_names", "triangles", "__call__")


def has_the_members_of_a_model(case: Case[MorphableModel]) -> None:
    """It is a MorphableModel, whose first joint is called global."""
    model: Any = case.made()
    missing = [member for member in MEMBERS if not hasattr(model, member)]
    require(not missing, f"{type(model).__name__} lacks {', '.join(missing)}; see anifacediff.geometry.MorphableModel.")
    names = model.joint_names
    require(
        isinstance(names, tuple) and names[:1] == ("global",),
        f'joint_names: expected a tuple that starts with "global", the rotation of the whole head, found {names!r}.',
    )


def sizes_agree(case: Case[MorphableModel]) -> None:
    """Vertices and triangles have the axes of the contract, and fit together."""
    model = case.made()
    vertices, triangles = model(*coefficients(model, 3)), model.triangles
    require(
        vertices.ndim == 3 and vertices.shape[::2] == (3, 3),
        f"3 frames of coefficients gave vertices of shape {tuple(vertices.shape)}; expected (3, v, 3).",
    )
    require(
        triangles.ndim == 2 and triangles.shape[1] == 3 and not triangles.is_floating_point() and len(triangles),
        f"triangles: expected integers of shape (t, 3), found {triangles.dtype} of shape {tuple(triangles.shape)}.",
    )
    lowest, highest = int(triangles.min()), int(triangles.max())
    require(
        lowest >= 0 and highest < vertices.shape[1],
        f"triangles: the indices run from {lowest} to {highest}, but there are {vertices.shape[1]} vertices, counted "
        "from 0; files of MATLAB count from 1.",
    )
    first, second, third = triangles.unbind(1)
    twice = int(((first == second) | (second == third) | (third == first)).sum())
    require(not twice, f"triangles: {twice} of them name a vertex twice; remove them.")


def neutral_face_is_finite(case: Case[MorphableModel]) -> None:
    """Zero coefficients give a mesh of finite vertices that has an extent in all directions."""
    model = case.made()
    vertices = model(*coefficients(model, 1, scale=0.0))[0]
    bad = int((~vertices.isfinite()).any(1).sum())
    require(not bad, f"zero coefficients: {bad} of {len(vertices)} vertices are NaN or infinite; is there a 0 / 0?")
    flat = [axis for axis, size in zip("xyz", (vertices.amax(0) - vertices.amin(0)).tolist(), strict=True) if size <= 0]
    require(not flat, f"zero coefficients: the mesh is flat, it has no extent along {', '.join(flat)}.")


def is_deterministic(case: Case[MorphableModel]) -> None:
    """The same coefficients give the same vertices, also by a model that is built again."""
    model, again = case.made(), case.made()
    given = coefficients(model, 2)
    require(torch.equal(model(*given), model(*given)), "two calls with the same coefficients gave other vertices.")
    require(torch.equal(model(*given), again(*given)), "a model that was built again gave other vertices.")


def frames_do_not_see_each_other(case: Case[MorphableModel]) -> None:
    """Each frame has the vertices that it has alone."""
    model = case.made()
    given = coefficients(model, 3)
    together = model(*given)
    alone = torch.cat([model(*(part[i : i + 1] for part in given)) for i in range(3)])
    worst = float((together - alone).abs().max()) / extent(together)
    require(
        worst < 1e-4,
        f"vertices of a frame change by {worst:.1e} of the mesh's size with the frames beside it; no step of the model "
        "may take a mean or a limit over the first axis.",
    )


def follows_the_precision_asked_for(case: Case[MorphableModel]) -> None:
    """Coefficients of float64 give vertices of float64; a torch module is moved by ``.to(torch.float64)`` first."""
    model = case.made()
    coarse = model(*coefficients(model, 2))
    fine = _moved(model, dtype=torch.float64)(*(part.double() for part in coefficients(model, 2)))
    require(
        fine.dtype == torch.float64,
        f"float64 coefficients gave vertices of {fine.dtype}; keep the arrays as buffers of a torch module, or take "
        "them to the arguments' dtype with .to(shape).",
    )
    worst = float((fine - coarse).abs().max()) / extent(fine)
    require(worst < 1e-4, f"float32 and float64 differ by {worst:.1e} of the mesh's size.")


def follows_the_device_asked_for(case: Case[MorphableModel]) -> None:
    """Vertices are on the coefficients' device; a torch module is moved by ``.to(device)`` first."""
    device = "cuda" if torch.cuda.is_available() else "meta"
    model = case.made()
    given = [part.to(device) for part in coefficients(model, 2)]
    problem = raised(lambda: _on(_moved(model, device=device)(*given), device))
    require(
        problem is None,
        f"on the device {device!r}: {problem}. Register arrays as buffers of a torch module and make new tensors on "
        "the device of the arguments; a step that looks at values must not choose the path of the program.",
    )


def gradients_reach_every_argument(case: Case[MorphableModel]) -> None:
    """Vertices can be differentiated by shape, expression and pose, also at zero."""
    model = case.made()
    for scale in (0.0, 0.3):
        given = [part.requires_grad_() for part in coefficients(model, 2, scale=scale)]
        vertices = model(*given)
        weights = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(2))
        require(vertices.requires_grad, "vertices carry no gradient; is there a .detach(), no_grad() or numpy inside?")
        (vertices * weights).sum().backward()
        for name, part in zip(ARGUMENTS, given, strict=True):
            _require_gradient(name, part, scale)


def wrong_sizes_are_refused_by_name(case: Case[MorphableModel]) -> None:
    """An argument with one number too many raises a ShapeError that names the argument."""
    model = case.made()
    for index, name in enumerate(ARGUMENTS):
        given = list(coefficients(model, 2))
        axis = given[index]
        given[index] = torch.cat([axis, axis[:, :1] if axis.shape[1] else axis.new_zeros(2, 1)], dim=1)
        problem = raised(lambda given=given: model(*given))
        require(
            isinstance(problem, ShapeError | TypeCheckError) and name in str(problem),
            f"{name} with {given[index].shape[1]} columns instead of {axis.shape[1]} raised "
            f"{'nothing' if problem is None else repr(problem)}; begin the call with anifacediff.shapes."
            f'check_shape("{name}", {name}, ...).',
        )


def _moved(model: MorphableModel, *, device: str | None = None, dtype: torch.dtype | None = None) -> MorphableModel:
    return model.to(device=device, dtype=dtype) if isinstance(model, nn.Module) else model


def _on(vertices: Tensor, device: str) -> None:
    require(vertices.device.type == device, f"the vertices are on {vertices.device}")


def _require_gradient(name: str, part: Tensor, scale: float) -> None:
    if not part.numel():
        return
    where = "at zero" if scale == 0 else "at random coefficients"
    require(
        part.grad is not None and bool(part.grad.isfinite().all()),
        f"{name} {where}: its gradient is missing or not finite; a norm has none at zero, see rotation_matrix of "
        "anifacediff.geometry.morphable.",
    )
    require(part.grad is not None and bool(part.grad.any()), f"{name} {where}: its gradient is zero; is it used?")
