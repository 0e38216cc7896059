import pytest
import torch

from anifacediff.geometry.chunks import chunks, frames_at_once


@pytest.mark.parametrize(("frames", "size"), [(0, 3), (1, 3), (3, 3), (7, 3), (7, 1)])
def test_pieces_hold_every_frame_once(frames: int, size: int) -> None:
    pieces = [list(range(frames))[piece] for piece in chunks(frames, size)]
    assert [frame for piece in pieces for frame in piece] == list(range(frames))
    assert len(pieces) == max(1, -(-frames // size))
    assert max(map(len, pieces)) <= size


def test_fewer_large_frames_are_drawn_together_and_never_none() -> None:
    cpu, other = torch.device("cpu"), torch.device("meta")
    assert frames_at_once(256 * 256, cpu) == 4
    assert frames_at_once(256 * 256, other) == 64
    assert frames_at_once(10**9, cpu) == 1
