"""The page in a real browser, and what it refuses on the network."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.tracking import default_tracker
from anifacediff.web import Studio, samples, served

PATIENCE = 30.0  # seconds after which something that should appear has not
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AVATAR, CLIP = samples()[0]


@dataclass(frozen=True)
class Site:
    address: str
    studio: Studio


@pytest.fixture(scope="module")
def site() -> Generator[Site]:
    studio = Studio({"small": lambda: AniFaceDiffPipeline.untrained(image_size=64)}, default_tracker, longest=60.0)
    with served(studio, samples=samples()) as address:
        yield Site(address, studio)


@pytest.fixture(scope="module")
def browser() -> Generator[Callable[[], Page]]:
    """Opens tabs."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield lambda: chromium.new_page(viewport={"width": 1280, "height": 800})
        chromium.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    source, path = VideoSource(CLIP), tmp_path / "short.mp4"
    with VideoWriter(path, source.fps) as writer:
        for frame in islice(source, 2):
            writer.write(frame)
    return path


def visit(page: Page, site: Site) -> set[str]:
    """Open the page; gives the hosts that the browser asks for anything, from now on."""
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url[:4] == "http" else None)
    page.goto(site.address)
    expect(page.locator("#animate")).to_be_enabled()
    return hosts


def upload(page: Page, reference: Path, driving: Path) -> None:
    page.locator("input[type=file][accept*=image]").first.set_input_files(reference)
    page.locator("input[type=file][accept*=video]").first.set_input_files(driving)
    expect(page.locator("video").first).to_be_attached()
    expect(page.locator("[data-testid=image] img, .image-frame img").first).to_be_visible()


def press(page: Page, button: str) -> None:
    page.locator(button).click()


def says(page: Page, text: str) -> None:
    expect(page.locator("#work")).to_contain_text(text)


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_upload_becomes_a_video_and_nothing_is_asked_of_other_hosts(
    site: Site, browser: Callable[[], Page], clip: Path
):
    page = browser()
    hosts = visit(page, site)
    upload(page, AVATAR, clip)
    page.get_by_text("Settings").click()
    page.get_by_label("number input for Steps").fill("1")
    press(page, "#animate")
    says(page, "The face was found in 2 of 2 frames")
    expect(page.locator("#work figure img")).to_have_count(4)
    video = page.locator("#result video")
    expect(video).to_be_attached()
    page.wait_for_function("document.querySelector('#result video').videoWidth == 64")
    expect(page.locator("#animate")).to_be_enabled()
    assert hosts == {site.address.split("/")[2]}
    page.close()


def test_stopping_gives_the_turn_to_the_next_in_line(site: Site, browser: Callable[[], Page], clip: Path):
    first, second = begun(browser(), site), browser()
    visit(second, site)
    upload(second, AVATAR, clip)
    press(second, "#animate")
    says(second, "Waiting: 1 animation is made before yours")
    press(first, "#stop")
    says(first, "Stopped")
    expect(first.locator("#animate")).to_be_enabled()
    says(second, "The face was found in 2 of 2 frames")
    wait_until(lambda: not site.studio.busy)
    assert not site.studio.busy
    first.close()
    second.close()


def test_closing_the_tab_frees_the_turn(site: Site, browser: Callable[[], Page]):
    begun(browser(), site).close()
    wait_until(lambda: not site.studio.busy)
    assert not site.studio.busy


def begun(page: Page, site: Site) -> Page:
    """A page on which a long animation is being made."""
    visit(page, site)
    upload(page, AVATAR, CLIP)
    press(page, "#animate")
    expect(page.locator("#work figure img")).to_have_count(2)  # the clip is followed
    assert site.studio.busy
    return page


def test_an_upload_that_is_no_video_is_answered_in_words(site: Site, browser: Callable[[], Page], tmp_path: Path):
    (tmp_path / "notes.mp4").write_text("No video, only words.")
    page = browser()
    visit(page, site)
    upload(page, AVATAR, tmp_path / "notes.mp4")
    press(page, "#animate")
    says(page, "The clip: neither an image nor a video that can be read")
    assert "Traceback" not in page.content()
    page.close()


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../../../../etc/hostname", "pyproject.toml", str(Path(__file__)), "file:///etc/hostname"]
)
def test_files_of_this_machine_are_not_served(site: Site, path: str):
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{site.address}gradio_api/file={path}")
    assert refused.value.code in (403, 404)


def test_another_name_for_this_machine_is_refused(site: Site):
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(site.address, headers={"Host": "evil.example"}))
    assert refused.value.code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", "127.0.0.1"])
def test_pages_of_other_hosts_cannot_write_here(site: Site, origin: str):
    with pytest.raises(HTTPError) as refused:
        send_file(site, {"Origin": origin})
    assert refused.value.code == 403


def test_the_page_itself_and_programs_can_write_here(site: Site):
    assert send_file(site, {"Origin": site.address.rstrip("/")}) == send_file(site, {}) == 200


def send_file(site: Site, headers: dict[str, str]) -> int:
    """Upload as a form of any page can, without the browser asking this machine first."""
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nwords\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x", **headers}
    with urlopen(Request(f"{site.address}gradio_api/upload", body, headers)) as answer:
        return answer.status


def test_browsers_are_told_to_load_nothing_from_elsewhere(site: Site):
    with urlopen(site.address) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/etc/hostname", str(AVATAR), "http://127.0.0.1:9/x.png"])
def test_a_file_that_nobody_uploaded_is_refused(site: Site, path: str):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    assert call(site, file)["success"] is False
    assert not site.studio.busy


def test_the_same_call_without_files_is_answered_in_words(site: Site):
    answer = call(site, None)
    assert answer["success"] is True
    assert "something missing" in answer["output"]["data"][0]


def call(site: Site, file: dict[str, Any] | None) -> dict[str, Any]:
    """Press Animate as a program would, with a file in both places, and give the last thing that is answered."""
    values: list[Any] = [None, file, file, "small", "", 1, "", 0, -1, -1]
    buttons = [each for each in config(site)["dependencies"] if len(each["inputs"]) == len(values)]
    assert len(buttons) == 1
    number = buttons[0]["id"]
    body = {"data": values, "fn_index": number, "session_hash": f"intruder{threading.get_ident()}"}
    join = Request(
        f"{site.address}gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urlopen(join, timeout=PATIENCE).close()
    with urlopen(f"{site.address}gradio_api/queue/data?session_hash={body['session_hash']}", timeout=PATIENCE) as told:
        for line in told:
            event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
            if event.get("msg") == "process_completed":
                return event
    raise AssertionError("the page did not answer")


def config(site: Site) -> dict[str, Any]:
    with urlopen(f"{site.address}config") as answer:
        return json.load(answer)
