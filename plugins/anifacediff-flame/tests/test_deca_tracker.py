"""DECA's tracker around an encoder that says what it is told."""

import numpy as np
import pytest
import torch
from anifacediff_flame.camera import deca_crop
from anifacediff_flame.encoder import DecaEncoder
from anifacediff_flame.model import FlameModel
from anifacediff_flame.tracker import DecaTracker
from flame_parts import ARRAYS, SLIDING
from torch import nn

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import WeakPerspective
from anifacediff.tracking import DetectedFace, ManualTracker, ParameterTracker, track_clip

MODEL = FlameModel(ARRAYS, SLIDING)
PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


class MeanColour(nn.Module):
    """Stands for the ResNet: its features are the mean of the crop's red."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0].mean((1, 2))[:, None].expand(-1, 2048)


def encoder(camera: tuple[float, float, float] = (5.0, 0.1, -0.2), red: float = 0.0) -> DecaEncoder:
    """Says numbers that rise by a hundredth, this camera, and ``red`` times the crop's mean red as first expression."""
    told = 0.01 * torch.arange(236.0)
    told[206:209] = torch.tensor(camera)
    made = DecaEncoder(MeanColour())  # pyright: ignore[reportArgumentType]
    first, last = made.head[0], made.head[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        first.weight.fill_(1 / 2048)
        first.bias.zero_()
        last.weight.zero_()
        last.weight[150] = red / 1024
        last.bias.copy_(told)
    return made


def face(x: float = 80.0, y: float = 60.0, size: float = 40.0) -> DetectedFace:
    angle = np.linspace(0, 2 * np.pi, 68)
    return DetectedFace.at(np.stack([x + size * np.cos(angle), y + size * np.sin(angle)], axis=1))


def pictures(count: int) -> torch.Tensor:
    return torch.from_numpy(PICTURE).permute(2, 0, 1)[None].expand(count, -1, -1, -1).float() / 255


def tracker(**options: float) -> DecaTracker:
    return DecaTracker(encoder(**options), MODEL, ManualTracker((face(),)))  # pyright: ignore[reportArgumentType]


def test_it_reads_parameters():
    deca = tracker()
    assert isinstance(deca, ParameterTracker)
    assert deca(PICTURE) == deca(PICTURE)
    found = deca.estimate(pictures(2), [face(), face()])
    told = 0.01 * torch.arange(236.0)
    torch.testing.assert_close(found.shape, told[:100].expand(2, -1))
    torch.testing.assert_close(found.expression, told[150:200].expand(2, -1))
    torch.testing.assert_close(found.pose[:, 0], told[200:203].expand(2, -1))
    torch.testing.assert_close(found.pose[:, 2], told[203:206].expand(2, -1))
    assert found.canvas == (120, 160)
    torch.testing.assert_close(found.box.corners[0], torch.tensor(face().box), rtol=0, atol=1e-4)


def test_the_camera_is_in_pixels_of_the_picture_by_the_published_formula():
    """The vertices on the crop, and back through the inverse of DECA's crop transform, in its own pixels."""
    found = tracker().estimate(pictures(1), [face()])
    assert isinstance(found.camera, WeakPerspective)
    marks = face().landmarks - 0.5
    (left, top), (right, bottom) = marks.min(0), marks.max(0)
    side = int((right - left + bottom - top) / 2 * 1.1 * 1.25)
    scale = 223 / side
    corner = np.array([left + right, top + bottom]) / 2 - side / 2
    points = torch.randn(1, 20, 3) * 0.1
    x, y, _ = points[0].double().numpy().T
    on_crop = np.stack([5.0 * (x + 0.1), -5.0 * (y - 0.2)], axis=1)
    expected = (on_crop / 2 + 0.5) * 224 / scale + corner
    np.testing.assert_allclose(found.camera.project(points)[0, :, :2].numpy(), expected, atol=1e-3)


def test_each_picture_is_read_where_its_face_is():
    images = pictures(2).clone()
    images[:, 0] = torch.linspace(0, 1, 160)
    found = tracker(red=1.0).estimate(images, [face(50, 60, 20), face(110, 60, 20)])
    difference = float(found.expression[1, 0] - found.expression[0, 0])
    assert difference == pytest.approx(60 / 159, rel=1e-3)
    alone = tracker(red=1.0).estimate(images[1:], [face(110, 60, 20)])
    torch.testing.assert_close(alone.expression[0], found.expression[1])


def test_many_pictures_are_read_a_few_at_a_time():
    images = pictures(5) * torch.linspace(0.2, 1, 5)[:, None, None, None]
    together, few = (
        DecaTracker(encoder(red=1.0), MODEL, ManualTracker(()), batch_size=size).estimate(images, [face()] * 5)
        for size in (16, 2)
    )
    torch.testing.assert_close(few.expression, together.expression)
    assert few.expression[:, 0].diff().min() > 0


def test_texture_and_light_can_be_read_too():
    code = tracker().read(pictures(1), [face()])
    torch.testing.assert_close(code.texture, 0.01 * torch.arange(100.0, 150.0)[None])
    torch.testing.assert_close(code.light, 0.01 * torch.arange(209.0, 236.0).reshape(1, 9, 3))


def test_the_crop_is_a_little_larger_than_the_face():
    assert deca_crop(face(), margin=1.25).side == pytest.approx(2 * 40 * 1.1 * 1.25, rel=0.02)


def test_a_clip_is_tracked_by_it():
    clip = track_clip((PICTURE for _ in range(10)), tracker=tracker(), image_size=64)
    assert clip.parameters.canvas == (64, 64)
    torch.testing.assert_close(clip.parameters.shape, 0.01 * torch.arange(100.0).expand(10, -1))


def test_nan_and_cameras_that_see_nothing_are_told_with_the_frame():
    for camera, said in (((torch.nan, 0.0, 0.0), "NaN"), ((-1.0, 0.0, 0.0), "positive")):
        with pytest.raises(InputError, match=rf"DecaTracker, frame 0: WeakPerspective\.scale.*{said}"):
            track_clip((PICTURE for _ in range(3)), tracker=tracker(camera=camera))  # pyright: ignore


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="1 faces for 2 pictures"):
        tracker().estimate(pictures(2), [face()])
    with pytest.raises(InputError, match="0 faces for 0 pictures"):
        tracker().estimate(pictures(2)[:0], [])
    with pytest.raises(ShapeError, match="images"):
        tracker().estimate(pictures(2)[:, :1], [face(), face()])
    with pytest.raises(InputError, match=r"100 identity and 50.*10 and"):
        DecaTracker(encoder(), FlameModel(ARRAYS, SLIDING, num_shape=10), ManualTracker(()))
