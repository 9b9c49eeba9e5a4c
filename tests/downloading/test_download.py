"""Corpora from a server on this machine that breaks off, lies, is slow, and changes a byte."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from unheard.downloading.download import RECEIPT, download
from unheard.downloading.fetch import Patience, fetch
from unheard.downloading.sources import Archive, Source, names, source
from unheard.errors import DataError, MachineError, UsageError

QUICK = Patience(silence=0.5, tries=3, wait=0.0, window=0.2, rate=100_000)


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return made.getvalue()


WHOLE = zipped({f"a/{i}.wav": bytes([i]) * 20_000 for i in range(5)} | {"a/notes.txt": b"n", "a/x.exe": b"x"})

#: What a server does with a request: it is given the handler and the bytes from where it was asked for.
Behaviour = Callable[["Handler", int], None]


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour
    asked: list[int]

    def do_GET(self) -> None:
        said = self.headers.get("Range")
        start = int(said.removeprefix("bytes=").rstrip("-")) if said else 0
        self.asked.append(start)
        type(self).behaviour(self, start)

    def answer(
        self, start: int, content: bytes = WHOLE, length: int | None = None, *, ranges: bool = True
    ) -> None:
        start = start if ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start if length is None else length))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], tuple[str, list[int]]]]:
    servers = []

    def start(behaviour: Behaviour) -> tuple[str, list[int]]:
        asked: list[int] = []
        handler = type("One", (Handler,), {"behaviour": staticmethod(behaviour), "asked": asked})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/a.zip", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


Serve = Callable[[Behaviour], tuple[str, list[int]]]


def archive(url: str, **changes: object) -> Archive:
    md5 = hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    return replace(Archive("a.zip", url, 1_000_000, len(WHOLE), md5), **changes)  # type: ignore[arg-type]


def breaks_off(handler: Handler, start: int) -> None:
    """Promise all, give 30,000 bytes."""
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(WHOLE) - 1}/{len(WHOLE)}")
    handler.send_header("Content-Length", str(len(WHOLE) - start))
    handler.end_headers()
    handler.wfile.write(WHOLE[start : start + 30_000])
    handler.close_connection = True


def test_a_connection_that_breaks_off_is_gone_on_with_from_there(serve: Serve, tmp_path: Path) -> None:
    url, asked = serve(breaks_off)
    seen: list[tuple[int, int]] = []
    found = fetch(archive(url), tmp_path / "a", patience=QUICK, progress=lambda *at: seen.append(at))
    assert (tmp_path / "a").read_bytes() == WHOLE and found == hashlib.sha256(WHOLE).hexdigest()
    assert asked == [0, 30_000, 60_000, 90_000]
    assert seen[-1] == (len(WHOLE), len(WHOLE)) and [a for a, _ in seen] == sorted(a for a, _ in seen)


def test_what_an_earlier_call_left_is_gone_on_with(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WHOLE[:12_345])
    url, asked = serve(Handler.answer)
    fetch(archive(url), tmp_path / "a", patience=QUICK)
    assert asked == [12_345] and (tmp_path / "a").read_bytes() == WHOLE
    fetch(archive(url), tmp_path / "a", patience=QUICK)
    assert asked == [12_345]


def test_a_server_without_ranges_begins_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 50_000)
    url, _ = serve(lambda handler, start: handler.answer(start, ranges=False))
    fetch(archive(url), tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == WHOLE


def test_a_wrong_byte_is_fetched_again_once_and_then_told(serve: Serve, tmp_path: Path) -> None:
    wrong = bytearray(WHOLE)
    wrong[50_000] ^= 1
    times: list[int] = []

    def once(handler: Handler, start: int) -> None:
        times.append(start)
        handler.answer(start, bytes(wrong) if len(times) == 1 else WHOLE)

    url, _ = serve(once)
    fetch(archive(url), tmp_path / "a", patience=QUICK)
    assert times == [0, 0] and (tmp_path / "a").read_bytes() == WHOLE
    url, asked = serve(lambda handler, start: handler.answer(start, bytes(wrong)))
    with pytest.raises(DataError, match=r"the md5 is .* also when fetched again"):
        fetch(archive(url), tmp_path / "b", patience=QUICK)
    assert asked == [0, 0] and not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        (lambda h, start: h.answer(start, length=len(WHOLE) + 1000), DataError, "the server offers"),
        (lambda h, start: h.answer(start, WHOLE[:-9]), DataError, "the server offers"),
        (lambda h, start: h.send_error(404), MachineError, "404"),
        (lambda h, start: h.send_error(503), MachineError, "503.*tried 3 times"),
        (lambda h, start: h.connection.close(), MachineError, "tried 3 times"),
        (lambda h, start: time.sleep(0.7), MachineError, "timed out.*tried 3 times"),
    ],
    ids=["too long", "too short", "missing", "overloaded", "hangs up", "silent"],
)
def test_a_server_that_lies_or_fails_is_told(
    serve: Serve, tmp_path: Path, behaviour: Behaviour, error: type[Exception], said: str
) -> None:
    url, _ = serve(behaviour)
    with pytest.raises(error, match=said):
        fetch(archive(url), tmp_path / "a", patience=QUICK)


def test_a_length_that_nobody_published_is_not_believed_beyond_what_comes(
    serve: Serve, tmp_path: Path
) -> None:
    def more(handler: Handler, start: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(WHOLE + b"more")

    url, _ = serve(more)
    with pytest.raises(DataError, match="more bytes come than"):
        fetch(archive(url), tmp_path / "a", patience=QUICK)
    url, _ = serve(lambda handler, start: handler.answer(start, length=len(WHOLE) + 1, ranges=False))
    with pytest.raises(MachineError, match=r"ended early.*tried 3 times"):
        fetch(archive(url, bytes=None, md5=None), tmp_path / "b", patience=QUICK)


def test_a_slow_server_is_left_and_its_bytes_are_kept(serve: Serve, tmp_path: Path) -> None:
    def drips(handler: Handler, start: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WHOLE)))
        handler.end_headers()
        for k in range(20):
            handler.wfile.write(WHOLE[k * 100 : k * 100 + 100])
            time.sleep(0.05)

    url, _ = serve(drips)
    with pytest.raises(MachineError, match=r"fewer than 100,000 bytes a second.*bytes are kept"):
        fetch(archive(url), tmp_path / "a", patience=replace(QUICK, tries=1))
    assert 0 < (tmp_path / "a").stat().st_size < 2_000


@pytest.mark.parametrize("place", ["http://example.org/a.zip", "file:///etc/passwd", "ftp://example.org/a"])
def test_only_https_is_gone_to_and_redirected_to(serve: Serve, tmp_path: Path, place: str) -> None:
    with pytest.raises(MachineError, match="only HTTPS"):
        fetch(archive(place), tmp_path / "a", patience=QUICK)

    def elsewhere(handler: Handler, start: int) -> None:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    url, _ = serve(elsewhere)
    with pytest.raises(MachineError, match=r"only HTTPS|302"):
        fetch(archive(url), tmp_path / "a", patience=QUICK)


def corpus(url: str, **changes: object) -> Source:
    made = Source(
        "toy", "Toy.", "CC0", "https://x", "nobody", (archive(url),), ("*.wav", "*.txt"), 5, top=True
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_corpus_is_a_whole_folder_with_its_receipt(serve: Serve, tmp_path: Path) -> None:
    url, asked = serve(Handler.answer)
    assert download(corpus(url), tmp_path / "d" / "toy", patience=QUICK) == 5
    names_ = sorted(p.name for p in (tmp_path / "d" / "toy").iterdir())
    assert names_ == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav", RECEIPT, "notes.txt"]
    receipt = json.loads((tmp_path / "d" / "toy" / RECEIPT).read_text())
    assert receipt["archives"] == [{"url": url, "sha256": hashlib.sha256(WHOLE).hexdigest()}]
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["toy"]
    assert download(corpus(url), tmp_path / "d" / "toy", patience=QUICK) == 5 and asked == [0]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").touch()
    with pytest.raises(UsageError, match="holds something already"):
        download(corpus(url), tmp_path / "other", patience=QUICK)
    with pytest.raises(DataError, match="5 recordings came, expected 6"):
        download(corpus(url, recordings=6), tmp_path / "six", patience=QUICK)
    assert not (tmp_path / "six").exists()
    with pytest.raises(MachineError, match="GB free"):
        download(
            corpus(url, archives=(archive(url, unpacked_bytes=10**17),)), tmp_path / "no", patience=QUICK
        )


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/../../out.wav", b"x", "leads out of its folder"),
        ("/a/out.wav", b"x", "leads out of its folder"),
        ("a\\..\\..\\out.wav", b"x", "leads out of its folder"),
        ("C:/out.wav", b"x", "leads out of its folder"),
        (link("a/out.wav"), b"/etc/passwd", "no plain file"),
        ("a/bomb.wav", b"\0" * 2_000_000, "unpacks to more than"),
        ("a/0.wav", b"again", "holds 0.wav twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_would_do_harm_is_refused_and_nothing_is_left(
    serve: Serve, tmp_path: Path, name: str | zipfile.ZipInfo, content: bytes, said: str
) -> None:
    made = io.BytesIO(WHOLE)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    evil = made.getvalue()
    url, _ = serve(lambda handler, start: handler.answer(start, evil))
    with pytest.raises(DataError, match=said):
        download(
            corpus(url, archives=(archive(url, bytes=None, md5=None),)), tmp_path / "toy", patience=QUICK
        )
    assert not (tmp_path / "toy").exists()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".zip"]


def test_a_page_in_the_place_of_an_archive_is_told(serve: Serve, tmp_path: Path) -> None:
    url, _ = serve(lambda handler, start: handler.answer(start, b"<html>sign in</html>"))
    with pytest.raises(DataError, match="no zip file"):
        download(
            corpus(url, archives=(archive(url, bytes=None, md5=None),)), tmp_path / "toy", patience=QUICK
        )


@pytest.mark.parametrize("name", names())
def test_sources_are_whole(name: str) -> None:
    found = source(name)
    assert found.licence and found.citation and found.recordings > 0 and found.keep
    for one in found.archives:
        parts = urlsplit(one.url)
        assert parts.scheme == "https" and parts.hostname
        assert one.md5 or one.sha256 or any(len(piece) == 40 for piece in parts.path.split("/")), "pinned"
    plan = "\n".join(found.plan)
    assert found.licence in plan and found.citation in plan
    with pytest.raises(UsageError, match="did you mean 'ravdess'"):
        source("ravdes")
