"""Miniature corpora in their owners' layout: official names, tiny tones, and the clutter that real copies have.

``TREES[name](folder)`` writes one and returns the ids that a reader must find in it. Nothing here is a recording.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from unheard.corpora import synthetic


def tone(path: Path, seconds: float = 0.2, frequency: float = 220.0, rate: int = 16_000) -> Path:
    """Write a quiet sine under a name whose extension says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
    kind = {
        ".opus": ("OGG", "OPUS"),
        ".ogg": ("OGG", "VORBIS"),
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
    }
    form, subtype = kind[path.suffix.lower()]
    soundfile.write(str(path), wave, rate, format=form, subtype=subtype)
    return path


def ravdess(folder: Path) -> set[str]:
    speech = ["03-01-01-01-01-01-01", "03-01-02-02-02-02-02", "03-01-08-01-01-02-24"]
    song = ["03-02-06-02-01-01-02"]
    for name in speech:
        tone(folder / "Audio_Speech_Actors_01-24" / f"Actor_{name[-2:]}" / f"{name}.wav")
    for name in song:
        tone(folder / "Audio_Song_Actors_01-24" / f"Actor_{name[-2:]}" / f"{name}.opus")
    (folder / "README.txt").write_text("as its owner ships it")
    return {*speech, *song}


def emodb(folder: Path) -> set[str]:
    names = ["03a01Fa", "08a02Wb", "16b10Tc"]
    for name in names:
        tone(folder / "wav" / f"{name}.wav")
    (folder / "erkennung.txt").write_bytes("Erkennung für Hörer\r\n".encode("latin-1"))
    return set(names)


def nemo(folder: Path) -> set[str]:
    rows = [
        (
            "WR0_surprised_64.wav",
            "surprised",
            "Ucho wykrywa dźwięki.",
            "ucho wykrywa dźwięki",
            "        WR0",
            "male",
            23,
        ),
        (
            "EB0_neutral_13.wav",
            "neutral",
            "Interesuje mnie historia.",
            "interesuje mnie",
            "        EB0",
            "female",
            27,
        ),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "data.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("file_id", "emotion", "raw_text", "normalized_text", "speaker_id", "gender", "age"))
        writer.writerows(rows)
    for row in rows:
        tone(folder / "samples" / row[0])
    return {Path(row[0]).stem for row in rows}


def ased(folder: Path) -> set[str]:
    names = [
        "01Neutral/n1-01-01-01-01",
        "02Fearful/f2-07-02-02-65",
        "04Sad/S4-04-02-01-29",
        "05Angry/a5-03-01-02-50",
    ]
    for name in names:
        tone(folder / f"{name}.wav")
    return {name.rsplit("/", 1)[-1] for name in names}


def emotale(folder: Path) -> set[str]:
    names = ["DK_001_A_1", "EN_004_S_5"]
    for name in names:
        tone(folder / "wav" / f"{name}.wav")
    (folder / "speaker_info.csv").write_text("speaker,gender,age\n001,F,22\n004,M,24\n")
    (folder / "annotations.csv").write_text(
        "file,a1_A,a1_V,a1_D,a1_cat,a2_A,a2_V,a2_D,a2_cat,a3_A,a3_V,a3_D,a3_cat,gt_emotion\n"
        "DK_001_A_1.wav,4.0,1.5,4.5,A,4.0,2.5,5.0,A,5.0,1.0,4.5,H,A\n"
        "EN_004_S_5.wav,1.0,3.0,5.0,S,1.0,3.0,5.0,S,1.0,3.0,5.0,B,S\n"
    )
    return set(names)


def urdu(folder: Path) -> set[str]:
    names = ["Angry/SM1_F10_A010", "Happy/SF2_F1_H01", "Neutral/SM1_F3_N03", "Sad/SF11_F1_S03"]
    for name in names:
        tone(folder / f"{name}.wav")
    return {name.rsplit("/", 1)[-1] for name in names}


def baved(folder: Path) -> set[str]:
    names = ["3/46-m-20-3-2-954", "3/53-m-20-3-2-1021", "0/100-f-6-0-0-1", "6/0-m-21-6-1-1697"]
    for name in names:
        tone(folder / f"{name}.wav")
    (folder / "speakers_info.json").write_text("{}")
    return {name.rsplit("/", 1)[-1] for name in names}


def made(folder: Path) -> set[str]:
    synthetic.write(folder, speakers=1, takes=1, intensities=("normal",), sentences=("01",))
    return {f"03-01-{emotion:02d}-01-01-01-01" for emotion in range(1, 9)}


def generic(folder: Path) -> set[str]:
    for name in ("happy/a", "happy/b", "sad/a"):
        tone(folder / f"{name}.flac")
    return {"happy/a", "b", "sad/a"}


TREES: dict[str, Callable[[Path], set[str]]] = {
    "ravdess": ravdess,
    "emodb": emodb,
    "nemo": nemo,
    "ased": ased,
    "emotale": emotale,
    "urdu": urdu,
    "baved": baved,
    "synthetic": made,
    "generic": generic,
}
