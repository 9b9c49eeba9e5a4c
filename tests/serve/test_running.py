"""The server on a real socket: clients that send nothing or promise too much, and an end without a loss."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from serve_parts import form

from unheard.bundle.runtime import Bundle
from unheard.errors import MachineError
from unheard.serve import running
from unheard.serve.app import create_app
from unheard.serve.limits import Limits


class Running:
    """A server in a thread."""

    def __init__(self, bundle: Bundle, limits: Limits) -> None:
        self.app = create_app(bundle, limits)
        self.listener = running._listening("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        begun = threading.Event()
        config = uvicorn.Config(
            self.app, http=running.Impatient, log_level="critical", timeout_graceful_shutdown=10
        )
        self.server = running.Draining(config, begun.set)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        assert begun.wait(20)

    def stop(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.listener.close()

    def raw(self, sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.sendall(sent)
        return connection


@pytest.fixture
def served(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(running, "HEAD_SECONDS", 1.0)
    server = Running(bundle, Limits(upload_seconds=1.5))
    yield server
    if server.thread.is_alive():
        server.stop()


def test_clients_that_send_nothing_or_promise_too_much_are_let_go(served: Running, clips: list[Path]) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n"
    silent, half = served.raw(b""), served.raw(head)
    slow = served.raw(head + b"Content-Length: 1000\r\n\r\nRIFF")
    huge = served.raw(head + b"Content-Length: 10000000000\r\n\r\nRIFF")
    gone = served.raw(head + b"Content-Length: 1000\r\n\r\nRIFF")
    gone.close()
    begin = time.monotonic()
    assert b" 413 " in huge.recv(4096)
    assert time.monotonic() - begin < 5  # nothing of ten gigabytes is waited for
    assert b" 408 " in slow.recv(4096)
    assert silent.recv(4096) == half.recv(4096) == b""  # closed
    for each in (silent, half, slow, huge):
        each.close()
    assert httpx.post(f"{served.url}/v1/predict", files=form(clips[0]), timeout=20).status_code == 200
    gate = served.app.state.server.gate
    assert (gate.requests, gate.memory, gate.recordings) == (0, 0, 0)


def test_a_connection_serves_many_requests_with_pauses(served: Running, clips: list[Path]) -> None:
    with httpx.Client(base_url=served.url, timeout=20) as client:
        for pause in (1.2, 0.0):
            assert client.post("/v1/predict", files=form(clips[0])).status_code == 200
            time.sleep(pause)  # longer than the head of a request may take


def test_what_was_taken_on_is_answered_before_the_end(
    served: Running, bundle: Bundle, clips: list[Path]
) -> None:
    release = threading.Event()
    workers = served.app.state.server.workers
    for _ in range(served.app.state.server.limits.threads):
        workers._threads.submit(release.wait)
    found: list[httpx.Response] = []

    def ask() -> None:
        found.append(httpx.post(f"{served.url}/v1/predict", files=form(clips[0]), timeout=30))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for each in asking:
        each.start()
    until = time.monotonic() + 20
    while served.app.state.server.gate.recordings < 3 and time.monotonic() < until:
        time.sleep(0.01)
    stopping = threading.Thread(target=served.stop)
    stopping.start()
    time.sleep(0.3)
    assert served.thread.is_alive()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{served.url}/health", timeout=5)
    release.set()
    for each in (*asking, stopping):
        each.join(20)
    expected = json.loads(json.dumps(bundle.predict_file(clips[0]).as_dict()))
    assert [each.json()["predictions"][0] for each in found] == [expected] * 3
    assert not served.thread.is_alive()


def test_a_port_that_is_taken_is_said(served: Running) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(0)

    with pytest.raises(MachineError, match=f"port {served.port}"):
        running.run(app, "127.0.0.1", served.port, 1, lambda address: None)
