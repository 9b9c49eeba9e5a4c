"""Derive the threshold of near-duplicates, and say how far takes and copies lie from it.

    python benchmarks/fingerprint.py --data FOLDER_OF_RAVDESS

*Takes*: all pairs of different recordings of one actor and one sentence, speech and song, that are not
duplicates (the one recording that RAVDESS holds twice, 03-01-03-01-02-01-07 = 03-01-03-01-02-02-07, is left
out). *Copies*: every n-th speech clip under changes that must not hide it (gain, formats, rates, shifts, some
of them together); the change that hides most (``HARDEST``) is made to every clip, since the least similar
copy decides and a sample would miss it. *Beyond*: changes for which nothing is promised. The threshold lies
midway between the most similar take and the least similar copy, rounded to 0.05. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from unheard.audio.decode import load
from unheard.audio.fingerprint import THRESHOLD, Fingerprint, band_wave, fingerprint, similarity, threes
from unheard.auditing.matching import MIN_SHARE, MIN_VOTES, candidates

RATE = 16_000
ONE_RECORDING = {"03-01-03-01-02-01-07", "03-01-03-01-02-02-07"}
Wave = np.ndarray[Any, Any]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=os.environ.get("UNHEARD_TEST_DATA"))
    arguments.add_argument("--every", type=int, default=12, help="copies are made of every n-th recording")
    arguments.add_argument("--many", type=int, default=12_500, help="synthetic fingerprints that are matched")
    given = arguments.parse_args()
    if given.data is None:
        arguments.error("--data names the folder that holds ravdess/, or set UNHEARD_TEST_DATA")
    many = [matching(count) for count in (1250, given.many)]  # first: recordings take memory of their own
    files = {p.stem: p for p in sorted((given.data / "ravdess").rglob("0?-0?-*.*"))}
    waves = {name: load(path).wave for name, path in files.items()}
    began = time.process_time()
    prints = {name: fingerprint(wave) for name, wave in waves.items()}
    per_clip = 1000 * (time.process_time() - began) / len(prints)
    bands = {name: band_wave(wave) for name, wave in waves.items()}
    speech = [name for name in prints if name[3:5] == "01"]
    takes = {
        "speech": alike(bands, same(prints, "01")),
        "song": alike(bands, same(prints, "02")),
        "speech, same emotion": alike(bands, same(prints, "01", slice(0, 8))),
    }
    copies, beyond = {}, {}
    for kind, changes, out in (("copies", COPIES, copies), ("beyond", BEYOND, beyond)):
        for name, change in changes.items():
            chosen = speech if name == HARDEST else speech[:: given.every]
            out[name] = changed(chosen, waves, prints, bands, change)
            print(f"{kind:7} {name:24} least {out[name]['least']:.3f}")
    highest = max(kind["greatest"] for kind in takes.values())
    lowest = min(kind["least"] for kind in copies.values())
    derived = round(20 * (highest + lowest) / 2) / 20
    found = candidates([prints[name] for name in speech])
    pairs = [(speech[a], speech[b]) for a, b in found]
    result = {
        "benchmark": "fingerprint",
        "clips": len(prints),
        "milliseconds_per_clip": round(per_clip, 1),
        "threshold": THRESHOLD,
        "derived_threshold": derived,
        "every": given.every,
        "margin_above_takes": round(THRESHOLD - highest, 3),
        "margin_below_copies": round(lowest - THRESHOLD, 3),
        "false_rate": sum(kind["above"] for name, kind in takes.items() if "same" not in name)
        / sum(kind["pairs"] for name, kind in takes.items() if "same" not in name),
        "true_rate": sum(c["found"] for c in copies.values()) / sum(c["clips"] for c in copies.values()),
        "candidate_rule": {"least_votes": MIN_VOTES, "least_share": MIN_SHARE},
        "candidates_in_speech": len(pairs),
        "bytes_per_clip": round(sum(p.hashes.nbytes + p.times.nbytes for p in prints.values()) / len(prints)),
        "matching": many,
        "reported_in_speech": [sorted(p) for p in pairs if similarity(bands[p[0]], bands[p[1]]) >= THRESHOLD],
        "takes": takes,
        "copies": copies,
        "beyond": beyond,
    }
    print(json.dumps(result))


def matching(count: int) -> dict[str, Any]:
    """Time and memory of matching made-up fingerprints: 75 peaks each, every fiftieth one twice.

    Peaks are 75 a clip as RAVDESS has them, in bands and at distances of a geometric distribution.
    """
    dice = np.random.default_rng(0)
    prints = []
    for _ in range(count):
        peaks = (np.cumsum(dice.geometric(0.28, 75)), dice.integers(0, 64, 75))
        prints.append(threes(*peaks))
    for k in range(0, count - 1, 50):
        prints[k + 1] = prints[k]
    began = time.process_time()
    found = set(candidates(prints))
    return {
        "clips": count,
        "seconds": round(time.process_time() - began, 2),
        "candidates": len(found),
        "planted_found": sum((k, k + 1) in found for k in range(0, count - 1, 50)),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }


def same(names: Iterable[str], channel: str, also: slice = slice(0)) -> Iterable[tuple[str, str]]:
    """Pairs of one channel, actor and sentence, and of one more part of the name."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        if name[3:5] == channel:
            groups.setdefault((name[-2:], name[12:14], name[also]), []).append(name)
    for group in groups.values():
        yield from (pair for pair in itertools.combinations(sorted(group), 2) if set(pair) != ONE_RECORDING)


def alike(bands: dict[str, Wave], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Distribution of the similarity of pairs."""
    named = [(similarity(bands[a], bands[b]), a, b) for a, b in pairs]
    values = np.array([value for value, _, _ in named])
    greatest = max(named)
    return {
        "pairs": len(values),
        **{f"q{100 * q:g}": round(float(np.quantile(values, q)), 3) for q in (0.5, 0.9, 0.99, 0.999)},
        "greatest": round(greatest[0], 3),
        "greatest_pair": list(greatest[1:]),
        "above": int((values >= THRESHOLD).sum()),
    }


def changed(
    names: list[str],
    waves: dict[str, Wave],
    prints: dict[str, Fingerprint],
    bands: dict[str, Wave],
    change: Callable[[Wave], Wave],
) -> dict[str, Any]:
    """How alike recordings and their changed copies are, and how many are found: as candidates, then as equal."""
    values, found = [], 0
    for name in names:
        copy = change(waves[name]).astype(np.float32)
        values.append(similarity(bands[name], band_wave(copy)))
        found += bool(candidates([prints[name], fingerprint(copy)])) and values[-1] >= THRESHOLD
    return {
        "clips": len(names),
        "least": round(min(values), 3),
        "q5": round(float(np.quantile(values, 0.05)), 3),
        "median": round(float(np.median(values)), 3),
        "found": int(found),
    }


def through(form: str, kind: str, rate: int = RATE) -> Callable[[Wave], Wave]:
    """Write and read a wave in a format at a rate."""

    def change(wave: Wave) -> Wave:
        file = io.BytesIO()
        soundfile.write(file, np.clip(at(wave, RATE, rate), -1, 1), rate, format=form, subtype=kind)
        file.seek(0)
        again, found = soundfile.read(file, dtype="float32")
        return at(again, found, RATE)

    return change


def at(wave: Wave, rate: int, target: int) -> Wave:
    """Resample."""
    return wave if rate == target else soxr.resample(wave, rate, target)


def padded(before: int, after: int, noise: float = 0.0) -> Callable[[Wave], Wave]:
    """Samples of silence or noise at both ends."""
    dice = np.random.default_rng(0)
    return lambda w: np.concatenate([dice.normal(0, noise, before), w, dice.normal(0, noise, after)])


def cut(before: int, after: int) -> Callable[[Wave], Wave]:
    """Lose samples at both ends."""
    return lambda wave: wave[before : len(wave) - after]


def noisy(decibels: float) -> Callable[[Wave], Wave]:
    """White noise so far below the RMS of what is within 26 dB of the peak."""
    dice = np.random.default_rng(0)

    def change(wave: Wave) -> Wave:
        loud = wave[np.abs(wave) > 0.05 * np.abs(wave).max()]
        return wave + dice.normal(0, np.sqrt(np.mean(loud**2)) * 10 ** (-decibels / 20), len(wave))

    return change


def chain(*changes: Callable[[Wave], Wave]) -> Callable[[Wave], Wave]:
    """One change after the other."""

    def change(wave: Wave) -> Wave:
        for one in changes:
            wave = one(wave)
        return wave

    return change


COPIES: dict[str, Callable[[Wave], Wave]] = {
    "gain -20 dB": lambda w: 0.1 * w,
    "gain to clipping, +6 dB": lambda w: np.clip(2 * w / np.abs(w).max(), -1, 1),
    "polarity": lambda w: -w,
    "offset": lambda w: w + 0.05,
    "8 kHz": through("WAV", "PCM_16", 8000),
    "11.025 kHz": through("WAV", "PCM_16", 11025),
    "22.05 kHz": through("WAV", "PCM_16", 22050),
    "44.1 kHz": through("WAV", "PCM_16", 44100),
    "48 kHz, 24 bits": through("WAV", "PCM_24", 48000),
    "Opus": through("OGG", "OPUS"),
    "Opus, 8 kHz": through("OGG", "OPUS", 8000),
    "Opus, 48 kHz": through("OGG", "OPUS", 48000),
    "Vorbis": through("OGG", "VORBIS"),
    "MP3": through("MP3", "MPEG_LAYER_III"),
    "MP3, 8 kHz": through("MP3", "MPEG_LAYER_III", 8000),
    "MP3, 44.1 kHz": through("MP3", "MPEG_LAYER_III", 44100),
    "IMA ADPCM": through("WAV", "IMA_ADPCM"),
    "MS ADPCM, 8 kHz": through("WAV", "MS_ADPCM", 8000),
    "mu-law, 8 kHz": through("WAV", "ULAW", 8000),
    "0.5 s of silence before": padded(8000, 0),
    "0.333 s of noise before": padded(5331, 3001, 1e-4),
    "0.5 s cut before": cut(8000, 0),
    "0.49 s cut, 0.41 s after": cut(7777, 6543),
    "shift, gain, Opus 8 kHz": chain(
        padded(3333, 0), cut(0, 7001), lambda w: 0.2 * w, through("OGG", "OPUS", 8000)
    ),
    "cut, gain, MP3 22.05 kHz": chain(
        cut(6101, 4000), lambda w: 0.3 * w, through("MP3", "MPEG_LAYER_III", 22050)
    ),
}
HARDEST = "MS ADPCM, 8 kHz"
BEYOND: dict[str, Callable[[Wave], Wave]] = {
    "GSM, 8 kHz": through("WAV", "GSM610", 8000),
    "8 bits": through("WAV", "PCM_U8"),
    "white noise, 20 dB": noisy(20),
    "white noise, 10 dB": noisy(10),
}

if __name__ == "__main__":
    main()
