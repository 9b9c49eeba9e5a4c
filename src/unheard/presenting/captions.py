"""Subtitles: SubRip (.srt) and WebVTT (.vtt), a cue for each span that has an answer."""

from __future__ import annotations

from unheard.presenting.shown import Shown, Span, clock


def srt(shown: Shown) -> str:
    """Return SubRip subtitles."""
    cues = [
        f"{number}\n{clock(span.start, ',')} --> {clock(span.end, ',')}\n{_text(span)}\n"
        for number, span in enumerate(_said(shown), start=1)
    ]
    return "\n".join(cues)


def vtt(shown: Shown) -> str:
    """Return WebVTT subtitles (W3C); a speaker is the voice of a cue."""
    cues = []
    for span in _said(shown):
        # Who speaks stands in a voice tag, whose name holds no line and no '>'.
        voice = f"<v {_escaped(span.speaker)}>" if span.speaker else ""
        text = _escaped(_text(span, speaker=False))
        cues.append(f"{clock(span.start)} --> {clock(span.end)}\n{voice}{text}\n")
    return "\n".join(["WEBVTT\n", *cues])


def _said(shown: Shown) -> list[Span]:
    return [span for span in shown.spans if span.answered or span.text]


def _text(span: Span, *, speaker: bool = True) -> str:
    """Return the answer, and the words on a line of their own; no line is empty, which would end the cue."""
    answer = span.line() if speaker else span.caption()
    # An arrow is read as that of a cue.
    return "\n".join(line for line in (answer, span.text) if line).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
