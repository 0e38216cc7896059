import numpy as np
import pytest
import torch

from anifacediff.media.pictures import to_images, to_pictures


def test_bytes_are_rounded_and_clipped():
    colours = torch.tensor([-1.0, 0.0, 0.5, 127.6 / 255, 1.0, 2.0])
    pictures = to_pictures(colours.expand(2, 3, 1, 6))
    assert pictures.shape == (2, 1, 6, 3)
    assert pictures.dtype == np.uint8
    assert pictures[1, 0, :, 2].tolist() == [0, 0, 128, 128, 255, 255]


def test_channels_keep_their_places_and_one_becomes_grey():
    image = torch.arange(24).reshape(1, 3, 2, 4) / 255
    assert np.array_equal(to_pictures(image)[0], np.arange(24).reshape(3, 2, 4).transpose(1, 2, 0))
    grey = to_pictures(image[:, :1])[0]
    assert np.array_equal(grey, np.repeat(np.arange(8).reshape(2, 4, 1), 3, axis=2))


def test_bytes_go_to_images_and_back():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
    images = to_images(pictures)
    assert images.shape == (2, 3, 3, 4, 5)
    assert images[1, 2, 0, 3, 4].item() == pytest.approx(pictures[1, 2, 3, 4, 0] / 255)
    assert np.array_equal(to_pictures(images[1]), pictures[1])
