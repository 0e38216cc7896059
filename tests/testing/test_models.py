"""Every check of morphable models catches a model that is broken in its way."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names
from torch import nn

from anifacediff.geometry.head import ParametricHead, build_head
from anifacediff.geometry.morphable import SkinnedModel, rotation_matrix
from anifacediff.shapes import Tensor, check_shape
from anifacediff.testing import ModelCase
from anifacediff.testing.models import CHECKS


class Ball(nn.Module):
    """A conformant model: an octahedron, cut finer, whose front is moved by its expressions."""

    num_shape, num_expression, joint_names = 2, 1, ("global",)
    triangles: Tensor
    template: Tensor

    def __init__(self) -> None:
        super().__init__()
        corners = torch.cat([torch.eye(3), -torch.eye(3)])  # x y z, -x -y -z
        triangles = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
        self.register_buffer("template", corners)
        self.register_buffer("triangles", torch.tensor(triangles))

    def forward(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        check_shape("shape", shape, "f s", None, 2)
        check_shape("expression", expression, "f e", len(shape), 1)
        check_shape("pose", pose, "f j 3", len(shape), 1, 3)
        return self.turned(self.grown(shape, expression), pose)

    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        wide, tall = (1 + 0.1 * part for part in shape[:, :, None].unbind(1))
        x, y, z = (part.expand(len(shape), -1) for part in self.template.T)
        points = torch.stack([x * wide, y * tall, z], dim=2)
        return points + 0.1 * expression[:, None] * self.template.clamp(min=0)[:, 2:] * self.template[2]

    def turned(self, points: Tensor, pose: Tensor) -> Tensor:
        return points @ rotation_matrix(pose[:, 0]).mT


def test_a_model_without_faults_conforms():
    assert conforms(ModelCase("ball", Ball)) == ["landmarks_lie_on_the_face"]


class Memberless:
    num_shape = 2


class LastJoint(Ball):
    joint_names = ("head",)


class OneVertexShort(Ball):
    def forward(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        return super().forward(shape, expression, pose)[:, :-1]


class CountingFromOne(Ball):
    def __init__(self) -> None:
        super().__init__()
        self.triangles = self.triangles + 1


class Dividing(Ball):
    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        return super().grown(shape, expression) * (shape / shape)[:, :1, None]


class Noisy(Ball):
    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        return super().grown(shape, expression) + 1e-3 * torch.rand(())


class BatchMixing(Ball):
    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        points = super().grown(shape, expression)
        return points - points.mean((0, 1))


class Float32Only(Ball):
    def forward(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        return super().forward(shape, expression, pose).float()


class OnTheCpu(Ball):
    def forward(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        self.cpu()
        return super().forward(*(torch.zeros(part.shape) for part in (shape, expression, pose)))


class WithoutGradient(Ball):
    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        return super().grown(shape, expression.detach())


class NanGradientAtZero(Ball):
    def turned(self, points: Tensor, pose: Tensor) -> Tensor:
        angle = pose[:, 0].norm(dim=1)[:, None]
        axis = torch.where(angle > 0, pose[:, 0] / angle, 0)
        return super().turned(points, (axis * angle)[:, None])


class Unchecked(Ball):
    def forward(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        return self.turned(self.grown(shape[:, :2], expression), pose)


class InsideOut(Ball):
    def __init__(self) -> None:
        super().__init__()
        self.triangles = self.triangles[:, [0, 2, 1]]


class TurningBack(Ball):
    def turned(self, points: Tensor, pose: Tensor) -> Tensor:
        return points @ rotation_matrix(pose[:, 0])


class LookingAway(Ball):
    def grown(self, shape: Tensor, expression: Tensor) -> Tensor:
        return super().grown(shape, expression) * torch.tensor([-1.0, 1.0, -1.0])


class Mirrored(SkinnedModel):
    """The built-in head with the landmarks of the person's other side."""

    def __init__(self) -> None:
        super().__init__(build_head().mesh)

    def landmarks(self, vertices: Tensor, pose: Tensor) -> Tensor:
        return ParametricHead().landmarks(vertices, pose) * torch.tensor([-1.0, 1.0, 1.0])


class UpsideDown(Mirrored):
    def landmarks(self, vertices: Tensor, pose: Tensor) -> Tensor:
        found = super().landmarks(vertices, pose) * torch.tensor([-1.0, -1.0, 1.0])
        return found - found.mean(1, keepdim=True)


class FarAway(Mirrored):
    def landmarks(self, vertices: Tensor, pose: Tensor) -> Tensor:
        return super().landmarks(vertices, pose) * 100


class Nowhere(Mirrored):
    def landmarks(self, vertices: Tensor, pose: Tensor) -> Tensor:
        return super().landmarks(vertices, pose) * math.nan


class OneTriangle(Ball):
    def __init__(self) -> None:
        super().__init__()
        self.triangles = self.triangles[:1]
        self.template = torch.cat([self.template, torch.tensor([[9.0, 9.0, 0.0], [-9.0, -9.0, 0.0]])])


BROKEN: list[tuple[str, Callable[[], Any], str]] = [
    ("has_the_members_of_a_model", Memberless, "lacks num_expression, joint_names, triangles"),
    ("has_the_members_of_a_model", LastJoint, 'starts with "global"'),
    ("sizes_agree", OneVertexShort, "run from 0 to 5, but there are 5 vertices"),
    ("sizes_agree", CountingFromOne, "run from 1 to 6, but there are 6 vertices, counted from 0"),
    ("neutral_face_is_finite", Dividing, "6 of 6 vertices are NaN"),
    ("is_deterministic", Noisy, "two calls"),
    ("frames_do_not_see_each_other", BatchMixing, "with the frames beside it"),
    ("follows_the_precision_asked_for", Float32Only, r"torch\.float32"),
    ("follows_the_device_asked_for", OnTheCpu, "Register arrays as buffers"),
    ("gradients_reach_every_argument", WithoutGradient, "expression at zero: its gradient is missing"),
    ("gradients_reach_every_argument", NanGradientAtZero, "pose at zero: its gradient is missing or not finite"),
    ("wrong_sizes_are_refused_by_name", Unchecked, "shape with 3 columns instead of 2 raised nothing"),
    ("triangles_face_outwards", InsideOut, "Swap two of their columns"),
    ("turns_with_the_global_joint", TurningBack, "should be positive"),
    ("expression_moves_the_front", LookingAway, "Turn the model by 180 degrees"),
    ("landmarks_lie_on_the_face", Mirrored, "swapped, or x is mirrored"),
    ("landmarks_lie_on_the_face", UpsideDown, "from top to bottom"),
    ("landmarks_lie_on_the_face", FarAway, "outside the mesh"),
    ("landmarks_lie_on_the_face", Nowhere, "68 finite points"),
    ("facial_alignment_draws_it", InsideOut, "look away from the viewer"),
    ("facial_alignment_draws_it", OneTriangle, "are triangles missing"),
]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[f"{b[1].__name__}" for b in BROKEN])
def test_a_broken_model_is_caught(name: str, build: Callable[[], Any], message: str):
    found = complaint(ModelCase("model", build), name)
    assert re.search(message, found), found
