"""The page in a real browser: upload, record, a voice, two people, a broken file, keyboard, a small screen."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import soundfile

from bundle_parts import sound
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.runtime import load
from unheard.demo import PRIVATE

CHROMIUM = shutil.which("chromium")
pytest.importorskip("gradio", reason="the extra demo is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path (apt-get install chromium)"),
]
FAKES = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("heard")
    for k in range(4):
        soundfile.write(folder / f"{k}.wav", sound(k, 3.0), 16_000)
    (folder / "broken.wav").write_bytes(b"RIFF broken")
    return sorted(map(str, folder.glob("*.wav")))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from unheard.demo.page import build, served

    elsewhere = Path(tempfile.gettempdir()) / "gradio"
    before = set(elsewhere.rglob("*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bundle = load(make_bundle(tmp_path_factory.mktemp("tried") / "toy", Priors()))
    with served(build(bundle), "127.0.0.1", port) as found:
        yield found
        assert list(Path(PRIVATE.name).rglob("*.wav"))  # which is removed with the page
    assert not list(Path(PRIVATE.name).rglob("*.wav"))
    assert set(elsewhere.rglob("*")) == before


@pytest.fixture(scope="module")
def browser(clips: list[str]) -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        fed = f"--use-file-for-fake-audio-capture={clips[0]}"
        found = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *FAKES, fed]
        )
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Open the page in a browser of its own; no request may go elsewhere."""
    asked: list[str] = []
    contexts = []

    def open_page(**settings: Any) -> Any:
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("#ask")
        return page

    yield open_page
    for each in contexts:
        each.close()
    hosts = {
        urlsplit(url).hostname for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")
    }
    assert hosts == {"127.0.0.1"}


def upload(page: Any, clip: str) -> None:
    page.set_input_files("#recording input[type=file]", clip)
    page.wait_for_selector("#recording [data-testid=waveform-Recording] .timestamps, #recording #waveform")
    page.wait_for_timeout(1000)


def test_two_people_ask_at_once_and_only_one_lets_its_voice_be_known(visit: Any, clips: list[str]) -> None:
    one, other = visit(), visit()
    for page in (one, other):
        upload(page, clips[1])
        page.click("#ask")
        page.wait_for_selector("#answer .answer")
        page.wait_for_selector("#timeline svg")
    one.click("#voice button")
    one.set_input_files("#clips input[type=file]", clips[:4])
    one.wait_for_timeout(2000)
    one.click("#know")
    one.wait_for_selector("#answer .pair")
    assert "Knowing the voice (4 clips)" in one.inner_text("#answer")
    other.click("#ask")
    other.wait_for_timeout(2000)
    assert other.locator(".pair").count() == 0
    one.click("#forget")
    one.wait_for_selector("#answer .pair", state="detached")


def test_a_recording_of_the_microphone_is_answered(visit: Any) -> None:
    page = visit()
    page.click("#recording [aria-label='Record audio']")
    page.click("#recording .record-button")
    page.wait_for_timeout(3000)
    page.click("#recording .stop-button")
    page.wait_for_timeout(2000)
    page.click("#ask")
    page.wait_for_selector("#answer .answer")
    assert "%" in page.inner_text("#answer")


def test_a_broken_file_gets_a_sentence(visit: Any, clips: list[str]) -> None:
    page = visit()
    page.set_input_files("#recording input[type=file]", clips[4])
    page.wait_for_timeout(1500)
    page.click("#ask")
    page.wait_for_selector("#answer [role=alert]")
    assert "Not audio" in page.inner_text("#answer")


def test_the_keyboard_alone_on_a_small_dark_screen_is_enough(visit: Any, clips: list[str]) -> None:
    page = visit(viewport={"width": 375, "height": 800}, color_scheme="dark")
    upload(page, clips[2])
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "ask":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .answer")
    page.wait_for_selector("#timeline svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
