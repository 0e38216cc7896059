from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.media import VideoSource, VideoWriter, read_image

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
AVATAR = SAMPLES / "avatar.png"


def run(*arguments: object) -> tuple[int, str]:
    """The exit code and what was told."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.stderr.split())


def clip(path: Path, first: int, frames: int, fps: int) -> Path:
    with VideoWriter(path, fps) as writer:
        for frame in islice(VideoSource(SAMPLES / "driving.mp4"), first, first + frames):
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two avatars in one picture, with something beside them: the larger one on the right."""
    folder = tmp_path_factory.mktemp("group")
    avatar = Image.open(AVATAR).convert("RGB")
    picture = Image.effect_noise((640, 300), 60).convert("RGB")
    picture.paste(avatar.resize((220, 220)), (30, 50))
    picture.paste(avatar, (340, 20))
    picture.save(folder / "group.png")
    clip(folder / "main.mp4", 0, 4, 24)
    clip(folder / "short.mp4", 30, 1, 12)
    return folder


def frames_of(path: Path) -> np.ndarray:
    return np.stack(list(VideoSource(path))).astype(int)


def test_two_faces_each_with_its_own_driver_are_laid_back(group: Path, tmp_path: Path):
    command = ("animate", group / "group.png", group / "main.mp4", "--steps", 1, "--face", 0)
    code, told = run(*command, "-o", tmp_path / "both", "--driver", f"1={group / 'short.mp4'}")
    assert code == 0, told
    assert "short.mp4: face found in 1 of 1 frames" in told
    both, picture = frames_of(tmp_path / "both"), read_image(group / "group.png")
    assert both.shape == (4, 300, 640, 3)
    moved = (both != picture).any(-1).any(0)
    assert not moved[:10].any()
    assert not moved[:, 620:].any()
    left, right = both[:, 80:220, 70:210], both[:, 60:230, 380:560]
    for part, where in ((left, picture[80:220, 70:210]), (right, picture[60:230, 380:560])):
        assert (part[0] != where).mean() > 0.3
    assert (left[0] == left[3]).all()  # its driver has one frame
    assert (right[0] != right[3]).any()
    code, told = run(*command, "-o", tmp_path / "one", "--paste", "--compare")
    assert code == 0, told
    one = frames_of(tmp_path / "one")
    assert one.shape == (4, 300 + 18, 640 + 300 + 640 + 4, 3)
    assert (one[:, 18:, :640] == picture).all()
    assert (one[:, 18:, -640:][:, :, :300] == picture[:, :300]).all()  # the other face rests
    assert (one[:, 18:, -640:][:, 60:230, 380:560] == right).mean() > 0.99


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        ("other.mp4", "expected FACE=CLIP"),
        ("1=", "expected FACE=CLIP"),
        ("1=none.mp4", "none.mp4: there is no such file"),
        ("a,b=main.mp4", "there is no such file"),
    ],
)
def test_drivers_that_cannot_be_understood_are_told(group: Path, tmp_path: Path, driver: str, says: str):
    code, told = run("animate", group / "group.png", group / "main.mp4", "-o", tmp_path / "out.mp4", "--driver", driver)
    assert (code, says in told) == (3, True), told
    assert list(tmp_path.iterdir()) == []


def test_one_face_cannot_have_two_drivers(group: Path, tmp_path: Path):
    main = group / "main.mp4"
    command = ("animate", group / "group.png", main, "-o", tmp_path / "out.mp4", "--steps", 1, "--face", 0)
    code, told = run(*command, "--driver", f"0={main}")
    assert (code, "has a driver already" in told) == (3, True), told
    assert list(tmp_path.iterdir()) == []
