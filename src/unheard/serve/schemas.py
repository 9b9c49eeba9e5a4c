"""What requests are answered with, as OpenAPI describes it; the values are the library's own ``as_dict``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_QUALITY: dict[str, Any] = {"bandwidth": 8000.0, "snr": 41.3, "speech": 0.82, "seconds": 3.4}
_ANSWER: dict[str, Any] = {
    "label": "happy",
    "probabilities": {"neutral": 0.08, "happy": 0.71, "sad": 0.02, "angry": 0.19},
    "flags": ["narrowband"],
    "warnings": ["the recording holds next to nothing above 4 kHz, as over a telephone"],
    "seconds": 3.4,
    "quality": _QUALITY,
}
_STEP: dict[str, Any] = {
    "start": 0.5,
    "end": 1.5,
    "label": None,
    "probabilities": {"neutral": 0.4, "happy": 0.3},
    "flags": ["unsure"],
}
_SUMMARY: dict[str, Any] = {
    **_QUALITY,
    "heard": 2.9,
    "answered": 2.9,
    "shares": {"neutral": 0.6, "happy": 0.4},
}
_VOICE: dict[str, Any] = {
    "id": "Zr3k0vXQmZ0c8b7u2F1aLw9d",
    "expires_in": 3600.0,
    "clips": 6,
    "seconds": 21.4,
    "speech": 17.9,
    "flags": [],
    "warnings": [],
    "left_out": [],
}


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"detail": "the form has no file"}]})
    detail: str = Field(description="A sentence: what was found, what was expected, and what to do.")


class Quality(BaseModel):
    """What was measured of a recording."""

    bandwidth: float | None = Field(description="Hz up to which it holds sound.")
    snr: float | None = Field(description="Decibels between speech and pauses.")
    speech: float | None = Field(description="Share of the time in which somebody speaks.")
    seconds: float | None = Field(description="Length.")


class Answer(BaseModel):
    """The answer to one recording, as ``Prediction.as_dict`` gives it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER]})
    label: str | None = Field(
        description="The most probable class; null where none is given, and flags say why."
    )
    probabilities: dict[str, float] | None = Field(description="Class to calibrated probability.")
    dimensions: dict[str, float] | None = Field(
        default=None, description="Dimension to value on [0, 1]; only of models that have some."
    )
    flags: list[str] = Field(description="Short names of what to know about the recording or the answer.")
    warnings: list[str] = Field(description="The same in words.")
    seconds: float = Field(description="Length of the recording.")
    quality: Quality | None = Field(description="What was measured of it.")
    enrol_k: int | None = Field(
        default=None, description="Clips from which the voice was known, where it was."
    )


class Answers(BaseModel):
    """Answers in the order of the recordings."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "default-model", "predictions": [_ANSWER]}]}
    )
    model: str = Field(description="Name of the model.")
    predictions: list[Answer]


class Step(BaseModel):
    """A piece of time in which somebody speaks."""

    start: float = Field(description="Seconds.")
    end: float = Field(description="Seconds.")
    label: str | None
    probabilities: dict[str, float] | None
    dimensions: dict[str, float] | None = None
    flags: list[str]


class TimelineAnswer(BaseModel):
    """How an expression goes on through a recording, as ``Timeline.as_dict`` gives it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "default-model",
                    "timeline": [_STEP],
                    "summary": _SUMMARY,
                }
            ]
        }
    )
    model: str
    timeline: list[Step]
    summary: dict[str, Any] = Field(
        description="Length, answered time, shares, measures and flags of the whole."
    )


class Segment(Step):
    """A given piece with its answer."""

    speaker: str = Field(description="Who speaks; empty where that is not known.")
    text: str | None = Field(default=None, description="What is said; only where that is known.")


class SegmentsAnswer(BaseModel):
    """The answers to given pieces, as ``Segments.as_dict`` gives them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "default-model",
                    "segments": [{**_STEP, "speaker": "caller", "text": "Hello?"}],
                    "speakers": {"caller": {**_SUMMARY, "enrol_k": 4, "enrol_kind": "recording"}},
                    "summary": _SUMMARY,
                }
            ]
        }
    )
    model: str
    segments: list[Segment] = Field(description="In the order of their starts.")
    speakers: dict[str, dict[str, Any]] = Field(
        description="By named speaker: answered time, shares, and from how many pieces the voice was known."
    )
    summary: dict[str, Any] = Field(
        description="Length, answered time, shares, measures and flags of the whole."
    )


class VoiceAnswer(BaseModel):
    """A voice profile that is kept for its client; of the voice itself nothing is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VOICE]})
    id: str = Field(description="Name by which `voice=` asks for it.")
    expires_in: float = Field(description="Seconds until it is forgotten.")
    clips: int
    seconds: float
    speech: float = Field(description="Seconds in which somebody speaks.")
    flags: list[str]
    warnings: list[str]
    left_out: list[str] = Field(description="Why clips could not be used.")


class VoiceList(BaseModel):
    """The profiles of a client, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"voices": [_VOICE]}]})
    voices: list[VoiceAnswer]


class ModelAnswer(BaseModel):
    """What answers, and within which bounds."""

    name: str
    classes: list[str]
    dimensions: list[str]
    adapts: bool = Field(description="Whether it answers better knowing a voice.")
    licences: dict[str, Any]
    limits: dict[str, float]


class State(BaseModel):
    """How the server is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})
    status: str
