"""What is asked over HTTP: each function reads a request, makes one call of the library, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from unheard.audio.longest import check_length
from unheard.bundle.pieces import read_pieces
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.runtime import Bundle
from unheard.bundle.voice import VoiceProfile
from unheard.errors import AudioError, DataError, first_five
from unheard.serve import schemas
from unheard.serve.counters import Counters
from unheard.serve.errors import MalformedError, TooLargeError
from unheard.serve.keys import Keys
from unheard.serve.limits import Gate, Limits
from unheard.serve.uploads import (
    FIELD,
    PIECES,
    Recording,
    in_memory,
    read_body,
    recording_and_pieces_of,
    recordings_of,
    unnamed,
)
from unheard.serve.voices import Voice, Voices
from unheard.serve.workers import Workers

#: Bytes of a body that is taken apart at once; a larger one in a thread, since others are answered meanwhile.
SMALL = 2**18

router = APIRouter()

Received = TypeVar("Received")


@dataclass(frozen=True)
class Server:
    """All that answers; each application has one.

    Attributes
    ----------
    bundle
        What predicts.
    limits, keys
        What is taken on at most, and from whom.
    gate, voices, workers, counters
        What is in hand, what is kept, who computes, and what is told of it.
    """

    bundle: Bundle
    limits: Limits
    keys: Keys
    gate: Gate
    voices: Voices
    workers: Workers
    counters: Counters


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


_BEARER = HTTPBearer(auto_error=False, description="A key of the server, where it has some.")


def _owner(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None
) -> str:
    return _server(request).keys.owner(request.headers.get("authorization"))


Serving = Annotated[Server, Depends(_server)]
#: By what the client is known; depends on its key, which is looked at before anything of the body is read.
Owner = Annotated[str, Depends(_owner)]

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The form is damaged or empty"},
    401: {"description": "The key is missing or wrong"},
    404: {"description": "No such voice profile"},
    405: {"description": "No such method"},
    408: {"description": "The body did not arrive in time"},
    413: {"description": "Larger, or more recordings, than is taken"},
    415: {"description": "Neither a form nor a recording"},
    422: {"description": "A parameter or a recording that cannot be used"},
    429: {
        "description": "Too much to do",
        "headers": {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}},
    },
    503: {"description": "No answer in time"},
}


def _refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": schemas.Problem, **_REFUSALS[code]} for code in codes}


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                        }
                    },
                    "required": [FIELD],
                    "additionalProperties": False,
                },
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_WITH_PIECES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        FIELD: {"type": "string", "contentMediaType": "application/octet-stream"},
                        PIECES: {"type": "string", "description": "Who speaks when, and what is said."},
                    },
                    "required": [FIELD, PIECES],
                    "additionalProperties": False,
                },
                "examples": {
                    "a transcript": {
                        "summary": "format=json",
                        "value": {
                            FIELD: "the bytes of call.wav",
                            PIECES: '{"segments": [{"start": 0.5, "end": 2.0, "speaker": "caller"}]}',
                        },
                    },
                    "a diariser": {
                        "summary": "format=rttm",
                        "value": {
                            FIELD: "the bytes of call.wav",
                            PIECES: "SPEAKER call 1 0.50 1.50 <NA> <NA> caller <NA> <NA>",
                        },
                    },
                },
            },
        },
    }
}
_BODY = (400, 401, 404, 408, 413, 415, 422, 429, 503)

VoiceName = Annotated[
    str | None, Query(max_length=64, description="A profile that POST /v1/voices made.", examples=[None])
]
Channel = Annotated[
    int | None, Query(ge=0, lt=64, description="The channel to take, counted from 0; default: their mean.")
]
Truncated = Annotated[bool, Query(description="Take what there is of a file that ends early.")]
Name = Annotated[str, Path(max_length=64, description="Name of the profile.")]


@router.post("/v1/predict", response_model=schemas.Answers, responses=_refusals(*_BODY), openapi_extra=_FORM)
async def predict(
    request: Request,
    server: Serving,
    who: Owner,
    voice: VoiceName = None,
    channel: Channel = None,
    allow_truncated: Truncated = False,
) -> Response:
    """Answer recordings, each by itself; one that cannot be used is flagged, and the others are answered."""
    profile = _profile(server, who, voice)
    options = {"channel": channel, "allow_truncated": allow_truncated, "profile": profile}
    async with _received(request, server, recordings_of) as recordings:
        jobs = [partial(answer, server, each, **options) for each in recordings]
        answers = await server.workers.all(jobs)
    for each in answers:
        server.counters.recording(each.label, each.answered, each.seconds)
    return JSONResponse(
        {"model": server.bundle.description.name, "predictions": [each.as_dict() for each in answers]}
    )


@router.post(
    "/v1/timeline", response_model=schemas.TimelineAnswer, responses=_refusals(*_BODY), openapi_extra=_FORM
)
async def timeline(
    request: Request,
    server: Serving,
    who: Owner,
    voice: VoiceName = None,
    channel: Channel = None,
    allow_truncated: Truncated = False,
    adapt: Annotated[
        bool, Query(description="One person speaks: know the voice from the recording.")
    ] = False,
) -> Response:
    """Answer one recording step by step."""
    profile = _profile(server, who, voice)
    async with _received(request, server, recordings_of) as recordings:
        if len(recordings) != 1:
            raise MalformedError(f"{len(recordings)} recordings, expected one")

        def job() -> dict[str, Any]:
            with in_memory(recordings) as (path,):
                check_length(path, server.limits.seconds)
                found = server.bundle.timeline(
                    path, channel=channel, allow_truncated=allow_truncated, profile=profile, adapt=adapt
                )
                return found.as_dict()

        (found,) = await server.workers.all([job])
    return JSONResponse({"model": server.bundle.description.name, **found})


@router.post(
    "/v1/segments",
    response_model=schemas.SegmentsAnswer,
    responses=_refusals(*_BODY),
    openapi_extra=_WITH_PIECES,
)
async def segments(
    request: Request,
    server: Serving,
    who: Owner,
    format: Annotated[
        Literal["csv", "tsv", "rttm", "srt", "vtt", "json"],
        Query(description="What the pieces are written in."),
    ] = "json",
    voice: VoiceName = None,
    channel: Channel = None,
    allow_truncated: Truncated = False,
    adapt: Annotated[
        bool | None,
        Query(
            description="Know the voice of each named speaker from their pieces; default: where the model does."
        ),
    ] = None,
) -> Response:
    """Answer the given pieces of one recording, and sum them up by speaker."""
    profile = _profile(server, who, voice)
    options = {"channel": channel, "allow_truncated": allow_truncated, "profile": profile, "adapt": adapt}
    async with _received(request, server, recording_and_pieces_of) as (recording, pieces):
        (found,) = await server.workers.all(
            [partial(_segments, server, recording, pieces, f".{format}", **options)]
        )
    return JSONResponse({"model": server.bundle.description.name, **found})


@router.post(
    "/v1/voices",
    status_code=201,
    response_model=schemas.VoiceAnswer,
    responses=_refusals(*_BODY),
    openapi_extra=_FORM,
)
async def enrol(
    request: Request, server: Serving, who: Owner, channel: Channel = None, allow_truncated: Truncated = False
) -> Response:
    """Get to know a voice from a few clips of one person, who has agreed to it."""
    async with _received(request, server, recordings_of) as recordings:
        job = partial(_enrolled, server, recordings, channel=channel, allow_truncated=allow_truncated)
        (profile,) = await server.workers.all([job])
    return JSONResponse(_voice(server.voices.add(who, profile), server.voices), 201)


@router.get("/v1/voices", response_model=schemas.VoiceList, responses=_refusals(401))
async def list_voices(server: Serving, who: Owner) -> Response:
    """List the profiles that were made with this key."""
    return JSONResponse({"voices": [_voice(each, server.voices) for each in server.voices.all(who)]})


@router.get("/v1/voices/{voice}", response_model=schemas.VoiceAnswer, responses=_refusals(401, 404, 422))
async def show_voice(voice: Name, server: Serving, who: Owner) -> Response:
    """Tell what a profile was made of."""
    return JSONResponse(_voice(server.voices.get(who, voice), server.voices))


@router.delete("/v1/voices/{voice}", status_code=204, responses=_refusals(401, 404, 422))
async def delete_voice(voice: Name, server: Serving, who: Owner) -> Response:
    """Forget a profile."""
    server.voices.remove(who, voice)
    return Response(status_code=204)


@router.get("/v1/model", response_model=schemas.ModelAnswer, responses=_refusals(401))
async def model(server: Serving, _: Owner) -> Response:
    """Tell what answers, under which licences, and within which limits."""
    bundle, limits = server.bundle, server.limits
    described = {
        "name": bundle.description.name,
        "classes": list(bundle.classes),
        "dimensions": list(bundle.dimensions),
        "adapts": bundle.adapts,
        "licences": dict(bundle.description.licences),
        "limits": {
            "body_bytes": limits.body,
            "recordings": limits.recordings,
            "recording_seconds": limits.seconds,
            "pieces": limits.pieces,
            "voice_seconds": limits.voice_seconds,
        },
    }
    return JSONResponse(described)


@router.get("/health", response_model=schemas.State)
async def health() -> Response:
    """Say that the server runs."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", response_model=schemas.State, responses={503: {"model": schemas.State}})
async def ready(server: Serving) -> Response:
    """Say whether one more request would be taken."""
    return JSONResponse({"status": "ready" if server.gate.open else "busy"}, 200 if server.gate.open else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_refusals(401)},
)
async def metrics(server: Serving, _: Owner) -> Response:
    """Give the counts for Prometheus."""
    return Response(server.counters.text(), media_type="text/plain; version=1.0.0")


def answer(server: Server, recording: Recording, **options: Any) -> Prediction:
    """Return what the library answers to a recording; one that it refuses is flagged, with the reason in words."""
    with in_memory([recording]) as (path,):
        try:
            check_length(path, server.limits.seconds)
            return server.bundle.predict_file(path, **options)
        except AudioError as error:
            return prediction(("unreadable",), 0.0, reason=unnamed(str(error)))


def _segments(
    server: Server, recording: Recording, pieces: Recording, ending: str, **options: Any
) -> dict[str, Any]:
    """Return what the library answers to pieces of a recording; no more are taken than the limits say."""
    limits = server.limits
    with in_memory([recording, pieces]) as (path, place):
        try:
            listed = read_pieces(place, ending)
        except DataError as error:
            raise DataError(str(error).replace(place, PIECES)) from None
        together = sum(piece.end - piece.start for piece in listed)
        if len(listed) > limits.pieces or together > 2 * limits.seconds:
            raise TooLargeError(
                f"{len(listed)} pieces of {together:.0f} s together, more than the {limits.pieces} pieces of "
                f"{2 * limits.seconds:g} s that are taken of a request"
            )
        check_length(path, limits.seconds)
        return server.bundle.segments(path, listed, **options).as_dict()


def _enrolled(server: Server, recordings: list[Recording], **options: Any) -> VoiceProfile:
    """Return the profile of the clips that can be used; those that are too long are left out as others are."""
    with in_memory(recordings) as paths:
        short: list[str] = []
        left_out: list[str] = []
        for path in paths:
            try:
                check_length(path, server.limits.seconds)
                short.append(path)
            except AudioError as error:
                left_out.append(str(error))
        if not short:
            raise DataError(f"no clip from which the voice could be known: {first_five(left_out)}")
        profile = server.bundle.enrol(short, **options)
        return replace(profile, left_out=(*left_out, *profile.left_out))


@asynccontextmanager
async def _received(
    request: Request, server: Server, read: Callable[[bytes, str, Limits], Received]
) -> AsyncIterator[Received]:
    """Give what is read of a request's body; it counts as one in hand until its answer is known."""
    with server.gate.request() as held:
        try:
            promised = request.headers.get("content-length")
            body = await read_body(request.stream(), promised, held, server.limits)
        except ClientDisconnect:
            raise MalformedError("the connection was closed before the body had arrived") from None
        kind = request.headers.get("content-type", "")
        if len(body) <= SMALL:
            found = read(body, kind, server.limits)
        else:
            found = await asyncio.to_thread(read, body, kind, server.limits)
        del body  # the recordings of a form are copies
        yield found


def _profile(server: Server, who: str, voice: str | None) -> VoiceProfile | None:
    return None if voice is None else server.voices.get(who, voice).profile


def _voice(voice: Voice, voices: Voices) -> dict[str, Any]:
    said: Mapping[str, Any] = voice.profile.as_dict()
    told = {key: said[key] for key in ("clips", "seconds", "speech", "flags", "warnings")}
    left_out = [unnamed(reason) for reason in voice.profile.left_out]
    return {"id": voice.id, "expires_in": round(voices.left(voice), 1), **told, "left_out": left_out}
