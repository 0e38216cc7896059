"""Training the network that reads drawn faces."""

import math
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from anifacediff.errors import ConfigurationError
from anifacediff.evaluation.reader import FaceReader, Reading
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.reader import _weights, reading_loss, train_reader
from anifacediff.training.reader_report import assess, degrees, explained, recognition_figures
from anifacediff.training.readings import Sample, harder, mistaken, sample, true_readings
from anifacediff.training.run import Schedule


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    result = DrawnSet.create(tmp_path_factory.mktemp("set"), Casting(26_100, identities=4, frames=2))
    for _ in draw_identities(result, result.missing()):
        pass
    return result


def everything(drawn: DrawnSet) -> Sample:
    numbers = torch.arange(8)
    return sample(drawn, true_readings(drawn), numbers // 2, numbers % 2)


def small(drawn: DrawnSet) -> FaceReader:
    torch.manual_seed(0)
    truth = true_readings(drawn)
    reader = FaceReader(
        num_shape=truth.shape.shape[1], finder_widths=(16, 32), face_widths=(16, 32), hidden=32, embedding=16
    )
    reader.standardize(truth.packed())
    return reader


def test_the_truth_is_that_of_the_set(drawn: DrawnSet):
    seen = everything(drawn)
    torch.testing.assert_close(seen.truth.expression, torch.from_numpy(drawn.expression.reshape(8, -1)))
    corners = torch.from_numpy(drawn.eyes.reshape(8, 2, 2)) / 128
    assert ((corners[:, 0] < seen.truth.eyes) & (seen.truth.eyes < corners[:, 1])).all()
    assert seen.truth.turn.shape == (8, 3, 3)


def test_a_set_of_another_version_is_refused(tmp_path: Path):
    other = DrawnSet.create(tmp_path, Casting(26_100, identities=2, frames=2, size=32))
    with pytest.raises(ConfigurationError, match="draw it again"):
        true_readings(other)


def test_moved_pictures_show_what_their_numbers_say():
    image = torch.zeros(6, 3, 128, 128)
    image[:, :, 60:64, 84:88] = 1.0
    at = torch.tensor([[86 / 128, 62 / 128]]).expand(6, 2)
    still = torch.zeros(6, 5, 3)
    truth = Reading(torch.zeros(6, 4), torch.zeros(6, 50), still, torch.full((6,), 3.0), at, at)
    moved = harder(Sample(image, torch.zeros(6, 1, 128, 128), truth), torch.Generator().manual_seed(0))
    bright = (moved.images.mean(1) - 0.3).clamp(min=0)
    total = bright.sum((1, 2))
    centers = (torch.arange(128) + 0.5) / 128
    x, y = (bright.sum(1) @ centers) / total, (bright.sum(2) @ centers) / total
    torch.testing.assert_close(torch.stack([x, y], dim=1), moved.truth.eyes, atol=0.006, rtol=0)
    torch.testing.assert_close(moved.truth.eyes, moved.truth.place)
    assert moved.truth.eyes.std(0).min() > 0.01
    assert moved.truth.zoom.std() > 0.05


def test_surroundings_change_and_faces_stay(drawn: DrawnSet):
    seen = everything(drawn)
    from anifacediff.training.readings import _elsewhere

    changed = _elsewhere(seen, torch.Generator().manual_seed(1)).images != seen.images
    assert not (changed & (seen.faces > 0)).any()
    swapped = changed.flatten(1).any(1)
    assert 0 < swapped.sum() < 8


def test_mistakes_are_small_and_concern_the_place_alone(drawn: DrawnSet):
    truth = everything(drawn).truth
    wrong = mistaken(truth, torch.Generator().manual_seed(0))
    assert (wrong.eyes - truth.eyes).abs().max() < 0.06
    assert torch.equal(wrong.expression, truth.expression)


def test_groups_of_expressions_count_alike(drawn: DrawnSet):
    reader = small(drawn)
    weights = _weights(reader)
    assert weights.min() >= 0
    assert (weights[reader.spread == 0] == 0).all()
    assert weights.sum().item() == pytest.approx(0.5 + 1 + 3 * 0.5 + 8 * 0.5)


def test_the_loss_falls(drawn: DrawnSet):
    reader, seen = small(drawn), everything(drawn)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3)
    losses: list[float] = []
    for _ in range(12):
        loss = reading_loss(reader, seen, seen.truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_that_was_stopped_goes_on(drawn: DrawnSet, tmp_path: Path):
    def schedule(steps: int) -> Schedule:
        return Schedule(steps=steps, learning_rate=1e-3)

    train_reader(tmp_path, drawn, drawn, schedule(1), batch=2)
    train_reader(tmp_path, drawn, drawn, schedule(2), batch=2)
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == ["step-0000001", "step-0000002"]
    figures = assess(FaceReader.from_pretrained(tmp_path / "model", torch_dtype=torch.float32), drawn)
    assert {"r2_gaze", "r2_lids", "degrees", "auc", "rank1"} <= set(figures)
    with pytest.raises(ConfigurationError, match="batch"):
        train_reader(tmp_path, drawn, drawn, schedule(3), batch=4)


def test_the_share_explained_is_that_of_its_formula():
    truth = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    truth[:, 2] = 0.7
    assert explained(truth, truth) == pytest.approx(1)
    assert explained(truth.mean(0).expand_as(truth), truth) == pytest.approx(0, abs=1e-5)
    noise = truth + 0.5 * truth.std(0) * torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    assert explained(noise, truth) == pytest.approx(0.75, abs=0.1)


def rotated(angle: float) -> Float[Tensor, "1 3 3"]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.tensor([[[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]])


def test_degrees_between_rotations():
    assert degrees(rotated(0.2), rotated(-0.3)).item() == pytest.approx(math.degrees(0.5), abs=0.01)


def test_recognition_of_perfect_and_of_useless_embeddings():
    perfect = torch.eye(6).repeat_interleave(3, dim=0)
    assert recognition_figures(perfect, 3) == {"auc": 1.0, "rank1": 1.0}
    useless = torch.nn.functional.normalize(torch.randn(300, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    figures = recognition_figures(useless, 3)
    assert figures["auc"] == pytest.approx(0.5, abs=0.05)
    assert figures["rank1"] < 0.1
