"""Fit a morphable model to the 68 landmarks of an image or a clip.

The unknowns of a frame are expression, jaw, rotation and a weak-perspective camera; the identity is
shared by the clip. They are found by Gauss-Newton steps: the residual is always that of the model
itself, while the columns of its Jacobian that belong to coefficients come from a small table, measured
once for each range of head yaw.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.contracts import LandmarkedModel, PartialModel
from anifacediff.geometry.faces import Box, FaceParameters, PerFrame, WeakPerspective
from anifacediff.geometry.morphable import cross_matrix, rotation_matrix
from anifacediff.shapes import Float, Tensor, check_finite, check_shape
from anifacediff.tracking.contracts import NUM_LANDMARKS
from anifacediff.tracking.rotations import axis_angle, nearest_rotation

_CONTOUR = slice(0, 17)  # on the silhouette of the jaw, where a point of the skin is hard to name
_CONTOUR_WEIGHT = 0.3
_OPENINGS = (slice(36, 48), slice(60, 68))  # eyelids and inner lips: small in the picture, but they blink and speak
_OPENINGS_WEIGHT = 3.0
_OUTLIER = 3.0  # standard deviations from which a landmark loses its say

_YAW_STEP = math.radians(20)  # between the rows of the table of Jacobian columns
_YAW_ROWS = 3  # rows on either side of the frontal one
_JAW_PROBE = 0.05  # radians by which the jaw is turned to measure its columns

_LONGEST_STEP = 1.5  # of a coefficient in one Gauss-Newton step, in standard deviations
_LONGEST_TURN = 0.3  # of a rotation in one step, in radians
_JAW_LIMITS = ((-0.1, 0.8), (-0.2, 0.2), (-0.2, 0.2))  # about x (positive opens), y and z, in radians


@dataclass(frozen=True)
class _State(PerFrame):
    """The unknowns of a fit but for the camera, which follows from them."""

    shape: Float[Tensor, "f s"]
    expression: Float[Tensor, "f e"]
    jaw: Float[Tensor, "f 3"]
    rotation: Float[Tensor, "f 3 3"]

    def map(self, change: Callable[[Tensor], Tensor]) -> "_State":
        return replace(
            self,
            shape=change(self.shape),
            expression=change(self.expression),
            jaw=change(self.jaw),
            rotation=change(self.rotation),
        )


@dataclass(frozen=True)
class _Normal:
    """The normal equations of a step, in blocks: unknowns of one frame, and the identity shared by all (float64)."""

    frame: Float[Tensor, "f m m"]
    mixed: Float[Tensor, "f m s"]
    shared: Float[Tensor, "s s"]
    frame_gradient: Float[Tensor, "f m"]
    shared_gradient: Float[Tensor, "s"]

    def solve(self) -> tuple[Float[Tensor, "f m"], Float[Tensor, "s"]]:
        """The step of every frame's unknowns and of the identity, by elimination of the frames."""
        right = torch.cat([self.mixed, self.frame_gradient[..., None]], dim=-1)
        solved = torch.linalg.solve(self.frame, right)
        reduced = torch.einsum("fms,fmn->sn", self.mixed, solved)
        shared = torch.linalg.solve(self.shared - reduced[:, :-1], reduced[:, -1] - self.shared_gradient)
        return -solved[..., -1] - solved[..., :-1] @ shared, shared

    def solve_frames(self) -> Float[Tensor, "f m"]:
        """The step of every frame's unknowns when the identity stays."""
        return -torch.linalg.solve(self.frame, self.frame_gradient[..., None])[..., 0]


class LandmarkFit:
    """Face parameters from 68 landmarks: maximum a posteriori, with landmarks that err by ``noise``.

    The model's coefficients are taken as independent with a standard deviation of one. Joints other than the
    first (the whole head) and ``"jaw"`` stay at zero.

    Args:
        model: what is fitted; a :class:`~anifacediff.geometry.PartialModel` with all of its expression.
        noise: standard deviation of a landmark, as a share of the face's size. A larger one trusts the model more.
        jaw_deviation: standard deviations of the jaw's rotation about x, y and z, in radians.
        iterations: Gauss-Newton steps.
        shape_frames: how many frames of a clip, spread over it, tell the identity.
        batch_frames: how many frames are fitted at once; memory grows with it.
    """

    def __init__(
        self,
        model: LandmarkedModel,
        *,
        noise: float = 0.01,
        jaw_deviation: tuple[float, float, float] = (0.3, 0.03, 0.03),
        iterations: int = 8,
        shape_frames: int = 16,
        batch_frames: int = 64,
    ):
        self._model = model.complete() if isinstance(model, PartialModel) else model
        self._noise = noise
        self._iterations = iterations
        self._shape_frames = shape_frames
        self._batch_frames = batch_frames
        self._jaw_joint = model.joint_names.index("jaw") if "jaw" in model.joint_names else None
        self._device = model.triangles.device
        self._jaw_precision = torch.tensor(jaw_deviation, dtype=torch.float64, device=self._device) ** -2
        self._weights = _landmark_weights().to(self._device)
        self._table: dict[int, Tensor] = {}

    @torch.no_grad()
    def __call__(
        self,
        landmarks: Float[Tensor, "f 68 2"],
        *,
        canvas: tuple[int, int],
        shape: Float[Tensor, "s"] | None = None,
    ) -> FaceParameters:
        """Fit the frames of one clip, which show one person.

        Args:
            landmarks: f 68 2, pixels of the canvas.
            canvas: its height and width in pixels.
            shape: s, the identity, in standard deviations; estimated from the landmarks if not given.

        Raises:
            ShapeError: if a shape is wrong.
            InputError: if a landmark is not finite, or the landmarks of a frame coincide.
        """
        target = self._checked(landmarks)
        if shape is None:
            shape = self.identity(landmarks)
        else:
            check_shape("shape", shape, "s", self._model.num_shape)
        fitted = [self._fit_frames(frames, shape.to(target)) for frames in target.split(self._batch_frames)]
        states, cameras = zip(*fitted, strict=True)
        return FaceParameters(
            shape=torch.cat([state.shape for state in states]),
            expression=torch.cat([state.expression for state in states]),
            pose=torch.cat([self._pose(state) for state in states]),
            camera=WeakPerspective(
                torch.cat([camera.scale for camera in cameras]), torch.cat([camera.translation for camera in cameras])
            ),
            box=Box.around(target),
            canvas=canvas,
        )

    @torch.no_grad()
    def identity(self, landmarks: Float[Tensor, "f 68 2"]) -> Float[Tensor, "s"]:
        """Estimate the identity coefficients, in standard deviations, from some frames of a clip.

        Args:
            landmarks: f 68 2, pixels.
        """
        target = self._checked(landmarks)
        count = min(self._shape_frames, target.shape[0])
        spread = torch.linspace(0, target.shape[0] - 1, count, device=target.device).round().long()
        target = target[spread]
        state = self._start(target, target.new_zeros(self._model.num_shape))
        for _ in range(self._iterations):
            frame_step, shape_step = self._normal_equations(state, target).solve()
            state = _moved(state, frame_step, shape_step)
        return state.shape[0]

    def _fit_frames(self, target: Tensor, shape: Tensor) -> tuple[_State, WeakPerspective]:
        state = self._start(target, shape)
        for _ in range(self._iterations):
            state = _moved(state, self._normal_equations(state, target).solve_frames(), None)
        return state, _camera(self._landmarks(state), target, self._weights)

    def _checked(self, landmarks: Tensor) -> Tensor:
        check_shape("landmarks", landmarks, "f 68 2", None, NUM_LANDMARKS, 2)
        check_finite("landmarks", landmarks)
        flat = Box.around(landmarks).size <= 0
        if landmarks.shape[0] == 0 or bool(flat.any()):
            where = f"frame {int(flat.nonzero()[0])}" if landmarks.shape[0] else "a clip without frames"
            raise InputError(f"landmarks: no face can be fitted to {where}: the points coincide or there are none.")
        return landmarks.to(device=self._device, dtype=torch.float32)

    def _start(self, target: Tensor, shape: Tensor) -> _State:
        """Neutral faces, turned as the inner landmarks say."""
        frames = target.shape[0]
        neutral = _State(
            shape=shape.expand(frames, -1),
            expression=target.new_zeros(frames, self._model.num_expression),
            jaw=target.new_zeros(frames, 3),
            rotation=torch.eye(3, device=target.device).expand(frames, 3, 3),
        )
        first = _CONTOUR.stop
        inner = self._landmarks(neutral[:1])[0, first:]
        return replace(neutral, rotation=_procrustes_rotation(inner, target[:, first:]))

    def _pose(self, state: _State) -> Tensor:
        pose = state.jaw.new_zeros(state.jaw.shape[0], len(self._model.joint_names), 3)
        pose[:, 0] = axis_angle(state.rotation)
        if self._jaw_joint is not None:
            pose[:, self._jaw_joint] = state.jaw
        return pose

    def _landmarks(self, state: _State) -> Tensor:
        pose = self._pose(state)
        return self._model.landmarks(self._model(state.shape, state.expression, pose), pose)

    def _normal_equations(self, state: _State, target: Tensor) -> _Normal:
        points = self._landmarks(state)
        camera = _camera(points, target, self._weights)
        unit = (self._noise * Box.around(target).size)[:, None, None]
        residual = (camera.project(points)[..., :2] - target) / unit
        weights = self._weights / (1 + residual.square().sum(-1) / _OUTLIER**2)
        columns, shared = self._columns(state, points, camera)
        root = weights.sqrt()[..., None, None]
        columns = (columns / unit[..., None] * root).flatten(1, 2).double()
        shared = (shared / unit[..., None] * root).flatten(1, 2).double()
        residual = (residual * root[..., 0]).flatten(1).double()

        precision, values = self._frame_prior(state)
        frames = state.shape.shape[0]
        identity = state.shape[0].double()
        return _Normal(
            frame=columns.mT @ columns + torch.diag_embed(precision),
            mixed=columns.mT @ shared,
            # Landmarks of one person err alike in all frames: more frames do not make the identity surer.
            shared=torch.einsum("fns,fnt->st", shared, shared) + frames * torch.eye(len(identity)).to(shared),
            frame_gradient=torch.einsum("fnm,fn->fm", columns, residual) + precision * values,
            shared_gradient=torch.einsum("fns,fn->s", shared, residual) + frames * identity,
        )

    def _frame_prior(self, state: _State) -> tuple[Tensor, Tensor]:
        """Precision and present value of every unknown of a frame; rotation and camera are only damped."""
        frames, expressions = state.expression.shape
        free = state.jaw.new_zeros(frames, 6).double()
        values = torch.cat([state.expression.double(), state.jaw.double(), free], dim=-1)
        one = torch.ones(expressions, dtype=torch.float64, device=values.device)
        precision = torch.cat([one, self._jaw_precision, one.new_full((6,), 1e-6)])
        return precision.expand(frames, -1), values

    def _columns(self, state: _State, points: Tensor, camera: WeakPerspective) -> tuple[Tensor, Tensor]:
        """The Jacobian of projected landmarks: f 68 2 m by the unknowns of a frame, f 68 2 s by the identity.

        A frame's unknowns are expression, jaw, rotation, the camera's scale (in shares of it) and translation.
        """
        table = torch.stack([self._table_row(row) for row in self._rows(state.rotation)])
        turned = torch.einsum("fxy,fkyc->fkxc", state.rotation, table)
        rotation = -cross_matrix(points)  # column i is the cross product of axis i with the point
        shared, local = turned.split([self._model.num_shape, turned.shape[-1] - self._model.num_shape], dim=-1)
        scale = camera.scale[:, None, None, None]
        flip = scale.new_tensor([1.0, -1.0])[:, None] * scale
        moved = torch.cat([local, rotation], dim=-1)[:, :, :2] * flip
        growth = points[:, :, :2, None] * flip
        shift = torch.eye(2, device=points.device).expand(*points.shape[:2], 2, 2)
        return torch.cat([moved, growth, shift], dim=-1), shared[:, :, :2] * flip

    def _rows(self, rotation: Tensor) -> list[int]:
        yaw = torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])
        return (yaw / _YAW_STEP).round().clamp(-_YAW_ROWS, _YAW_ROWS).int().tolist()

    def _table_row(self, row: int) -> Tensor:
        if row not in self._table:
            self._table[row] = self._measure(row * _YAW_STEP)
        return self._table[row]

    def _measure(self, yaw: float) -> Tensor:
        """How the landmarks of a head turned by ``yaw`` move in the head's own frame: 68 3 (s + e + 3)."""
        shapes, expressions = self._model.num_shape, self._model.num_expression
        count = shapes + expressions + 3
        probes = torch.eye(count, device=self._device)
        probes[-3:] *= _JAW_PROBE
        probes = torch.cat([probes.new_zeros(1, count), probes])
        turn = rotation_matrix(probes.new_tensor([0.0, yaw, 0.0]))
        shape, expression, jaw = probes.split([shapes, expressions, 3], dim=-1)
        state = _State(shape, expression, jaw, turn.expand(count + 1, 3, 3))
        points = torch.cat([self._landmarks(state[i : i + 16]) for i in _starts(count + 1, 16)]) @ turn
        columns = (points[1:] - points[0]).permute(1, 2, 0)
        columns[..., -3:] /= _JAW_PROBE
        return columns


@torch.no_grad()
def reprojection_error(
    model: LandmarkedModel, parameters: FaceParameters, landmarks: Float[Tensor, "f 68 2"]
) -> Float[Tensor, "f"]:
    """The mean distance of projected from given landmarks, as a share of the width of the face's box.

    Args:
        model: what was fitted.
        parameters: the fit.
        landmarks: f 68 2, pixels of the fit's canvas.
    """
    errors: list[Tensor] = []
    for start in _starts(len(parameters), 64):
        points = projected_landmarks(model, parameters[start : start + 64])
        target = landmarks[start : start + 64].to(points)
        errors.append((points - target).norm(dim=-1).mean(-1) / Box.around(target).width)
    return torch.cat(errors)


def projected_landmarks(model: LandmarkedModel, parameters: FaceParameters) -> Float[Tensor, "f 68 2"]:
    """Where the landmarks of fitted faces are in the picture.

    Args:
        model: what was fitted.
        parameters: the fit.

    Returns:
        f 68 2, pixels of the fit's canvas.
    """
    points = model.landmarks(model(parameters.shape, parameters.expression, parameters.pose), parameters.pose)
    return parameters.camera.project(points)[..., :2]


def _landmark_weights() -> Float[Tensor, "68"]:
    weights = torch.ones(NUM_LANDMARKS)
    weights[_CONTOUR] = _CONTOUR_WEIGHT
    for opening in _OPENINGS:
        weights[opening] = _OPENINGS_WEIGHT
    return weights


def _starts(count: int, step: int) -> range:
    return range(0, count, step)


def _procrustes_rotation(model: Float[Tensor, "k 3"], target: Float[Tensor, "f k 2"]) -> Float[Tensor, "f 3 3"]:
    """The rotations under which a scaled orthographic camera sees ``model`` as ``target``, nearly.

    Source: DeMenthon and Davis 1995 (the linear step), with the nearest rotation by singular values.
    """
    centered = model - model.mean(0)
    seen = (target - target.mean(1, keepdim=True)) * target.new_tensor([1.0, -1.0])
    affine = torch.linalg.lstsq(centered.expand(seen.shape[0], -1, -1), seen).solution.mT  # f 2 3
    size = affine.norm(dim=(1, 2), keepdim=True)
    rows = affine / size
    third = torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None] * 2**0.5
    return nearest_rotation(torch.cat([rows, third], dim=1))


def _camera(points: Tensor, target: Tensor, weights: Tensor) -> WeakPerspective:
    """The camera of least squares: f k 3 in model space, f k 2 in pixels, k."""
    share = (weights / weights.sum())[:, None]
    flat = points[..., :2] * points.new_tensor([1.0, -1.0])
    center, target_center = (flat * share).sum(1), (target * share).sum(1)
    flat, target = flat - center[:, None], target - target_center[:, None]
    scale = (share * flat * target).sum((1, 2)) / (share * flat.square()).sum((1, 2))
    return WeakPerspective(scale, target_center - scale[:, None] * center)


def _moved(state: _State, frame_step: Tensor, shape_step: Tensor | None) -> _State:
    """The state after a step, which is shortened where it is so long that the linearisation fails."""
    step = frame_step.to(state.jaw)
    expression, jaw, turn, _camera_step = step.split([state.expression.shape[1], 3, 3, 3], dim=-1)
    low, high = state.jaw.new_tensor(_JAW_LIMITS).unbind(-1)
    return _State(
        shape=state.shape
        if shape_step is None
        else state.shape + _shortened(shape_step.to(state.shape), _LONGEST_STEP),
        expression=state.expression + _shortened(expression, _LONGEST_STEP),
        jaw=(state.jaw + _shortened(jaw, _LONGEST_TURN)).clamp(low, high),
        rotation=nearest_rotation(rotation_matrix(_shortened(turn, _LONGEST_TURN)) @ state.rotation),
    )


def _shortened(step: Tensor, longest: float) -> Tensor:
    largest = step.abs().amax(-1, keepdim=True).clamp(min=1e-12)
    return step * (longest / largest).clamp(max=1)
