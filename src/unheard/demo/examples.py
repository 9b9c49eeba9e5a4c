"""Recordings to try, of synthetic speech: nobody's voice, and nobody's right to it."""

from __future__ import annotations

from pathlib import Path

import soundfile

from unheard.corpora.synthetic.corpus import take
from unheard.corpora.synthetic.people import person
from unheard.corpora.synthetic.voice import RATE

#: Name by what is spoken: number of the speaker (odd ones are men), and of the emotion in RAVDESS' order.
EXAMPLES = {"woman neutral": (2, 1), "woman sad": (2, 4), "man angry": (1, 5), "man happy": (1, 3)}


def write(folder: Path) -> list[Path]:
    """Write a few clips of synthetic speech into a folder; equal calls write equal clips."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (speaker, emotion) in EXAMPLES.items():
        who = person(speaker, seed=0, identity=1.0, style=1.0)
        path = folder / f"{name.replace(' ', '-')}.wav"
        soundfile.write(
            path, take(f"03-01-{emotion:02}-01-01-01-{speaker:02}", who, 0), RATE, subtype="PCM_16"
        )
        written.append(path)
    return written
