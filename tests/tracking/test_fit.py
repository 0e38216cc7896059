import math

import pytest
import torch
from linear_head import LinearHead
from torch import Tensor

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.synthetic import ExpressiveHead, random_motion, true_parameters
from anifacediff.synthetic.expression import indices
from anifacediff.synthetic.regions import true_landmarks
from anifacediff.tracking.fit import LandmarkFit, reprojection_error

HEAD = LinearHead()
CANVAS = (256, 256)


def known_faces(frames: int, seed: int = 0) -> FaceParameters:
    """One person with moving face, head, jaw and camera."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    pose = torch.zeros(frames, 5, 3)
    pose[:, 0] = (normal(frames, 3) * torch.tensor([0.2, 0.4, 0.3])).clamp(-0.9, 0.9)
    pose[:, 2, 0] = torch.rand(frames, generator=generator) * 0.4
    return FaceParameters(
        shape=normal(HEAD.num_shape).expand(frames, -1),
        expression=normal(frames, HEAD.num_expression),
        pose=pose,
        camera=WeakPerspective(80 + 20 * torch.rand(frames, generator=generator), 128 + 20 * normal(frames, 2)),
        box=Box(torch.zeros(frames, 4)),
        canvas=CANVAS,
    )


def landmarks_of(faces: FaceParameters) -> Tensor:
    points = HEAD.landmarks(HEAD(faces.shape, faces.expression, faces.pose), faces.pose)
    return faces.camera.project(points)[..., :2]


def turn_between(a: FaceParameters, b: FaceParameters) -> Tensor:
    relative = rotation_matrix(a.pose[:, 0]).mT @ rotation_matrix(b.pose[:, 0])
    return torch.rad2deg(((relative.diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2).clamp(-1, 1).acos())


def test_exact_landmarks_give_back_what_made_them():
    truth = known_faces(40)
    fitted = LandmarkFit(HEAD, noise=0.002)(landmarks_of(truth), canvas=CANVAS)
    assert float(reprojection_error(HEAD, fitted, landmarks_of(truth)).max()) < 1e-3
    torch.testing.assert_close(fitted.shape, truth.shape, atol=0.02, rtol=0)
    torch.testing.assert_close(fitted.expression, truth.expression, atol=0.02, rtol=0)
    torch.testing.assert_close(fitted.pose, truth.pose, atol=2e-3, rtol=0)
    assert isinstance(fitted.camera, WeakPerspective)
    assert isinstance(truth.camera, WeakPerspective)
    torch.testing.assert_close(fitted.camera.scale, truth.camera.scale, atol=0, rtol=2e-3)


def test_noise_moves_the_result_little():
    truth = known_faces(60)
    noise = torch.randn(60, 68, 2, generator=torch.Generator().manual_seed(1))
    fitted = LandmarkFit(HEAD)(landmarks_of(truth) + noise, canvas=CANVAS)
    assert float(turn_between(fitted, truth).mean()) < 1
    assert float((fitted.shape - truth.shape).abs().max()) < 0.15
    assert float((fitted.expression - truth.expression).abs().mean()) < 0.1
    assert float((fitted.pose[:, 2] - truth.pose[:, 2]).abs().mean()) < 0.02


def test_a_few_wrong_landmarks_do_not_pull_the_head_away():
    truth = known_faces(20)
    landmarks = landmarks_of(truth).clone()
    landmarks[:, [5, 20, 40]] += 25
    fitted = LandmarkFit(HEAD)(landmarks, canvas=CANVAS)
    assert float(turn_between(fitted, truth).mean()) < 2


@pytest.mark.parametrize(("axis", "sign"), [(0, 1), (0, -1), (1, 1), (1, -1), (2, 1), (2, -1)])
def test_the_head_turns_the_way_the_picture_shows(axis: int, sign: int):
    """Nose to the image's right is a positive turn about y, chin down about x, and counter-clockwise about z."""
    truth = known_faces(1)
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, axis] = sign * 0.5
    posed = FaceParameters(truth.shape * 0, truth.expression * 0, pose, truth.camera, truth.box, CANVAS)
    landmarks = landmarks_of(posed)[0]
    nose, eyes, chin = landmarks[30], landmarks[36:48].mean(0), landmarks[8]
    shown = [nose[1] - eyes[1], nose[0] - eyes[0], chin[0] - eyes[0]][axis]
    straight = landmarks_of(FaceParameters(posed.shape, posed.expression, pose * 0, truth.camera, truth.box, CANVAS))[0]
    before = [straight[30, 1] - straight[36:48, 1].mean(), torch.zeros(()), torch.zeros(())][axis]
    assert math.copysign(1, float(shown - before)) == sign
    fitted = LandmarkFit(HEAD)(landmarks[None], canvas=CANVAS)
    torch.testing.assert_close(fitted.pose[:, 0], pose[:, 0], atol=0.05, rtol=0)


def test_frames_of_a_clip_share_the_identity_but_not_the_expression():
    fitted = LandmarkFit(HEAD)(landmarks_of(known_faces(12)), canvas=CANVAS)
    assert torch.equal(fitted.shape, fitted.shape[:1].expand_as(fitted.shape))
    assert float(fitted.expression.std(0).min()) > 0.1


def test_a_given_identity_is_kept():
    shape = torch.linspace(-1, 1, HEAD.num_shape)
    fitted = LandmarkFit(HEAD)(landmarks_of(known_faces(3)), canvas=CANVAS, shape=shape)
    assert torch.equal(fitted.shape, shape.expand(3, -1))


def test_the_size_of_a_batch_does_not_matter():
    landmarks = landmarks_of(known_faces(10))
    whole = LandmarkFit(HEAD)(landmarks, canvas=CANVAS)
    parts = LandmarkFit(HEAD, batch_frames=3)(landmarks, canvas=CANVAS)
    torch.testing.assert_close(parts.expression, whole.expression, atol=1e-4, rtol=0)
    torch.testing.assert_close(parts.pose, whole.pose, atol=1e-4, rtol=0)


def test_moving_and_scaling_the_picture_moves_only_the_camera():
    landmarks = landmarks_of(known_faces(5))
    here = LandmarkFit(HEAD)(landmarks, canvas=CANVAS)
    there = LandmarkFit(HEAD)(landmarks * 3 + 100, canvas=(1024, 1024))
    torch.testing.assert_close(there.expression, here.expression, atol=2e-3, rtol=0)
    assert isinstance(here.camera, WeakPerspective)
    assert isinstance(there.camera, WeakPerspective)
    torch.testing.assert_close(there.camera.scale, 3 * here.camera.scale, atol=0, rtol=1e-3)
    torch.testing.assert_close(there.camera.translation, 3 * here.camera.translation + 100, atol=0.3, rtol=0)


def test_the_box_is_the_extent_of_the_landmarks():
    landmarks = landmarks_of(known_faces(2))
    fitted = LandmarkFit(HEAD)(landmarks, canvas=CANVAS)
    torch.testing.assert_close(fitted.box.corners, torch.cat([landmarks.amin(1), landmarks.amax(1)], -1))
    assert fitted.canvas == CANVAS


def test_a_model_without_a_jaw_is_fitted_too():
    class Stiff(LinearHead):
        joint_names = ("global", "neck", "chin", "left_eye", "right_eye")

    fitted = LandmarkFit(Stiff())(landmarks_of(known_faces(3)), canvas=CANVAS)
    assert float(fitted.pose[:, 1:].abs().max()) == 0


def test_the_error_is_measured_in_widths_of_the_box():
    truth = known_faces(3)
    landmarks = landmarks_of(truth)
    width = landmarks[..., 0].amax(1) - landmarks[..., 0].amin(1)
    error = reprojection_error(HEAD, truth, landmarks + torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(error, 5 / width)


@pytest.mark.parametrize(
    ("landmarks", "error", "says"),
    [
        (torch.zeros(2, 68, 2), InputError, "coincide"),
        (torch.zeros(0, 68, 2), InputError, "without frames"),
        (torch.full((1, 68, 2), float("nan")), InputError, "NaN"),
    ],
)
def test_landmarks_that_show_no_face_are_refused(landmarks: Tensor, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        LandmarkFit(HEAD)(landmarks, canvas=CANVAS)


def test_an_identity_of_another_model_is_refused():
    with pytest.raises(ShapeError, match="shape"):
        LandmarkFit(HEAD)(landmarks_of(known_faces(1)), canvas=CANVAS, shape=torch.zeros(3))


def test_what_is_kept_off_the_mesh_is_fitted_all_the_same():
    partial, whole = ExpressiveHead(), ExpressiveHead(withheld=())
    still = random_motion(4, 2).changed(lids_close_left=0.0, lids_close_right=0.0)
    blink = still.changed(lids_close_left=2.0, lids_close_right=2.0)
    shape = torch.zeros(whole.num_shape)
    motions = [true_parameters(whole, shape, performance, size=256) for performance in (still, blink)]
    lids = indices(["lids_close_left", "lids_close_right"])
    opened, closed = (
        LandmarkFit(partial)(true_landmarks(whole, motion), canvas=(256, 256), shape=shape).expression[:, lids]
        for motion in motions
    )
    assert (closed - opened > 1).all()
