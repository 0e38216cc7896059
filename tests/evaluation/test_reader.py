"""The network that reads drawn faces: what it takes, what it gives, how it is stored."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import CheckpointError, InputError, ShapeError
from anifacediff.evaluation.reader import WEIGHTS, FaceReader, Reading, central_square

MEBIBYTE = 2**20


def small() -> FaceReader:
    torch.manual_seed(0)
    return FaceReader(num_shape=5, finder_widths=(16, 16), face_widths=(16, 16), hidden=8, embedding=4).eval()


def reading(frames: int) -> Reading:
    chance = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(frames, *shape, generator=chance)

    return Reading(some(5), some(50), some(5, 3), some().exp(), some(2), some(2))


def test_readings_have_one_row_for_each_picture():
    read = small()(torch.rand(3, 3, 128, 128))
    assert (read.shape.shape, read.expression.shape, read.pose.shape) == ((3, 5), (3, 50), (3, 5, 3))
    assert (read.zoom > 0).all()


def test_embeddings_have_unit_length():
    who = small().measure(torch.rand(3, 3, 128, 128))[1]
    torch.testing.assert_close(who.norm(dim=1), torch.ones(3))


def test_pictures_are_read_one_by_one():
    images = torch.rand(3, 3, 128, 128)
    together, alone = small()(images).packed(), small()(images[1:2]).packed()
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


def test_what_is_packed_is_unpacked():
    given_ = reading(4)
    again = Reading.unpacked(given_.packed(), (5, 50, 15, 1, 2, 2))
    for name, value in vars(given_).items():
        torch.testing.assert_close(getattr(again, name), value)


def test_standardised_numbers_are_told_in_their_units():
    reader, truth = small(), reading(64)
    reader.standardize(truth.packed())
    told = reader.told((truth.packed() - truth.packed().mean(0)) / truth.packed().std(0))
    torch.testing.assert_close(told.packed(), truth.packed(), atol=1e-4, rtol=1e-4)


def test_what_never_changes_is_told_exactly():
    reader, numbers = small(), reading(64).packed()
    numbers[:, 7] = 1.25
    reader.standardize(numbers)
    assert (reader(torch.rand(2, 3, 128, 128)).packed()[:, 7] == 1.25).all()


def test_body_and_neck_turn_the_head_together():
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1], pose[0, 1, 1] = 0.2, 0.3
    turned = Reading(*vars(reading(1)).values())
    turn = Reading(turned.shape, turned.expression, pose, turned.zoom, turned.place, turned.eyes).turn[0]
    angle = torch.tensor(0.5)
    assert turn[0, 2] == pytest.approx(angle.sin().item(), abs=1e-6)
    assert turn[0, 0] == pytest.approx(angle.cos().item(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 127, 128), (1, 3, 256, 256)])
def test_pictures_of_another_size_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ShapeError, match="128"):
        small().measure(torch.rand(shape))


def test_pictures_with_nan_are_refused():
    images = torch.rand(2, 3, 128, 128)
    images[1, 2, 3, 4] = torch.nan
    with pytest.raises(InputError, match=r"images: 1 of .*\(1, 2, 3, 4\)"):
        small()(images)


def test_a_saved_reader_reads_the_same(tmp_path: Path):
    reader, images = small(), torch.rand(2, 3, 128, 128)
    reader.standardize(reading(64).packed())
    reader.save_pretrained(tmp_path)
    again = FaceReader.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(images).packed(), reader(images).packed())


def test_damaged_weights_are_refused(tmp_path: Path):
    small().save_pretrained(tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        FaceReader.from_pretrained(tmp_path)


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 200), st.integers(20, 200))
def test_the_square_is_cut_from_the_middle(height: int, width: int):
    image = torch.zeros(1, 3, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image[:, :, top : top + side, left : left + side] = 1.0
    assert central_square(image).shape == (1, 3, 128, 128)
    torch.testing.assert_close(central_square(image), torch.ones(1, 3, 128, 128))


def test_what_ships_is_small_and_in_half_precision():
    from safetensors.torch import load_file

    (file,) = WEIGHTS.glob("*.safetensors")
    assert file.stat().st_size <= 5 * MEBIBYTE
    assert {value.dtype for value in load_file(file).values()} == {torch.float16}
    assert (WEIGHTS / "README.md").read_text().count("Apache-2.0") >= 1
