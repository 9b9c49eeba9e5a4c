"""A stream is answered as the library's own, whatever the messages, within bounds and for who may ask."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from bundle_parts import sound
from unheard.bundle.runtime import Bundle
from unheard.serve.limits import Limits

KEY = "a-key-of-twenty-signs"


def pcm(seconds: float) -> np.ndarray:
    return (sound(2, seconds) * 32768).clip(-32768, 32767).astype("<i2")


def test_a_stream_is_answered_as_the_librarys_whatever_the_messages(client, bundle: Bundle) -> None:
    samples = pcm(3.5)
    own = bundle.stream(16_000)
    expected = [*own.feed(samples.astype(np.float32) / 32768), *own.finish()]
    data, found = samples.tobytes(), []
    with client().websocket_connect("/v1/stream?rate=16000") as socket:
        for begin in range(0, len(data), 7001):  # which cuts samples in two
            socket.send_bytes(data[begin : begin + 7001])
        socket.send_text("end")
        with pytest.raises(WebSocketDisconnect) as ended:
            while True:
                found.append(socket.receive_json())
    assert ended.value.code == 1000
    assert len(found) == len(expected) == 4
    for mine, theirs in zip(found, expected, strict=True):
        plain = theirs.as_dict()
        assert {**mine, "delay": 0} == {**plain, "delay": 0}


@pytest.mark.parametrize(
    ("limits", "headers", "query", "code", "said"),
    [
        (Limits(), {}, "", 1008, "a key is needed"),
        (Limits(), {"authorization": f"Bearer {KEY}", "origin": "https://evil.example"}, "", 1008, "site"),
        (Limits(), {"authorization": f"Bearer {KEY}"}, "?voice=none", 1008, "no such voice profile"),
        (Limits(seconds=1.0), {"authorization": f"Bearer {KEY}"}, "", 1008, "lasts at most 1 s"),
        (Limits(requests=0), {"authorization": f"Bearer {KEY}"}, "", 1013, "try again"),
        (Limits(upload_seconds=0.1), {"authorization": f"Bearer {KEY}"}, "", 1008, "no message within"),
    ],
)
def test_a_stream_that_may_not_be_is_closed_with_the_reason(
    client, limits: Limits, headers: dict[str, str], query: str, code: int, said: str
) -> None:
    ask = client(limits, keys=(KEY,))
    with (
        pytest.raises(WebSocketDisconnect) as ended,
        ask.websocket_connect(f"/v1/stream{query}", headers=headers) as socket,
    ):
        if limits.upload_seconds > 1:
            socket.send_bytes(pcm(1.5).tobytes())
        socket.receive_json()
        socket.receive_json()
    assert ended.value.code == code
    assert said in ended.value.reason
    assert ask.app.state.server.gate.requests == 0


@pytest.mark.parametrize(
    ("message", "said"), [("END", "the text 'END'; send samples"), (b"OggS\0\2", "begins as a file does")]
)
def test_what_is_neither_samples_nor_the_end_is_refused(client, message: str | bytes, said: str) -> None:
    with client().websocket_connect("/v1/stream") as socket:
        socket.send({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_json()
    assert ended.value.code == 1008 and said in ended.value.reason
