"""The layer-weighted head over six folds: from the layer-wise store, and with the encoder in the loop.

    python benchmarks/probe.py [--type int8 --average 2]

WavLM-base with random weights (which cost the same as trained ones), 100 clips of noise with lengths drawn as
those of RAVDESS, six speakers and folds, a fixed number of epochs, all in one run. *Store*: extracting once, then
fitting six heads from what is stored. *Loop*: the encoder computes every clip again in every epoch. Of that one
epoch of one fold is measured (the encoder over its training and validation clips, in batches of the head's size,
and the head's own epoch on what came out) and multiplied by folds and epochs; the encoder is as fast as in
extraction. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from unheard import encoders
from unheard.extraction.extract import Storage, extract
from unheard.heads.networks.weighted import Weighted
from unheard.inputs import Clip, Form, Piece
from unheard.training.examples import Examples, Rows, labelled

RATE = 16_000
CLIPS, FOLDS, CLASSES, BATCH = 100, 6, 8, 16


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--type", default="int8", help="of the stored frames: float32, float16 or int8")
    arguments.add_argument("--average", type=int, default=2, help="stored frames averaged in time by so many")
    arguments.add_argument("--epochs", type=int, default=25, help="of each head; the recipe's is 25")
    arguments.add_argument("--precision", default="float32", help="of the encoder: float32, bfloat16 or auto")
    given = arguments.parse_args()
    settings = {"name": "wavlm", "weights": "random", "precision": given.precision}
    with TemporaryDirectory() as folder:
        clips, labels, speakers = corpus(Path(folder))
        storage = Storage(Form.LAYERS, None, given.type, given.average)
        with timed() as extraction:
            stored = extract(clips, settings, storage, folder=Path(folder) / "store", say=print)

        def rows(chosen: np.ndarray, features: object) -> Examples:
            ids = [clips[i].id for i in chosen]
            return labelled(
                {"voice": Rows(features, ids)},
                labels[chosen],
                speakers[chosen],
                [str(k) for k in range(CLASSES)],
            )

        def head(epochs: int) -> Weighted:
            return Weighted(epochs=epochs, patience=epochs, batch=BATCH)

        with timed() as fitting:
            for fold in range(FOLDS):
                train, val = splits(speakers, fold)
                head(given.epochs).fit(rows(train, stored.features), rows(val, stored.features))

        train, val = splits(speakers, 0)
        encoding, outputs = encoded(settings, clips, (train, val))
        with timed() as own:
            head(1).fit(rows(train, outputs), rows(val, outputs))
    epochs = FOLDS * given.epochs
    seconds = {
        "extraction, once": extraction,
        "fitting from the store": fitting,
        "encoder, an epoch in the loop": encoding,
        "head, an epoch in the loop": own,
    }
    for name, (wall, cpu) in seconds.items():
        print(f"{name:30} {wall:8.2f} s, {cpu:8.2f} s of processors")
    loop = [epochs * (encoding[kind] + own[kind]) for kind in (0, 1)]
    times = [loop[kind] / (extraction[kind] + fitting[kind]) for kind in (0, 1)]
    print(f"loop, {epochs} epochs from one: {loop[0]:.0f} s; from the store {times[0]:.1f} times as fast")
    result = {
        "benchmark": "probe",
        "clips": CLIPS,
        "folds": FOLDS,
        "epochs": given.epochs,
        "stored": f"{given.type}, averaged by {given.average}",
        "precision": given.precision,
        "threads": {"encoder": os.environ.get("OMP_NUM_THREADS", "all"), "head": 1},
        "least_cosine": None if stored.cosines is None else float(stored.cosines.min()),
        "seconds": {name: [round(value, 2) for value in pair] for name, pair in seconds.items()},
        "loop_seconds_extrapolated": [round(value, 1) for value in loop],
        "times_faster": round(times[0], 1),
        "times_faster_by_processor_time": round(times[1], 1),
    }
    print(json.dumps(result))


@contextmanager
def timed() -> Iterator[list[float]]:
    """Return wall-clock and processor seconds: what others run at the same time slows the first."""
    spent = [0.0, 0.0]
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent[:] = time.perf_counter() - wall, time.process_time() - cpu


def corpus(folder: Path) -> tuple[list[Clip], np.ndarray, np.ndarray]:
    """Clips of noise, 3.7 s long with a standard deviation of 0.34 s as in RAVDESS, their classes and speakers."""
    rng = np.random.default_rng(0)
    clips = []
    for n, seconds in enumerate(np.clip(rng.normal(3.7, 0.34, CLIPS), 2.9, 5.3)):
        path = folder / f"{n}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)
        clips.append(Clip(f"c{n}", Piece(str(path))))
    return clips, np.arange(CLIPS) % CLASSES, (np.arange(CLIPS) // CLASSES % FOLDS).astype(str)


def splits(speakers: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation clips of a fold: one speaker is tested, the next one validates."""
    own = speakers.astype(int)
    validates = own == (fold + 1) % FOLDS
    return np.flatnonzero(~validates & (own != fold)), np.flatnonzero(validates)


def encoded(
    settings: dict[str, str], clips: list[Clip], both: tuple[np.ndarray, np.ndarray]
) -> tuple[list[float], dict[str, np.ndarray]]:
    """Seconds that the encoder takes for an epoch's clips in batches, and what it gives, all entries in full."""
    encoder = encoders.load(settings)
    every = range(len(encoder.layers))
    waves = {clip.id: soundfile.read(clip.audio.path, dtype="float32")[0] for clip in clips}
    encoder.extract([waves[clips[0].id]], every)  # warms up
    outputs: dict[str, np.ndarray] = {}
    with timed() as spent:
        for part in both:
            ordered = sorted((clips[i].id for i in part), key=lambda name: len(waves[name]))
            for first in range(0, len(ordered), BATCH):
                names = ordered[first : first + BATCH]
                layers = encoder.extract([waves[name] for name in names], every)
                outputs |= {name: np.stack(clip) for name, clip in zip(names, layers, strict=True)}
    return spent, outputs


if __name__ == "__main__":
    main()
