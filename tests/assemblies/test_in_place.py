from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from portraits import faces, stir

from anifacediff.assemblies import AniFaceDiffPipeline, Role, animate_in_place
from anifacediff.errors import InputError
from anifacediff.geometry import Similarity
from anifacediff.media import PasteBack, SquareCrop
from anifacediff.tracking import TrackedImage

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 260, 3), dtype=np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")

CROPS = (SquareCrop(60.0, 60.0, 100.0), SquareCrop(190.0, 50.0, 90.0))


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    built = AniFaceDiffPipeline.untrained(image_size=32)
    stir(built)
    built.set_progress_bar_config(disable=True)
    return built


def roles(pipe: AniFaceDiffPipeline, frames: int = 5) -> list[Role]:
    driving = faces(pipe, 2 * frames)
    return [
        Role(TrackedImage(crop.apply(PICTURE, 256), crop, faces(pipe, 1), 0.0), driving[first : first + frames])
        for crop, first in zip(CROPS, (0, frames), strict=True)
    ]


def test_each_face_is_drawn_as_it_is_alone_and_laid_where_it_was(pipe: AniFaceDiffPipeline):
    cast, told = roles(pipe), list[tuple[int, int]]()

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    options: dict[str, Any] = {"num_inference_steps": 2, "window_size": 2, "overlap": 1, "cache_interval": 2}
    found = list(animate_in_place(pipe, PICTURE, cast, on_window=tell, **options))
    alone = [
        [frame.image for frame in pipe.stream(role.face, role.driving.seen_as(role.face.parameters), **options)]
        for role in cast
    ]
    paste = PasteBack(PICTURE, CROPS)
    expected = [paste(squares) for squares in zip(*alone, strict=True)]
    assert (np.stack(found) == np.stack(expected)).all()
    assert len(found) == 5
    assert (found[0] != found[1]).any()
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_driver_that_walks_and_grows_does_not_move_the_face(pipe: AniFaceDiffPipeline):
    role = roles(pipe, 2)[0]
    nearer = Similarity(torch.tensor([1.0, 1.7]), torch.tensor([[0.0, 0.0], [30.0, 9.0]]))
    walking = replace(role, driving=role.driving.moved(nearer))
    options: dict[str, Any] = {"num_inference_steps": 1}
    for rests, walks in zip(
        animate_in_place(pipe, PICTURE, [role], **options),
        animate_in_place(pipe, PICTURE, [walking], **options),
        strict=True,
    ):
        assert (rests == walks).all()


def test_drivers_of_different_lengths_are_refused(pipe: AniFaceDiffPipeline):
    one, other = roles(pipe, 3)
    with pytest.raises(InputError, match=r"\[3, 2\] frames"):
        animate_in_place(pipe, PICTURE, [one, replace(other, driving=other.driving[:2])])
