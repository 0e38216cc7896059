from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anifacediff.errors import MediaError, OutputError
from anifacediff.media.images import MAX_PIXELS, read_image, write_image


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_png_round_trip_is_exact(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture())
    assert np.array_equal(read_image(tmp_path / "a.png"), picture())


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    stored = picture()
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        6: np.rot90(stored, -1),
        8: np.rot90(stored),
    }
    for orientation, expected in upright.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(read_image(tmp_path / "a.png"), expected), orientation


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (255, 0, 0, 255)
    pixels[0, 1] = (255, 0, 0, 0)
    pixels[1, 0] = (0, 0, 0, 51)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read[0, 0].tolist() == [255, 0, 0]
    assert read[0, 1].tolist() == [255, 255, 255]
    assert read[1, 0].tolist() == [204, 204, 204]


def test_palette_with_transparent_color_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=1)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[10, 20, 30], [255, 255, 255], [10, 20, 30]]


def test_16_bit_grayscale_keeps_its_upper_bits(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_grayscale_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "gray.png")
    Image.new("CMYK", (4, 3), (0, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    assert np.array_equal(read_image(tmp_path / "gray.png"), np.full((3, 4, 3), 77))
    assert (read_image(tmp_path / "cmyk.jpg") > 250).all()


def test_first_picture_of_an_animation(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(MediaError, match="no agreed range"):
        read_image(tmp_path / "a.tiff")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("pixels", [MAX_PIXELS, 2 * MAX_PIXELS, 20 * MAX_PIXELS])
def test_bomb_is_refused_before_decoding(tmp_path: Path, pixels: int) -> None:
    bomb = tmp_path / "bomb.ppm"
    bomb.write_bytes(b"P6 10000 %d 255\n" % (pixels // 10000 + 1))
    with pytest.raises(MediaError, match=r"too large.*The limit is 80,000,000 pixels"):
        read_image(bomb)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_truncated_image_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write_image(path, picture(200, 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=rf"a\.{suffix}"):
        read_image(path)


def test_missing_folder_empty_and_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    for name, message in {
        "none.png": "no such file",
        "": "folder",
        "empty.png": "empty",
        "text.png": "not an image",
    }.items():
        with pytest.raises(MediaError, match=message):
            read_image(tmp_path / name)


def test_unwritable_image(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "missing" / "a.png", picture())
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "a.xyz", picture())
