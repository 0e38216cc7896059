from itertools import islice
from pathlib import Path

import pytest
import torch

from anifacediff.errors import InputError, MediaError
from anifacediff.training.full.clips import PreparedSet
from anifacediff.training.full.examples import Draw, DrawnExamples, Examples, Share, load_examples
from anifacediff.training.run import Schedule

SCHEDULE = Schedule(10, 1e-3)


def seeds(data: Path, batch: int, accumulation: int, processes: int, steps: int, first: int = 0) -> list[set[int]]:
    """Which examples are in each step, over all processes."""
    shares = [Share(first, batch, accumulation, rank, processes) for rank in range(processes)]
    examples = DrawnExamples(PreparedSet.open(data)[0], Draw(), SCHEDULE, shares[0].size)
    found: list[set[int]] = [set() for _ in range(steps)]
    for share in shares:
        for number, batch_ in enumerate(islice(load_examples(examples, share, 0), steps * accumulation)):
            found[number // accumulation] |= set(batch_.seeds.tolist())
    return found


def test_a_step_has_the_same_examples_however_it_is_shared(prepared: Path):
    alone = seeds(prepared, batch=4, accumulation=1, processes=1, steps=3)
    assert all(len(step) == 4 for step in alone)
    assert seeds(prepared, batch=2, accumulation=1, processes=2, steps=3) == alone
    assert seeds(prepared, batch=1, accumulation=2, processes=2, steps=3) == alone
    assert seeds(prepared, batch=2, accumulation=2, processes=1, steps=2, first=1) == alone[1:]


def test_workers_read_the_same(prepared: Path):
    examples = DrawnExamples(PreparedSet.open(prepared)[0], Draw(2), SCHEDULE, 2)
    one, two = (next(load_examples(examples, Share(3, 2, 1, 0, 1), workers)) for workers in (0, 1))
    assert torch.equal(one.seeds, two.seeds)
    assert torch.equal(one.maps["normal"], two.maps["normal"])


def test_an_example_is_what_was_prepared(prepared: Path):
    clip = PreparedSet.open(prepared)[0].clips[0]
    drawn = Draw(frames=2, stride=2)(clip, torch.Generator().manual_seed(5))
    assert drawn.latents is not None
    assert drawn.pictures is None
    whole, maps, told = clip.latents(), clip.pictures(range(6), "normal"), clip.parameters()["expression_code"]
    assert whole is not None
    first = next(frame for frame in range(4) if torch.equal(whole[frame], drawn.latents[0, 0]))
    torch.testing.assert_close(drawn.latents[0], whole[[first, first + 2]])
    torch.testing.assert_close(drawn.maps["normal"][0], maps[[first, first + 2]])
    torch.testing.assert_close(drawn.parameters["expression_code"][0], told[[first, first + 2]])
    references = [torch.equal(drawn.reference[0], picture) for picture in clip.pictures(range(6))]
    assert sum(references) == 1
    assert references.index(True) not in (first, first + 2)


def test_pictures_are_encoded_where_no_latents_are_kept(prepared: Path):
    clip = PreparedSet.open(prepared)[0].clips[0]
    parts = [Draw()(clip, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    batch = Examples.joined(parts)
    assert batch.encoded(torch.zeros_like) is batch
    bare = Examples(batch.seeds, batch.reference, {}, {}, {}, pictures=batch.reference[:, None])
    encoded = bare.encoded(lambda images: images.mean((2, 3), keepdim=True))
    assert encoded.pictures is None
    torch.testing.assert_close(encoded.latents[:, 0], encoded.reference_latents)  # pyright: ignore[reportOptionalSubscript]


def test_held_out_videos_are_not_learned_from(prepared: Path):
    learned, held_out = PreparedSet.open(prepared, held_out=1)
    assert [clip.key for clip in learned.clips] == ["v0-0000", "v1-0000"]
    assert [clip.key for clip in held_out.clips] == ["v2-0000"]
    assert learned.digest != PreparedSet.open(prepared)[0].digest


def test_too_little_is_refused(prepared: Path, tmp_path: Path):
    with pytest.raises(InputError, match="none is left"):
        PreparedSet.open(prepared, held_out=3)
    with pytest.raises(InputError, match="anifacediff prepare"):
        PreparedSet.open(tmp_path)
    with pytest.raises(InputError, match="7 frames"):
        DrawnExamples(PreparedSet.open(prepared)[0], Draw(7), SCHEDULE, 1)


def test_a_damaged_shard_is_named(prepared: Path, tmp_path: Path):
    clip = PreparedSet.open(prepared)[0].clips[0]
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar file")
    with pytest.raises(MediaError, match=r"broken\.tar"):
        type(clip)(clip.key, broken, 6).latents()
