"""Pieces of a recording over HTTP: the library's answers to them, in every form in which pieces are written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from serve_parts import form

from bundle_parts import sound
from unheard.bundle.runtime import Bundle
from unheard.serve.limits import Limits

PIECES = [(0.0, 1.0, "Ann", "hello"), (1.5, 2.5, "Bob", "yes"), (3.0, 4.0, "Ann", "no")]
FILES = {
    "csv": "start,end,speaker,text\n" + "".join(f"{s},{e},{who},{text}\n" for s, e, who, text in PIECES),
    "tsv": "start\tend\tspeaker\ttext\n" + "".join(f"{s}\t{e}\t{w}\t{text}\n" for s, e, w, text in PIECES),
    "rttm": "".join(f"SPEAKER call 1 {s} {e - s} <NA> <NA> {w} <NA> <NA>\n" for s, e, w, _ in PIECES),
    "srt": "".join(
        f"{k}\n00:00:{s:06.3f} --> 00:00:{e:06.3f}\n[{w}]: {text}\n\n".replace(".", ",")
        for k, (s, e, w, text) in enumerate(PIECES, start=1)
    ),
    "vtt": "WEBVTT\n\n"
    + "".join(f"00:{s:06.3f} --> 00:{e:06.3f}\n<v {w}>{text}</v>\n\n" for s, e, w, text in PIECES),
    "json": json.dumps(
        {"segments": [{"start": s, "end": e, "speaker": w, "text": text} for s, e, w, text in PIECES]}
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four and a half seconds; Ann, Bob and Ann again."""
    gap = np.zeros(8_000, np.float32)
    wave = np.concatenate([sound(0, 1.0), gap, sound(1, 1.0), gap, sound(3, 1.0), gap])
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    return path


def ask(client: TestClient, call: Path, pieces: str, query: str = "", **others: bytes) -> Any:
    files = [*form(call), ("pieces", ("../../etc/passwd.exe", pieces.encode()))]
    files += [(name, ("x", content)) for name, content in others.items()]
    return client.post(f"/v1/segments{query}", files=files)


def near(found: Any, expected: Any) -> bool:
    """Whether two plain values are the same, their numbers to 1e-6."""
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(near(found[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    return bool(
        found == pytest.approx(expected, abs=1e-6) if isinstance(expected, float) else found == expected
    )


@pytest.mark.parametrize("kind", FILES)
def test_pieces_of_every_form_are_answered_as_the_library_answers_them(
    client, bundle: Bundle, call: Path, kind: str
) -> None:
    asked = ask(client(), call, FILES[kind], f"?format={kind}")
    assert asked.status_code == 200, asked.text
    found = asked.json()
    assert found.pop("model") == bundle.description.name
    given = PIECES if kind != "rttm" else [piece[:3] for piece in PIECES]
    expected = json.loads(json.dumps(bundle.segments(call, given).as_dict()))
    assert near(found, expected)
    assert [each["speaker"] for each in found["segments"]] == ["Ann", "Bob", "Ann"]
    assert found["speakers"]["Ann"]["enrol_k"] == 2  # the voice is known from her two pieces
    assert all(each["probabilities"] for each in found["segments"])


def test_options_reach_the_library(client, bundle: Bundle, call: Path, clips: list[Path]) -> None:
    own = client()
    plain = ask(own, call, FILES["json"], "?adapt=false&channel=0").json()
    assert near(
        plain["segments"], bundle.segments(call, PIECES, adapt=False, channel=0).as_dict()["segments"]
    )
    assert "enrol_k" not in plain["speakers"]["Ann"]
    voice = own.post("/v1/voices", files=form(*clips[:3])).json()["id"]
    known = ask(own, call, FILES["json"], f"?voice={voice}").json()
    profile = bundle.enrol(clips[:3])
    assert near(known["segments"], bundle.segments(call, PIECES, profile=profile).as_dict()["segments"])
    assert known["speakers"]["Bob"]["enrol_k"] == 3
    assert ask(own, call, FILES["json"], "?voice=nobodys").status_code == 404


@pytest.mark.parametrize(
    ("kind", "pieces", "status", "said"),
    [
        ("csv", "from,to\n1,2\n", 422, "pieces: has the columns"),
        ("csv", "start,end\n1,x\n", 422, "pieces: row 2, end: is 'x'"),
        ("json", "{", 422, "pieces"),
        ("json", "[]", 422, "pieces: holds no piece"),
        ("rttm", "SPEAKER call 1 1.0\n", 422, "pieces: line 1"),
        ("csv", "start,end\n1,9\n", 422, "the recording lasts 4.500 s"),
        ("csv", "start,end\n" + "0,1\n" * 5, 413, "5 pieces of 5 s together, more than the 4 pieces"),
        ("csv", "start,end\n" + "0,4.5\n" * 3, 413, "more than the 4 pieces of 12 s"),
        ("doc", "x", 422, "format"),
    ],
)
def test_pieces_that_cannot_be_used_are_said_without_a_place(
    client, call: Path, kind: str, pieces: str, status: int, said: str
) -> None:
    asked = ask(client(Limits(pieces=4, seconds=6.0)), call, pieces, f"?format={kind}")
    assert asked.status_code == status
    assert said in asked.json()["detail"]
    assert "/proc" not in asked.text


def test_a_form_has_one_recording_and_one_file_of_pieces(client, call: Path) -> None:
    own = client()
    for files in (
        form(call),
        [("pieces", ("x", b"[]"))],
        [*form(call, call), ("pieces", ("x", b"[]"))],
        [*form(call), ("pieces", ("x", b"[]")), ("pieces", ("x", b"[]"))],
    ):
        asked = own.post("/v1/segments", files=files)
        assert asked.status_code == 400
        assert "expected one recording called 'files' and one file of pieces" in asked.json()["detail"]
    other = ask(own, call, "[]", words=b"x")
    assert other.status_code == 400
    assert "called 'words'" in other.json()["detail"]
    alone = own.post("/v1/segments", content=call.read_bytes(), headers={"content-type": "audio/wav"})
    assert alone.status_code == 415
    assert own.post("/v1/predict", files=[*form(call), ("pieces", ("x", b"[]"))]).status_code == 400
    broken = own.post("/v1/segments", files=[*form(b"no sound"), ("pieces", ("x", FILES["json"].encode()))])
    assert broken.status_code == 422
    assert "not audio" in broken.json()["detail"]
    assert ask(client(Limits(seconds=4.0)), call, FILES["json"]).status_code == 422
    server = own.app.state.server
    assert (server.gate.requests, server.gate.memory, server.gate.recordings) == (0, 0, 0)


def test_a_recording_may_have_been_packed_and_is_never_unpacked(client, call: Path) -> None:
    """What unpacks to a thousand times its size is taken as the bytes that it is."""
    import gzip
    import zipfile

    packed = gzip.compress(bytes(50_000_000))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("call.wav", bytes(50_000_000))
    own = client(Limits(body=1_000_000))
    for content in (packed, zipped.getvalue()):
        for headers in ({}, {"content-encoding": "gzip"}, {"content-encoding": "deflate"}):
            asked = own.post("/v1/predict", content=content, headers={"content-type": "audio/wav", **headers})
            assert asked.status_code == 200
            assert asked.json()["predictions"][0]["flags"] == ["unreadable"]
        asked = own.post("/v1/segments", files=[*form(call), ("pieces", ("x.json.gz", content))])
        assert asked.status_code == 422
