"""The server itself: uvicorn, impatient with clients that send nothing, and ended by SIGTERM without a loss."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from unheard.errors import MachineError

#: Seconds in which the head of a request must arrive.
HEAD_SECONDS = 10.0
#: Seconds that a connection without a request is kept.
KEEP_SECONDS = 30
#: Bytes of a message of a WebSocket.
MESSAGE = 2**20
#: Connections at a moment; more are told to come back by uvicorn itself.
CONNECTIONS = 512


class Impatient(H11Protocol):
    """A connection that is closed where the head of a request does not arrive in time."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Begin to wait where a request has begun and its head is not whole."""
        super().data_received(data)
        self._wait()

    def _wait(self) -> None:
        if self._in_request():
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._waiting = None
        if not self._in_request() and self.transport.get_protocol() is self:
            self.transport.close()

    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class Draining(uvicorn.Server):
    """A server that answers what it took on before it ends, and then ends well, whatever told it to.

    Parameters
    ----------
    config
        As of uvicorn.
    ready
        Called when requests are taken.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more connections; told so twice, wait for nobody."""
        self.force_exit = self.should_exit
        self.should_exit = True


def run(app: ASGIApp, host: str, port: int, drain_seconds: int, ready: Callable[[str], object]) -> None:
    """Serve until SIGTERM or an interrupt; no request is logged.

    Parameters
    ----------
    app
        The application.
    host, port
        Where to listen; port 0 is a free one.
    drain_seconds
        How long answers are waited for at the end.
    ready
        Called with the address when requests are taken.

    Raises
    ------
    MachineError
        The address cannot be listened at.
    """
    config = uvicorn.Config(
        app,
        http=Impatient,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws_max_size=MESSAGE,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )
    with _listening(host, port) as listener:
        name, number = listener.getsockname()[:2]
        address = f"http://{f'[{name}]' if ':' in name else name}:{number}"
        Draining(config, lambda: ready(address)).run([listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise MachineError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}); choose another with --host "
            "and --port"
        ) from error
