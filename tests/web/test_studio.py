"""Orders of the page, without a page."""

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.errors import CheckpointError, InputError, MediaError, NoFaceError, OutputError, SeveralFacesError
from anifacediff.live import Closed
from anifacediff.media import VideoSource, VideoWriter, read_image
from anifacediff.provenance import SpreadMark, read_record
from anifacediff.tracking import default_tracker
from anifacediff.web.clicks import Shown, ordered
from anifacediff.web.order import Order, Progress
from anifacediff.web.studio import Studio

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
AVATAR = SAMPLES / "avatar.png"
FRAMES = 3


def small() -> AniFaceDiffPipeline:
    return AniFaceDiffPipeline.untrained(image_size=64)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio({"small": small, "other": small}, default_tracker, longest=1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("clip") / "driving.mp4", lambda frame: frame)


def written(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """The first frames of the bundled clip, changed."""
    source = VideoSource(SAMPLES / "driving.mp4")
    with VideoWriter(path, source.fps) as writer:
        for frame in islice(source, FRAMES):
            writer.write(change(frame))
    return path


def test_an_order_is_shown_while_it_is_made_and_ends_with_the_video(studio: Studio, clip: Path):
    states: list[Progress] = []
    for state in studio.animate("anna", Order(AVATAR, clip, "small", steps=1)):
        states.append(state)
        if state.result is not None:
            result = VideoSource(state.result)
            assert (result.fps, result.size, len(list(result))) == (24, (64, 64), FRAMES)
            assert SpreadMark().detect(result).found
            told = read_record(state.result)
            assert told is not None
            assert (told.record.settings["steps"], told.record.settings["dtype"]) == (1, "float32")
    last = states[-1]
    assert last.share == 1
    assert f"The face was found in {FRAMES} of {FRAMES} frames" in last.text
    assert set(last.pictures) == {"avatar", "driver", "control", "result"}
    assert last.result is not None
    assert not last.result.parent.exists()  # gone with the generator
    found = read_image(AVATAR)
    assert (np.asarray(last.pictures["avatar"]) == (64, 255, 160)).all(-1).sum() > 68  # landmarks are drawn
    assert found.shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        (Order(AVATAR, AVATAR, "unknown"), InputError, "expected one of small, other"),
        (Order(AVATAR, Path("none.mp4"), "small"), MediaError, "no such file"),
        (Order(AVATAR, AVATAR, "small", preset="slow"), InputError, "expected one of quality"),
        (Order(AVATAR, AVATAR, "small", steps=0), InputError, "at least one step"),
        (Order(AVATAR, AVATAR, "small", face=7), InputError, "shows 1 face"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_the_library(
    studio: Studio, order: Order, error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        list(studio.animate("anna", order))


def test_errors_become_words_that_name_no_file_of_the_server(studio: Studio, clip: Path, tmp_path: Path):
    (tmp_path / "notes.mp4").write_text("No video, <b>only</b> words.")
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "plain.png")
    twins = written(tmp_path / "twins.mp4", lambda frame: np.hstack([frame, frame]))
    cases = {
        Order(AVATAR, tmp_path / "notes.mp4", "small"): "The clip: neither an image nor a video",
        Order(tmp_path / "notes.mp4", clip, "small"): "The picture: this is not an image",
        Order(tmp_path / "plain.png", clip, "small"): "No face was found in the image",
        Order(AVATAR, tmp_path / "plain.png", "small"): "No face was found in any of 1 frames",
        Order(AVATAR, twins, "small"): "choose the face under Settings",
    }
    for order, words in cases.items():
        *_, last = ordered(studio, "anna", order)
        assert words in last.html, last.html
        assert (last.busy, 'role="alert"' in last.html, str(tmp_path) in last.html) == (False, True, False)
    *_, last = ordered(studio, "anna", None)
    assert "missing" in last.html


@pytest.mark.parametrize("error", [ZeroDivisionError, CheckpointError, OutputError])
def test_an_error_that_is_not_of_the_order_is_logged_and_shows_no_details(
    error: type[Exception], clip: Path, caplog: pytest.LogCaptureFixture
):
    def broken() -> AniFaceDiffPipeline:
        raise error("a secret")

    *_, last = ordered(Studio({"broken": broken}, default_tracker, longest=1.0), "anna", Order(AVATAR, clip, "broken"))
    assert "Something went wrong" in last.html
    assert "secret" not in last.html
    assert "a secret" in caplog.text


def test_a_clip_that_is_too_long_is_refused_before_it_is_followed(clip: Path, tmp_path: Path):
    make, told = Studio({"small": small}, default_tracker, longest=2 / 24).load("small"), list[str]()
    with pytest.raises(InputError, match=r"longer than the 0\.0833"):
        make(Order(AVATAR, clip, "small"), tmp_path, lambda state: told.append(state.text))
    assert set(told) == {"Opening the clip"}


def test_who_leaves_is_noticed_while_an_animation_is_opened(studio: Studio, tmp_path: Path):
    first, *others = [Image.new("L", (8, 8), 40 * number) for number in range(4)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    told = list[str]()

    def leave(state: Progress) -> None:
        told.append(state.text)
        if len(told) == 3:
            raise Closed

    with pytest.raises(Closed):
        studio.load("small")(Order(AVATAR, tmp_path / "a.gif", "small"), tmp_path, leave)
    assert set(told) == {"Opening the clip"}


class Gate:
    """A model that is loaded when the test says so."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Semaphore(0), threading.Event()

    def __call__(self) -> AniFaceDiffPipeline:
        self.reached.release()
        assert self.opened.wait(20)
        raise NoFaceError("the work went on")


def test_stopping_ends_the_work_and_says_so(clip: Path):
    gate = Gate()
    studio = Studio({"gate": gate}, default_tracker, longest=1.0)
    shown: list[Shown] = []
    order = Order(AVATAR, clip, "gate")
    visit = threading.Thread(target=lambda: shown.extend(ordered(studio, "anna", order)))
    visit.start()
    assert gate.reached.acquire(timeout=20)
    studio.stop("anna")
    gate.opened.set()
    visit.join(20)
    assert not visit.is_alive()
    assert ("Stopped" in shown[-1].html, shown[-1].busy) == (True, False)


def test_a_second_visitor_waits_and_can_stop_waiting(clip: Path):
    gate = Gate()
    studio = Studio({"gate": gate}, default_tracker, longest=1.0)
    first = threading.Thread(target=lambda: list(ordered(studio, "anna", Order(AVATAR, clip, "gate"))))
    first.start()
    assert gate.reached.acquire(timeout=20)
    waiting = studio.animate("ben", Order(AVATAR, clip, "gate"))
    assert "Waiting: 1 animation is made before yours" in next(waiting).text
    studio.stop("nobody")
    studio.stop("ben")
    assert ["Stopping" in state.text for state in waiting] == [True]
    assert not gate.reached.acquire(blocking=False)  # his order never reached the model
    gate.opened.set()
    first.join(20)
    assert not first.is_alive()


def test_two_visitors_at_once_get_their_own_videos(studio: Studio, clip: Path):
    videos: dict[str, np.ndarray] = {}

    def visit(name: str, seed: int) -> None:
        for shown in ordered(studio, name, Order(AVATAR, clip, "small", steps=1, start="noise", seed=seed)):
            if shown.video is not None:
                videos[name] = np.stack(list(VideoSource(shown.video)))

    visits = [threading.Thread(target=visit, args=each) for each in (("anna", 0), ("ben", 1), ("cleo", 0))]
    for each in visits:
        each.start()
    for each in visits:
        each.join(60)
    assert videos.keys() == {"anna", "ben", "cleo"}
    assert (videos["anna"] == videos["cleo"]).all()
    assert (videos["anna"] != videos["ben"]).any()


def test_several_faces_in_the_clip_can_be_chosen_from(studio: Studio, tmp_path: Path):
    twins = written(tmp_path / "twins.mp4", lambda frame: np.hstack([frame, frame]))
    with pytest.raises(SeveralFacesError):
        list(studio.animate("anna", Order(AVATAR, twins, "small", steps=1)))
    *_, last = studio.animate("anna", Order(AVATAR, twins, "small", steps=1, driving_face=1))
    assert last.result is not None
