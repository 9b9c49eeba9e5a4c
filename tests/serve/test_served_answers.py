"""What is asked over HTTP is answered as the library answers it, and nothing of it is kept but profiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from serve_parts import form

from unheard.bundle.runtime import Bundle


def as_json(value: object) -> object:
    return json.loads(json.dumps(value))


def test_a_batch_is_answered_as_the_library_answers_each(client, bundle: Bundle, clips: list[Path]) -> None:
    asked = client().post("/v1/predict", files=form(*clips, name="../../etc/passwd"))
    assert asked.status_code == 200
    assert asked.json()["model"] == bundle.description.name
    assert asked.json()["predictions"] == [as_json(bundle.predict_file(path).as_dict()) for path in clips]


def test_options_reach_the_library(client, bundle: Bundle, clips: list[Path]) -> None:
    asked = client().post("/v1/predict?channel=0", files=form(clips[0]))
    assert asked.json()["predictions"][0] == as_json(bundle.predict_file(clips[0], channel=0).as_dict())
    cut = clips[0].read_bytes()[:-4000]
    refused, taken = (
        client().post(f"/v1/predict?allow_truncated={on}", files=form(cut)).json()["predictions"][0]
        for on in (False, True)
    )
    assert refused["flags"] == ["unreadable"]
    assert "truncated" in taken["flags"]
    assert taken["probabilities"]


def test_one_that_cannot_be_used_is_said_without_a_name_and_the_others_are_answered(
    client, clips: list[Path]
) -> None:
    asked = client().post("/v1/predict", files=form(b"no sound", clips[0], b"", name="secret.wav"))
    first, second, third = asked.json()["predictions"]
    assert first["flags"] == third["flags"] == ["unreadable"]
    assert "not audio" in first["warnings"][0]
    assert "zero bytes" in third["warnings"][0]
    assert second["probabilities"]
    assert "secret" not in asked.text
    assert "/proc" not in asked.text


def test_a_body_may_be_the_recording_itself(client, bundle: Bundle, clips: list[Path]) -> None:
    asked = client().post(
        "/v1/predict", content=clips[3].read_bytes(), headers={"content-type": "audio/flac"}
    )
    assert asked.json()["predictions"] == [as_json(bundle.predict_file(clips[3]).as_dict())]


@pytest.mark.parametrize("adapt", [False, True])
def test_a_timeline_is_the_librarys(client, bundle: Bundle, clips: list[Path], adapt: bool) -> None:
    asked = client().post(f"/v1/timeline?adapt={adapt}", files=form(clips[2]))
    found = asked.json()
    assert found.pop("model") == bundle.description.name
    assert found == as_json(bundle.timeline(clips[2], adapt=adapt).as_dict())
    assert client().post("/v1/timeline", files=form(*clips)).status_code == 400
    assert "not audio" in client().post("/v1/timeline", files=form(b"no sound")).json()["detail"]


def test_a_voice_is_enrolled_used_shown_and_deleted(client, bundle: Bundle, clips: list[Path]) -> None:
    ask = client()
    made = ask.post("/v1/voices", files=form(*clips[:3], b"no sound"))
    assert made.status_code == 201
    told = made.json()
    assert told["clips"] == 3
    assert 3590 < told["expires_in"] <= 3600
    assert len(told["left_out"]) == 1
    assert "/proc" not in made.text
    voice = told["id"]
    answered = ask.post(f"/v1/predict?voice={voice}", files=form(clips[3])).json()["predictions"][0]
    known = bundle.predict_file(clips[3], profile=bundle.enrol(clips[:3]))
    assert answered == as_json(known.as_dict())
    assert answered["enrol_k"] == 3
    assert [each["id"] for each in ask.get("/v1/voices").json()["voices"]] == [voice]
    assert ask.delete(f"/v1/voices/{voice}").status_code == 204
    for gone in (ask.get(f"/v1/voices/{voice}"), ask.delete(f"/v1/voices/{voice}")):
        assert gone.status_code == 404
    assert ask.post(f"/v1/predict?voice={voice}", files=form(clips[3])).status_code == 404


def test_a_voice_is_its_clients_own(client, clips: list[Path]) -> None:
    ask = client(keys=("anna" * 5, "bert" * 5))
    anna, bert = ({"Authorization": f"Bearer {name * 5}"} for name in ("anna", "bert"))
    voice = ask.post("/v1/voices", files=form(*clips), headers=anna).json()["id"]
    assert ask.get(f"/v1/voices/{voice}", headers=anna).status_code == 200
    assert ask.get("/v1/voices", headers=bert).json() == {"voices": []}
    for path in (f"/v1/voices/{voice}", f"/v1/predict?voice={voice}"):
        method = "POST" if "predict" in path else "GET"
        assert ask.request(method, path, files=form(clips[0]), headers=bert).status_code == 404


def test_the_model_the_state_and_the_counts_are_told(client, bundle: Bundle, clips: list[Path]) -> None:
    ask = client()
    assert ask.get("/v1/model").json()["classes"] == list(bundle.classes)
    assert ask.get("/health").json() == {"status": "ok"}
    assert ask.get("/ready").json() == {"status": "ready"}
    ask.post("/v1/predict", files=form(clips[0], b"no sound"))
    ask.get("/nothing/here")
    counts = ask.get("/metrics").text
    assert 'unheard_requests_total{route="/v1/predict",status="200"} 1.0' in counts
    assert 'unheard_recordings_total{outcome="none"} 1.0' in counts
    assert 'route="none",status="404"' in counts
    assert "unheard_recordings_waiting 0.0" in counts
    assert "unheard_body_bytes 0.0" in counts
    described = ask.get("/openapi.json").json()
    assert all(
        each["responses"]["200" if path != "/v1/voices" else "201"]
        for path, methods in described["paths"].items()
        for method, each in methods.items()
        if method == "post"
    )
