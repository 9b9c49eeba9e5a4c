"""One page that holds all of an answer: summary, player, waveform with the strip, table; it loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import soundfile

from unheard.audio.resample import RATE
from unheard.bundle.prediction import MEANINGS
from unheard.presenting.drawing import WIDTH, colours, lane_tops, lanes_height, picture, spoken, ticks
from unheard.presenting.shown import Shown, Span, clock

#: Seconds up to which the sound is part of the page, about 0.25 MB a minute.
LONGEST_SOUND = 3600.0

_NOT = (
    "A prediction of which expression listeners would perceive, not of what somebody feels. Its probabilities "
    "hold for speech like that of the model's training."
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src data:"


def page(shown: Shown) -> str:
    """Return the page, in which the sound itself is an MP3 of 16 kHz where it lasts up to an hour."""
    room = files("unheard.presenting")
    found = colours(shown.classes or shown.dimensions)
    name = _text(shown.title)
    speakers = any(shown.lanes())
    lanes = list(shown.lanes())
    height, style = lanes_height(lanes), (room / "page.css").read_text("utf-8")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name} · unheard</title><style>{style}</style></head><body><main>",
        f"<header><h1>{name}</h1><p>{_text(spoken(shown, name=False))}. Model: {_text(shown.model)}.</p>",
        f"<p class='note'>{_NOT}</p></header>",
        "<section aria-labelledby='whole'><h2 id='whole'>Summary</h2>",
        *_summaries(shown, found),
        _warnings(shown),
        "</section><section aria-labelledby='time'><h2 id='time'>Over time</h2>",
        _player(shown),
        "<div class='picture'>",
        f"<svg id='picture' viewBox='0 0 {WIDTH} {height}' preserveAspectRatio='none' style='height:{height}px'",
        f" role='img' aria-label='{_text(spoken(shown))}. The table below says the same.'>",
        f"{picture(shown, found)}<line id='head' class='head' y2='{height}'/></svg>",
        *(_lane_name(lane, top) for lane, top in lane_tops(lanes).items() if lane),
        "</div>",
        _axis(shown.seconds),
        "<ul class='legend' aria-label='Colours'>",
        *(f"<li><i style='background:{colour}'></i>{_text(each)}</li>" for each, colour in found.items()),
        "<li><i class='unsure'></i>unsure</li><li><i class='none'></i>nobody speaks</li>",
        "<li><b class='mark' aria-hidden='true'>▼</b> a flag</li></ul></section>",
        "<section aria-labelledby='table'><h2 id='table'>Every answer</h2>",
        "<div class='wide' tabindex='0' role='region' aria-label='Table of answers'><table><thead><tr>",
        "<th scope='col'>from</th><th scope='col'>to</th>",
        "<th scope='col'>speaker</th>" if speakers else "",
        "<th scope='col'>answer</th>",
        "<th scope='col'>words</th>" if any(span.text for span in shown.spans) else "",
        "<th scope='col'>flags</th></tr></thead><tbody>",
        *(_row(span, shown, found, speakers) for span in shown.spans),
        "</tbody></table></div></section></main>",
        f"<script>{(room / 'page.js').read_text('utf-8')}</script></body></html>\n",
    ]
    return "".join(parts)


def _summaries(shown: Shown, found: Mapping[str, str]) -> list[str]:
    """Return the shares of the whole, and of each speaker, as bars with their numbers."""
    wholes: list[tuple[str, Mapping[str, Any]]] = [("", shown.summary), *shown.speakers.items()]
    if len(wholes) == 2:
        wholes = wholes[1:]
    largest = max((share for _, each in wholes for share in (each["shares"] or {}).values()), default=1.0)
    boxes = []
    for name, summary in wholes:
        head = _text(name or ("Everybody" if shown.speakers else "The recording"))
        shares = sorted((summary["shares"] or {}).items(), key=lambda item: -item[1])
        rows = [
            f"<dt>{_text(label)}</dt><dd><span class='bar' style='width:{70 * share / largest:.1f}%;background:"
            f"{found.get(label, 'gray')}'></span>{100 * share:.0f} %</dd>"
            for label, share in shares
        ]
        rows += [
            f"<dt>{_text(each)}</dt><dd><span class='bar' style='width:{70 * value:.1f}%;background:"
            f"{found.get(each, 'gray')}'></span>{value:.2f}</dd>"
            for each, value in summary.get("dimensions", {}).items()
        ]
        answered = clock(summary["answered"], decimals=0, hours=False)
        boxes.append(
            f"<div class='card'><h3>{head}</h3><p>{answered} answered</p>"
            f"<dl>{''.join(rows) or '<dt>no prediction</dt><dd></dd>'}</dl></div>"
        )
    return ["<div class='cards'>", *boxes, "</div>"]


def _warnings(shown: Shown) -> str:
    flags = shown.summary["flags"]
    if not flags:
        return ""
    said = "".join(f"<li><b>{_text(flag)}</b>: {_text(MEANINGS.get(flag, flag))}</li>" for flag in flags)
    return f"<ul class='flags' aria-label='What to beware of'>{said}</ul>"


def _player(shown: Shown) -> str:
    if shown.seconds > LONGEST_SOUND:
        return "<p>The recording is longer than an hour, and its sound is not part of this page.</p>"
    data = base64.b64encode(_mp3(shown)).decode()
    return (
        f"<audio id='sound' controls preload='metadata' aria-label='The recording' "
        f"src='data:audio/mpeg;base64,{data}'></audio>"
        "<p class='note'>Choose a place in the picture, or a time in the table, to listen from there.</p>"
    )


def _mp3(shown: Shown) -> bytes:
    out = io.BytesIO()
    with soundfile.SoundFile(
        out, "w", RATE, 1, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.7
    ) as file:
        for block in shown.blocks():
            file.write(block)
    return out.getvalue()


def _lane_name(lane: str, top: int) -> str:
    return f"<span class='lane' style='top:{top - 22}px' aria-hidden='true'>{_text(lane)}</span>"


def _axis(seconds: float) -> str:
    places = "".join(
        f"<span style='left:{100 * place / max(seconds, 1):.3f}%'>{clock(place, decimals=0, hours=False)}</span>"
        for place in ticks(seconds)
    )
    return f"<div class='axis' aria-hidden='true'>{places}</div>"


def _row(span: Span, shown: Shown, found: Mapping[str, str], speakers: bool) -> str:
    start = clock(span.start, decimals=1, hours=False)
    best = max(span.probabilities, key=span.probabilities.__getitem__, default="")
    swatch = f"<i style='background:{found[best]}'{_unsure(span)}></i>" if best else ""
    if shown.seconds <= LONGEST_SOUND:
        at = f"data-start='{span.start:.3f}' aria-label='listen from {start}'"
        start = f"<button type='button' {at}>{start}</button>"
    cells = [f"<td>{start}</td>", f"<td>{clock(span.end, decimals=1, hours=False)}</td>"]
    cells += [f"<td>{_text(span.speaker)}</td>"] if speakers else []
    cells += [f"<td>{swatch}{_text(span.caption())}</td>"]
    cells += [f"<td class='words'>{_text(span.text)}</td>"] if any(s.text for s in shown.spans) else []
    told = "; ".join(_text(MEANINGS.get(flag, flag)) for flag in span.marks)
    flags = f"<td title='{told}'>{_text(', '.join(span.marks))}</td>"
    return f"<tr>{''.join(cells)}{flags}</tr>"


def _unsure(span: Span) -> str:
    return " class='unsure'" if span.label is None else ""


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))
