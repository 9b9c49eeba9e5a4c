"""A server takes on what it can bear, from whom it should, and says so in words where it does not."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import pytest
from serve_parts import form, recorded

from unheard.bundle.runtime import Bundle
from unheard.errors import DataError, UsageError
from unheard.serve.errors import BusyError, MissingError, UnknownKeyError
from unheard.serve.keys import Keys, read_keys
from unheard.serve.limits import Gate, Limits
from unheard.serve.voices import Voices

KEY = "a key of letters".replace(" ", "-")


def claiming_hours(recording: bytes) -> bytes:
    """A FLAC whose header promises 2**36 - 1 samples, which is 49 days."""
    head = bytearray(recording)
    number = int.from_bytes(head[18:26], "big")
    head[18:26] = ((number >> 36 << 36) | (2**36 - 1)).to_bytes(8, "big")
    return bytes(head)


def open_ended(recording: bytes) -> bytes:
    """A FLAC whose header leaves its length open."""
    head = bytearray(recording)
    number = int.from_bytes(head[18:26], "big")
    head[18:26] = (number >> 36 << 36).to_bytes(8, "big")
    return bytes(head)


@pytest.mark.parametrize(
    ("recording", "said"),
    [
        (recorded(6.0), "longer than 5 s"),
        (recorded(6.0, format_="FLAC"), "longer than 5 s"),
        (open_ended(recorded(6.0, format_="FLAC")), "longer than 5 s"),
        (claiming_hours(recorded(1.0, format_="FLAC")), "at most 24 h"),
        (recorded(1.0)[:40] + struct.pack("<I", 16_000 * 2 * 3600) + recorded(1.0)[44:], "longer than 5 s"),
    ],
    ids=["WAV", "FLAC", "FLAC of open length", "FLAC of weeks", "WAV of an hour"],
)
def test_a_recording_that_is_longer_or_says_so_is_refused(client, recording: bytes, said: str) -> None:
    ask = client(Limits(seconds=5.0))
    (found,) = ask.post("/v1/predict?allow_truncated=true", files=form(recording)).json()["predictions"]
    assert found["flags"] == ["unreadable"]
    assert said in found["warnings"][0]


def test_many_channels_at_a_high_rate_are_a_long_recording_too() -> None:
    import io

    import numpy as np
    import soundfile

    from unheard.audio.longest import check_length
    from unheard.errors import AudioError
    from unheard.serve.uploads import in_memory

    file = io.BytesIO()
    soundfile.write(file, np.zeros((48_000 * 6, 8), np.float32), 48_000, format="FLAC")
    with in_memory([file.getvalue()]) as (path,), pytest.raises(AudioError, match="longer than 5 s"):
        check_length(path, 10.0)


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"--b\r\n", "multipart/form-data; boundary=b", 400, "ends before its last boundary"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 400, "no file"),
        (b"nothing", "multipart/form-data; boundary=b", 400, "damaged"),
        (b"", "multipart/form-data", 400, "no boundary"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "send a form"),
        (b"{}", "", 415, "send a form"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
            "expected recordings called 'files'",
        ),
        (b"--b\r\n" + b"A" * 300_000, "multipart/form-data; boundary=b", 400, "damaged"),
    ],
)
def test_a_damaged_body_is_refused_in_words(
    client, content: bytes, kind: str, status: int, said: str
) -> None:
    ask = client()
    for path in ("/v1/predict", "/v1/timeline", "/v1/segments", "/v1/voices"):
        asked = ask.post(path, content=content, headers={"content-type": kind})
        assert asked.status_code == status
        assert said in asked.json()["detail"]


def test_a_body_or_a_batch_that_is_too_large_is_refused(client, clips: list[Path]) -> None:
    ask = client(Limits(body=100_000, recordings=2))
    assert ask.post("/v1/predict", files=form(*clips)).status_code == 413
    assert "more than 2 files" in ask.post("/v1/predict", files=form(b"1", b"2", b"3")).json()["detail"]
    pieces = (b"x" * 10_000 for _ in range(20))  # of a length that no header says
    asked = ask.post("/v1/predict", content=pieces, headers={"content-type": "audio/wav"})
    assert asked.status_code == 413
    assert ask.get("/metrics").text.count("unheard_body_bytes 0.0") == 1


def test_who_has_no_key_is_not_read(client, clips: list[Path]) -> None:
    ask = client(keys=(KEY,))
    for wrong in (
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": KEY},
        {"Authorization": "Bearer "},
    ):
        for path in ("/v1/predict", "/v1/timeline", "/v1/segments", "/v1/voices"):
            asked = ask.post(path, files=form(clips[0]), headers=wrong)
            assert asked.status_code == 401
            assert asked.headers["www-authenticate"] == "Bearer"
        assert ask.get("/metrics", headers=wrong).status_code == 401
    right = {"Authorization": f"Bearer {KEY}"}
    assert ask.post("/v1/predict", files=form(clips[0]), headers=right).status_code == 200
    assert ask.get("/health").status_code == 200


def test_more_than_it_takes_on_is_told_to_come_back(bundle: Bundle, client, clips: list[Path]) -> None:
    ask = client(Limits(waiting=2, threads=1))
    busy = ask.post("/v1/predict", files=form(*clips[:3]))
    assert busy.status_code == 429
    assert int(busy.headers["retry-after"]) >= 1
    assert ask.post("/v1/predict", files=form(*clips[:2])).status_code == 200
    server = ask.app.state.server
    release = threading.Event()
    blocked = server.workers._threads.submit(release.wait)  # the only thread is taken
    server.gate.take(2)
    assert ask.get("/ready").status_code == 503
    assert ask.post("/v1/predict", files=form(clips[0])).status_code == 429
    server.gate.leave(None)
    server.gate.leave(None)
    release.set()
    blocked.result()
    assert ask.get("/ready").status_code == 200
    assert ask.post("/v1/predict", files=form(clips[0])).status_code == 200


def test_an_answer_that_is_not_there_in_time_is_given_up(client, clips: list[Path]) -> None:
    ask = client(Limits(threads=1, answer_seconds=0.2))
    release = threading.Event()
    blocked = ask.app.state.server.workers._threads.submit(release.wait)
    late = ask.post("/v1/predict", files=form(*clips))
    assert late.status_code == 503
    assert late.headers["retry-after"]
    assert ask.app.state.server.gate.recordings == 0  # what was not begun is not waited for
    release.set()
    blocked.result()
    assert ask.post("/v1/predict", files=form(clips[0])).status_code == 200


def test_the_gate_counts_what_is_in_hand() -> None:
    gate = Gate(Limits(requests=2, memory=10, waiting=3, threads=1))
    with gate.request() as first, gate.request() as second:
        with pytest.raises(BusyError), gate.request():
            raise AssertionError
        first.add(6)
        with pytest.raises(BusyError):
            second.add(5)
        second.add(4)
        assert gate.memory == 10
    assert (gate.requests, gate.memory) == (0, 0)
    gate.take(3)
    with pytest.raises(BusyError) as refused:
        gate.take(1)
    assert refused.value.retry_after == 1
    for _ in range(3):
        gate.leave(400.0)
    gate.take(3)
    with pytest.raises(BusyError) as refused:
        gate.take(1)
    assert refused.value.retry_after == 60  # and never longer than a minute


def test_profiles_expire_are_bounded_and_belong_to_somebody(bundle: Bundle, clips: list[Path]) -> None:
    now = [0.0]
    voices = Voices(Limits(voices=3, voices_per_key=2, voice_seconds=10.0), lambda: now[0])
    profile = bundle.enrol(clips)
    first = voices.add("anna", profile)
    now[0] = 5.0
    second = voices.add("anna", profile)
    with pytest.raises(BusyError):
        voices.add("anna", profile)
    voices.add("bert", profile)
    with pytest.raises(BusyError):
        voices.add("carl", profile)
    with pytest.raises(MissingError):
        voices.get("bert", first.id)
    assert first.id != second.id
    now[0] = 10.0
    with pytest.raises(MissingError):
        voices.get("anna", first.id)
    assert voices.all("anna") == [second]
    now[0] = 15.0
    voices.forget()
    assert len(voices) == 0


def test_keys_are_read_and_told_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the lab\n{KEY}\n\n  {KEY}2  \n")
    keys = read_keys(file)
    assert len(keys) == 2
    assert keys.owner(f"Bearer {KEY}") != keys.owner(f"bearer {KEY}2")
    assert KEY not in repr(vars(keys))
    for wrong in (None, "", KEY, f"Basic {KEY}", f"Bearer {KEY[:-1]}", "Bearer \udcff"):
        with pytest.raises(UnknownKeyError):
            keys.owner(wrong)
    monkeypatch.setenv("UNHEARD_API_KEYS", f"{KEY},{KEY}3")
    assert len(read_keys(None)) == 2
    monkeypatch.delenv("UNHEARD_API_KEYS")
    assert read_keys(None).owner(None) == ""
    file.write_text("# none\n")
    for wrong_file, error in ((file, UsageError), (tmp_path / "none", DataError)):
        with pytest.raises(error):
            read_keys(wrong_file)
    file.write_text(f"{KEY}\nshort\n")
    with pytest.raises(UsageError, match=f"{file}: key 2 has 5 characters"):
        read_keys(file)
    for key in ("short", "with a blank in it", "ä" * 20, "x" * 300):
        with pytest.raises(UsageError, match="key 1"):
            Keys([key])
