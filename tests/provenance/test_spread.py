"""The built-in mark: invisible, and found after encoding, scaling and pasting."""

import io
import math
from collections.abc import Iterator
from statistics import NormalDist

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import UInt8
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.provenance import SpreadMark, marked
from anifacediff.provenance.spread import surprise

Clip = UInt8[np.ndarray, "f h w 3"]


def drawn(frames: int, height: int = 128, width: int = 128, *, seed: int = 0, cells: int = 14) -> Clip:
    """Smooth blobs with an edge, which move a little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    large = np.array(Image.fromarray(coarse).resize((width + frames, height + frames), Image.Resampling.BICUBIC))
    large[height // 3 : height // 2, width // 4 :] //= 2
    return np.stack([large[shift : shift + height, shift : shift + width] for shift in range(frames)])


def scaled(clip: Clip, height: int, width: int) -> Clip:
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height))) for frame in clip])


def encoded(clip: Clip, crf: int = 28) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Through H.264 and back."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = clip.shape[1], clip.shape[2], "yuv420p"
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8)


def psnr(old: Clip, new: Clip) -> float:
    errors = ((old.astype(float) - new) ** 2).mean((1, 2, 3))
    return 10 * math.log10(255**2 / max(float(errors.max()), 1e-9))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(8, 150), st.integers(8, 150), st.sampled_from([2, 14, 90]))
def test_every_marked_frame_is_42_db_from_what_it_was(seed: int, height: int, width: int, cells: int):
    clip = drawn(2, height, width, seed=seed, cells=cells)
    assert psnr(clip, SpreadMark().embed(clip)) >= 42.08


def test_black_and_white_are_clipped_and_do_not_wrap():
    for level in (0, 255):
        clip = np.full((1, 64, 64, 3), level, np.uint8)
        assert np.abs(SpreadMark().embed(clip).astype(int) - level).max() < 16


def test_the_mark_changes_brightness_alone_and_is_stronger_where_it_is_busy():
    clip = np.full((1, 96, 96, 3), 100, np.uint8)
    clip[:, ::2, 48:] = 140
    change = SpreadMark().embed(clip).astype(int) - clip
    assert (change[..., 0] == change[..., 1]).all()
    assert (change[..., 0] == change[..., 2]).all()
    assert np.abs(change[:, :, 56:]).mean() > 1.3 * np.abs(change[:, :, :40]).mean()


def test_it_survives_h264_and_scaling_and_both():
    clip = SpreadMark().embed(drawn(8))
    for after in (encoded(clip), scaled(clip, 96, 96), encoded(scaled(clip, 96, 96), 23), scaled(clip, 256, 200)):
        assert SpreadMark().detect(after).found
    assert not SpreadMark("another key").detect(encoded(clip)).found
    assert not SpreadMark().detect(encoded(drawn(8))).found


def test_a_region_of_any_shape_is_marked_and_all_else_is_untouched():
    clip = drawn(2, 120, 200)
    after = SpreadMark().embed(clip, (30, 10, 180, 110))
    assert SpreadMark().detect(after[:, 10:110, 30:180]).found
    after[:, 10:110, 30:180] = clip[:, 10:110, 30:180]
    np.testing.assert_array_equal(after, clip)


def test_a_square_that_was_scaled_and_pasted_is_found_where_it_is():
    full = drawn(6, 200, 300, seed=5)
    full[:, 37:187, 101:251] = scaled(SpreadMark().embed(drawn(6)), 150, 150)
    evidence = SpreadMark().detect(encoded(full, 23))
    assert evidence.found
    np.testing.assert_allclose(evidence.place, (101, 37, 251, 187), atol=2)


def test_the_noise_of_frames_is_averaged_out():
    noise = np.random.default_rng(0).integers(-24, 25, (16, 128, 128, 3))
    clip = (SpreadMark().embed(drawn(16)).astype(int) + noise).clip(0, 255).astype(np.uint8)
    one, together = (SpreadMark().detect(clip[:count]).score for count in (1, 16))
    assert together > 2 * one


def test_one_unmarked_picture_in_many_keys_is_never_found():
    clip = drawn(1, 64, 64)
    assert not any(SpreadMark(str(key)).detect(clip).found for key in range(30))


def test_surprise_is_the_logarithm_of_the_bound_over_all_places():
    factor = 1 / (4 * (1 - NormalDist().cdf(math.sqrt(2))))
    assert surprise(5.0, 1) == pytest.approx(-math.log10(factor * NormalDist().cdf(-5)), abs=1e-4)
    assert surprise(5.0, 40) == pytest.approx(-math.log10(40 * factor * NormalDist().cdf(-5)), abs=1e-4)
    assert surprise(1.0, 1000) == 0
    assert surprise(-9.0, 1) == 0
    assert 2700 < surprise(112.0, 1) < 2730


def test_wrapping_frames_is_the_same_as_marking_the_clip():
    clip = drawn(3, 40, 60)
    np.testing.assert_array_equal(np.stack(list(marked(clip))), SpreadMark().embed(clip))
    other = SpreadMark("mine")
    region = (4, 4, 40, 36)
    np.testing.assert_array_equal(np.stack(list(marked(clip, other, region=region))), other.embed(clip, region))


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="clip is empty"):
        SpreadMark().detect([])
    with pytest.raises(InputError, match="give one size"):
        SpreadMark().detect([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)])
    with pytest.raises(InputError, match="positive number"):
        SpreadMark(threshold=0)
    for region in ((0, 0, 0, 8), (4, 4, 2, 8), (-1, 0, 8, 8), (0, 0, 9, 8)):
        with pytest.raises(InputError, match="region: left"):
            SpreadMark().embed(np.zeros((1, 8, 8, 3), np.uint8), region)
