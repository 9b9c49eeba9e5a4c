"""What is shown of a recording: the spans of time that were answered, and the sound itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.audio.stream import Blocks

_HOP = RATE // 100


@dataclass(frozen=True)
class Span:
    """A piece of time with its answer.

    Attributes
    ----------
    start, end
        Seconds.
    label
        None where none is given.
    probabilities, dimensions
        By class and by dimension; empty where there is no prediction.
    flags
        Short names of what to beware of.
    speaker, text
        Who speaks, and what is said, on one line each; empty where that is not known.
    """

    start: float
    end: float
    label: str | None
    probabilities: Mapping[str, float]
    flags: tuple[str, ...] = ()
    dimensions: Mapping[str, float] = field(default_factory=dict)
    speaker: str = ""
    text: str = ""

    @property
    def answered(self) -> bool:
        """Return whether there is a prediction, even one that is not sure enough for a label."""
        return bool(self.probabilities or self.dimensions)

    @property
    def marks(self) -> tuple[str, ...]:
        """Return the flags but for ``unsure``, which the answer itself says."""
        return tuple(flag for flag in self.flags if flag != "unsure")

    def caption(self) -> str:
        """Return the answer in words: ``angry 62 %``, ``unsure (angry 41 %)``, ``no prediction``."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        said = [f"{name} {100 * p:.0f} %" for name, p in ranked[:1]]
        if said and self.label is None:
            said = [f"unsure ({said[0]})"]
        said += [f"{name} {value:.2f}" for name, value in self.dimensions.items()]
        return ", ".join(said) or "no prediction"

    def line(self) -> str:
        """Return the answer with who speaks, on one line: ``caller: angry 62 %``."""
        return f"{self.speaker}: {self.caption()}" if self.speaker else self.caption()


@dataclass(frozen=True)
class Shown:
    """A recording and its answers.

    Attributes
    ----------
    path
        The recording.
    name
        What it is called.
    spans
        In order of their starts; those of one speaker do not overlap.
    summary
        What the whole comes to, as ``Timeline.summary`` gives it.
    speakers
        The same by speaker, where speakers are known.
    model
        Name of the model.
    decoding
        Options with which the recording is decoded: ``channel``, ``allow_truncated``.
    """

    path: str
    name: str
    spans: tuple[Span, ...]
    summary: Mapping[str, Any]
    speakers: Mapping[str, Mapping[str, Any]]
    model: str
    decoding: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, path: str, row: Mapping[str, Any], *, model: str, decoding: Mapping[str, Any] | None = None
    ) -> Shown:
        """Return what is shown of a row: ``path`` and a timeline, or segments, as plain values."""
        spans = [
            Span(
                step["start"],
                step["end"],
                step["label"],
                step["probabilities"] or {},
                tuple(step["flags"]),
                step.get("dimensions") or {},
                " ".join((step.get("speaker") or "").split()),
                " ".join((step.get("text") or "").split()),
            )
            for step in row.get("segments", row.get("timeline", ()))
        ]
        spans.sort(key=lambda span: (span.start, span.end))
        speakers = row.get("speakers", {})
        return cls(path, row["path"], tuple(spans), row["summary"], speakers, model, decoding or {})

    @property
    def title(self) -> str:
        """Return the name without its folders."""
        return self.name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]

    @property
    def seconds(self) -> float:
        """Return how long the recording is."""
        return float(self.summary["seconds"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes in their order; none where the model predicts dimensions alone."""
        return tuple(next((span.probabilities for span in self.spans if span.probabilities), ()))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the dimensions in their order."""
        return tuple(next((span.dimensions for span in self.spans if span.dimensions), ()))

    def lanes(self) -> dict[str, list[Span]]:
        """Return the spans by speaker, in the order in which they first speak."""
        lanes: dict[str, list[Span]] = {}
        for span in self.spans:
            lanes.setdefault(span.speaker, []).append(span)
        return lanes or {"": []}

    def blocks(self) -> Blocks:
        """Return the sound, mono at 16 kHz, to be read block by block."""
        return Blocks(self.path, **self.decoding)

    def envelope(self, count: int) -> NDArray[np.float32]:
        """Return the largest magnitude of each of ``count`` equal pieces of the recording, the loudest being 1."""
        peaks: list[NDArray[np.float32]] = []
        rest = np.empty(0, np.float32)
        for block in self.blocks():
            rest = np.concatenate([rest, block])
            whole = len(rest) // _HOP * _HOP
            peaks.append(np.abs(rest[:whole]).reshape(-1, _HOP).max(axis=1))
            rest = rest[whole:]
        if len(rest):
            peaks.append(np.abs(rest).max(keepdims=True))
        every = np.concatenate(peaks) if peaks else np.zeros(1, np.float32)
        edges = np.linspace(0, len(every), count, endpoint=False).astype(int)
        envelope = np.maximum.reduceat(every, edges)
        return np.asarray(envelope / max(float(envelope.max()), 1e-9), np.float32)


def clock(seconds: float, mark: str = ".", decimals: int = 3, *, hours: bool = True) -> str:
    """Return seconds as ``hh:mm:ss.mmm``; without ``hours`` these stand only where there are some: ``4:07``."""
    scale = 10**decimals
    whole, part = divmod(round(seconds * scale), scale)
    rest = f"{mark}{part:0{decimals}d}" if decimals else ""
    h, m, s = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{h:02d}:{m:02d}:{s:02d}{rest}"
    return f"{h}:{m:02d}:{s:02d}{rest}" if h else f"{m}:{s:02d}{rest}"
