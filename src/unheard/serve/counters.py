"""What the server says of itself to Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unheard.serve.limits import Gate
from unheard.serve.voices import Voices

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Counters:
    """Counts of one server; nothing in them tells of a client or a recording.

    Parameters
    ----------
    gate, voices
        What is in hand.
    """

    def __init__(self, gate: Gate, voices: Voices) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "unheard_requests", "Requests that were answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "unheard_request_seconds",
            "Time to answer a request, its upload included.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._recordings = Counter(
            "unheard_recordings", "Recordings by what came of them.", ["outcome"], registry=self._registry
        )
        self._audio = Counter(
            "unheard_audio_seconds", "Length of the recordings that were answered.", registry=self._registry
        )
        for name, said, value in (
            ("unheard_requests_in_hand", "Requests that are being answered.", lambda: gate.requests),
            ("unheard_recordings_waiting", "Recordings that wait or are computed.", lambda: gate.recordings),
            ("unheard_body_bytes", "Bytes of bodies in memory.", lambda: gate.memory),
            ("unheard_voices", "Voice profiles that are kept.", lambda: len(voices)),
        ):
            Gauge(name, said, registry=self._registry).set_function(value)

    def recording(self, label: object, answered: bool, seconds: float) -> None:
        """Count a recording: ``labelled``, ``unsure`` (an answer without a label) or ``none``."""
        outcome = "labelled" if label is not None else "unsure" if answered else "none"
        self._recordings.labels(outcome).inc()
        self._audio.inc(seconds)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all of it in the format of Prometheus."""
        return generate_latest(self._registry)


class Counted:
    """An application whose requests are counted by route; paths that are none count together.

    Parameters
    ----------
    app
        The application.
    counters
        Where they are counted.
    """

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app, self._counters = app, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it when its answer has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._counters.request(route, status, time.perf_counter() - begin)
