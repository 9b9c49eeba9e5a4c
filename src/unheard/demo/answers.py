"""Answers as HTML: calibrated bars, what to beware of, and what the model is worth. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from unheard.bundle.prediction import Prediction
from unheard.bundle.schema import Description
from unheard.bundle.voice import VoiceProfile
from unheard.presenting.drawing import colours

#: Looks of the page; colours of text and paper are those of the theme, light or dark.
STYLE = """
.answer h3{margin:.2em 0}.answer table{border-collapse:collapse;width:100%;table-layout:fixed}
.answer table,.answer tr,.answer td,.answer th{border:0!important}
.answer td,.answer th{padding:.15em .4em!important;text-align:left;font-weight:400}
.answer .name{width:7em}.answer .share{width:4em;text-align:right!important;font-variant-numeric:tabular-nums}
.answer .bar{height:.9em;border-radius:2px;min-width:1px}
.pair{display:flex;flex-wrap:wrap;gap:1.5em}.pair>*{flex:1 1 15em;min-width:0}
.sentence{padding:.6em .8em;border-left:4px solid #b42318;background:rgba(180,35,24,.08)}
.strip{overflow-x:auto}.strip svg{width:100%!important;min-width:34em!important;height:auto!important}
"""
_INTENDED = (
    "It says which expression listeners would **perceive**, not what somebody feels. It is not to be used at work "
    "or in education in the EU, and not to decide about people."
)
_NAMES = {"accuracy": "right", "uar": "right by class, on average (UAR)"}


def whole(found: Prediction, title: str) -> str:
    """Return the answer to a recording: its label or why there is none, bars by class and dimension, warnings."""
    best = max(found.probabilities, key=found.probabilities.__getitem__, default=None)
    if found.label is not None:
        said = found.label
    elif best is not None:
        said = f"unsure ({best} is likeliest)"
    elif found.dimensions:
        said = "dimensions alone"
    else:
        said = "no answer"
    rows = "".join(
        _row(name, share, f"{100 * share:.0f} %", colour)
        for (name, share), colour in zip(
            found.probabilities.items(), colours(list(found.probabilities)).values(), strict=True
        )
    )
    rows += "".join(_row(name, value, f"{value:.2f}", "#6b7280") for name, value in found.dimensions.items())
    table = (
        f"<table><caption class='sr-only'>{escape(title)}: probability of each class</caption>"
        f"<colgroup><col class='name'><col><col class='share'></colgroup>{rows}</table>"
        if rows
        else ""
    )
    warnings = "".join(f"<li>{escape(each)}</li>" for each in found.warnings)
    beware = f"<ul>{warnings}</ul>" if warnings else ""
    return f"<section class='answer'><h3>{escape(title)}: {escape(said)}</h3>{table}{beware}</section>"


def pair(before: Prediction, after: Prediction, clips: int) -> str:
    """Return two answers beside each other: knowing nobody, and knowing the voice."""
    known = f"Knowing the voice ({clips} clip{'' if clips == 1 else 's'})"
    return f"<div class='pair'>{whole(before, 'Knowing nobody')}{whole(after, known)}</div>"


def sentence(text: str) -> str:
    """Return a sentence about what went wrong, which a screen reader says at once."""
    return f"<p class='sentence' role='alert'>{escape(text)}</p>"


def voice(profile: VoiceProfile) -> str:
    """Return what a profile was made of, and what to beware of in it."""
    many = "" if profile.clips == 1 else "s"
    said = [f"The voice is known from {profile.clips} clip{many} with {profile.speech:.1f} s of speech."]
    said += [f"{each[0].upper()}{each[1:]}." for each in profile.warnings]
    said += [f"{len(profile.left_out)} could not be used."] if profile.left_out else []
    return f"<p role='status'>{escape(' '.join(said))}</p>"


def strip(svg: str) -> str:
    """Return a picture that was drawn by :mod:`unheard.presenting`, in a frame that scrolls on a narrow page."""
    return f"<div class='strip' tabindex='0' aria-label='Answers over time'>{svg}</div>"


def about(d: Description, knows: bool) -> str:
    """Return what the model is, what it is worth, and what it must not be used for, as Markdown."""
    lines = [
        f"### About the model {_plain(d.name)}",
        _INTENDED,
        *_score(d.score),
    ]
    if knows:
        lines.append(
            "It gets to know a voice from a few clips without labels, which makes it right more often. A profile "
            "is made of a person's voice: make one only of who has agreed."
        )
    licences = "; ".join(
        f"{_plain(layer)}: {_plain(', '.join(map(str, said)) if isinstance(said, list) else said)}"
        for layer, said in d.licences.items()
    )
    lines.append(f"Licences: {licences}.")
    lines.append(
        "**Nothing is kept**: recordings lie in a private folder while this page shows them, and are removed "
        "within minutes and when the program ends. A voice is forgotten with the page."
    )
    return "\n\n".join(lines)


def _score(score: Mapping[str, Any] | None) -> list[str]:
    if not score:
        return ["This bundle does not say how it was scored."]
    parts = [
        f"{100 * m['pooled']:.0f} % {word} (95 %: {100 * m['low']:.0f} to {100 * m['high']:.0f})"
        for name, word in _NAMES.items()
        if (m := score["metrics"].get(name)) and m.get("low") is not None
    ]
    stamps = f" Stamps: {_plain(', '.join(score['stamps']))}." if score["stamps"] else ""
    return [
        (
            f"On {score['n_speakers']} people whom it had never heard (protocol {_plain(score['protocol'])}, "
            f"{len(score['labels'])} classes): {'; '.join(parts)}.{stamps} The bars are calibrated; on "
            "speech unlike that of the training they may be too long or too short."
        )
    ]


def _row(name: str, share: float, said: str, colour: str) -> str:
    width = 100 * min(1.0, max(0.0, share))
    return (
        f"<tr><th scope='row' class='name'>{escape(name)}</th><td><div class='bar' aria-hidden='true' "
        f"style='width:{width:.1f}%;background:{colour}'></div></td><td class='share'>{said}</td></tr>"
    )


def _plain(text: object) -> str:
    """Return text that Markdown shows as it stands."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+!|~$" else c for c in escape(str(text), quote=False))
