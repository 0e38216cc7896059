from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlib as untyped
import numpy as np
import pytest
import torch
from anifacediff_dlib.identity import DlibIdentityEncoder
from anifacediff_dlib.models import recognition_model
from anifacediff_dlib.tracker import DlibTracker

from anifacediff.conditioning.contracts import IdentityEncoder
from anifacediff.errors import InputError, ShapeError
from anifacediff.media.images import read_image
from anifacediff.registry import registry
from anifacediff.testing import IdentityEncoderCase, parametrize_with_checks
from anifacediff.tracking.contracts import DetectedFace

MEDIA = Path(__file__).parents[3].parent / "shared/media"
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"the example pictures are not at {MEDIA}")
quiet = pytest.mark.filterwarnings("ignore:dlib's 68-landmark file")
dlib: Any = untyped
ENCODER = DlibIdentityEncoder()


@parametrize_with_checks(IdentityEncoderCase("dlib", DlibIdentityEncoder))
def test_conforms(check: Callable[[], None]):
    check()


def test_the_registry_offers_it():
    encoder = registry.identity_encoders["dlib"]()
    assert isinstance(encoder, IdentityEncoder)
    assert (encoder.image_size, encoder.num_features) == (150, 128)


@pytest.fixture(scope="module")
def bust() -> np.ndarray:
    return read_image(MEDIA / "avatar-terracotta.jpg")


@pytest.fixture(scope="module")
def face(bust: np.ndarray) -> DetectedFace:
    return DlibTracker(convolutional=False)(bust)[0]


@quiet
@needs_media
def test_equals_dlibs_own_call_on_the_whole_picture(bust: np.ndarray, face: DetectedFace):
    points = dlib.points([dlib.point(round(x - 0.5), round(y - 0.5)) for x, y in face.landmarks])
    left, top, right, bottom = map(round, face.box)
    shape = dlib.full_object_detection(dlib.rectangle(left, top, right - 1, bottom - 1), points)
    expected = np.array(recognition_model().compute_face_descriptor(bust, shape))
    found = ENCODER(ENCODER.align(bust, face))[0].numpy()
    assert np.abs(found - expected).max() < 1e-6


@quiet
@needs_media
def test_a_face_is_itself_when_mirrored_and_darker_and_is_not_another(bust: np.ndarray, face: DetectedFace):
    aligned = ENCODER.align(bust, face)
    same = ENCODER(torch.cat([aligned, aligned.flip(-1), 0.7 * aligned]))
    assert float((same - same[:1]).norm(dim=1).max()) < 0.6
    painting = read_image(MEDIA / "avatar-mona-lisa.jpg")
    other = ENCODER(ENCODER.align(painting, DlibTracker(convolutional=False)(painting)[0]))
    assert float((other - same).norm(dim=1).min()) > 0.6


def test_bad_pictures_are_named():
    with pytest.raises(ShapeError, match="pictures"):
        ENCODER(torch.zeros(1, 3, 112, 112))
    with pytest.raises(InputError, match="pictures"):
        ENCODER(torch.full((1, 3, 150, 150), torch.nan))
    assert ENCODER(torch.zeros(0, 3, 150, 150)).shape == (0, 128)
