"""Sound that is still going on, over a WebSocket: samples in, an answer a second out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from unheard.audio.raw import RawSamples
from unheard.bundle.stream import Answer, Stream
from unheard.errors import AudioError, UnheardError
from unheard.serve.errors import BusyError, MalformedError, RequestError
from unheard.serve.routes import Server

#: What a client sends when its sound has ended.
END = "end"
#: Codes by which a connection is closed: at its end, for what the client did, and since there is too much to do.
NORMAL, REFUSED, LATER = 1000, 1008, 1013
#: Bytes of a reason that a closing frame holds.
MAX_REASON = 120

router = APIRouter()


@router.websocket("/v1/stream")
async def stream(
    socket: WebSocket,
    rate: Annotated[int, Query(ge=1_000, le=768_000)] = 16_000,
    voice: Annotated[str | None, Query(max_length=64)] = None,
    adapt: bool = False,
) -> None:
    """Answer 16-bit samples (mono, little-endian) at a rate, sent in binary messages of any size, every second.

    Each answer is a text message as ``Answer.as_dict`` gives it. The text message ``end`` asks for the last,
    after which the connection is closed.
    """
    server: Server = socket.app.state.server
    await socket.accept()
    try:
        _check_origin(socket)
        owner = server.keys.owner(socket.headers.get("authorization"))
        profile = None if voice is None else server.voices.get(owner, voice).profile
        with server.gate.request():
            going = server.bundle.stream(rate, profile=profile, adapt=adapt)
            await _answer_all(socket, server, going, rate)
    except WebSocketDisconnect:
        return
    except TimeoutError:
        await _close(socket, REFUSED, f"no message within {server.limits.upload_seconds:g} s")
    except BusyError as error:
        await _close(socket, LATER, str(error))
    except UnheardError as error:
        await _close(socket, REFUSED, str(error))
    else:
        await _close(socket, NORMAL, "")


async def _answer_all(socket: WebSocket, server: Server, going: Stream, rate: int) -> None:
    raw = RawSamples()
    while True:
        async with asyncio.timeout(server.limits.upload_seconds):
            message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("text") == END:
            await _send(socket, (await server.workers.all([going.finish]))[0])
            return
        if message.get("text") is not None:
            raise MalformedError(
                f"the text {message['text'][:20]!r}; send samples as binary messages, then {END!r}"
            )
        samples = raw.add(message.get("bytes") or b"")
        if going.seconds + len(samples) / rate > server.limits.seconds:
            raise AudioError(f"a stream lasts at most {server.limits.seconds:g} s")
        if len(samples):
            await _send(socket, (await server.workers.all([partial(going.feed, samples)]))[0])


async def _send(socket: WebSocket, answers: list[Answer]) -> None:
    for each in answers:
        await socket.send_json(each.as_dict())


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    await socket.close(code, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))


def _check_origin(socket: WebSocket) -> None:
    """Refuse pages of other sites, which a browser lets open connections to this machine."""
    origin = socket.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
        raise RequestError("a page of another site may not ask here")
