"""A pipeline leaves a mark in what it draws, and nowhere else."""

from typing import Any

import numpy as np
import pytest
from portraits import arrays, faces, portrait, stir

from anifacediff.assemblies import AniFaceDiffPipeline, Role, animate_in_place
from anifacediff.media import PasteBack, SquareCrop
from anifacediff.provenance import SpreadMark, marked
from anifacediff.tracking import TrackedImage

pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")
QUICK: dict[str, Any] = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    built = AniFaceDiffPipeline.untrained(image_size=32)
    stir(built)
    built.set_progress_bar_config(disable=True)
    return built


def test_frames_are_marked_when_asked_for_and_control_maps_never(pipe: AniFaceDiffPipeline):
    reference, driving = portrait(pipe), faces(pipe, 3)
    plain, after = pipe(reference, driving, **QUICK), pipe(reference, driving, mark=SpreadMark(), **QUICK)
    np.testing.assert_array_equal(arrays(after), SpreadMark().embed(arrays(plain)))
    assert [np.array(each).tobytes() for each in after.control] == [np.array(each).tobytes() for each in plain.control]
    in_one_line = marked(frame.image for frame in pipe.stream(reference, driving, **QUICK))
    np.testing.assert_array_equal(arrays(after), np.stack(list(in_one_line)))


def test_around_a_pasted_face_every_bit_stays(pipe: AniFaceDiffPipeline):
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    crop = SquareCrop(60.0, 44.0, 60.0)
    role = Role(TrackedImage(crop.apply(picture, 256), crop, faces(pipe, 1), 0.0), faces(pipe, 2))
    plain, after = (list(animate_in_place(pipe, picture, [role], mark=mark, **QUICK)) for mark in (None, SpreadMark()))
    outside = np.ones(picture.shape[:2], dtype=bool)
    outside[14:74, 30:90] = False
    for before, frame in zip(plain, after, strict=True):
        assert (frame[outside] == picture[outside]).all()
        assert (frame[~outside] != before[~outside]).any()
    square = pipe.stream(role.face, role.driving.seen_as(role.face.parameters), **QUICK)
    pasted = PasteBack(picture, [crop])([SpreadMark().embed(next(square).image[None])[0]])
    np.testing.assert_array_equal(after[0], pasted)


def test_a_pipeline_knows_where_its_weights_came_from(pipe: AniFaceDiffPipeline):
    assert pipe.folder is None
    nano = AniFaceDiffPipeline.nano()
    assert nano.folder is not None
    assert (nano.folder / "model_index.json").is_file()
