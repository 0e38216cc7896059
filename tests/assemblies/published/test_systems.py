from pathlib import Path

import pytest

from anifacediff.assemblies.published.systems import SYSTEMS
from anifacediff.errors import InputError


def laid(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_are_found_as_their_authors_lay_them_out(tmp_path: Path):
    folder = laid(
        tmp_path,
        "image/pretrained_unet/unet.pth",
        "image/mim.pth",
        "video/3dunet.pth",
        "video/mim.pth",
        "video/vision_encoder/model.safetensors",
    )
    found = SYSTEMS["mimaface"].find([folder])
    assert {name: str(path.relative_to(folder)) for name, path in found.items()} == {
        "unet": "image/pretrained_unet/unet.pth",
        "3dunet": "video/3dunet.pth",
        "mim": "video/mim.pth",
    }


def test_files_may_be_given_one_by_one(tmp_path: Path):
    names = ("denoising_unet.pth", "reference_unet.pth", "pose_guider.pth")
    laid(tmp_path, *names)
    found = SYSTEMS["aniportrait"].find([tmp_path / name for name in names])
    assert found == {Path(name).stem: tmp_path / name for name in names}


def test_what_is_not_there_is_left_for_the_converter_to_name(tmp_path: Path):
    found = SYSTEMS["magicportrait"].find([laid(tmp_path, "denoising_unet.pth", "motion_module-47360.pth")])
    assert set(found) == {"denoising_unet", "motion_module"}
    with pytest.raises(InputError, match=r"missing .*guidance_encoder_depth.*reference_unet"):
        SYSTEMS["magicportrait"].convert(found, tmp_path / "out")


def test_two_that_fit_are_refused(tmp_path: Path):
    folder = laid(tmp_path, "a/pose_guider.pth", "b/pose_guider.pth")
    with pytest.raises(InputError, match=r"pose_guider: could be any of .*a/pose_guider.pth.*b/pose_guider.pth"):
        SYSTEMS["moore-animateanyone"].find([folder])


def test_a_source_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="nowhere: there is no such file or folder"):
        SYSTEMS["mimaface"].find([tmp_path / "nowhere"])
