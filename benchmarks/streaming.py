"""How long a stream's answer takes after its second, how many streams two cores hold, and whether memory grows.

Speech-like sounds of 20 s, of which somebody speaks most of the time, are fed in pieces of 0.1 s to streams of the
default model, or of the one named by --model. "one" is one stream with one core, "many" how many seconds of sound
two threads answer in a second: as many streams run in real time. "memory" is the largest of the process after the
first half of --minutes, and after all of them. Others may use the machine as well: the load average says so, and
processor time is steadier than wall time. What is printed is one JSON object, also written to --out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading
import time
from pathlib import Path

import numpy as np

import unheard as ut
from unheard.bundle.stream import Answer, Stream

RATE, PIECE, SECONDS = 16_000, 1_600, 20


def sound(seed: int) -> np.ndarray:
    """Return syllables of a gliding pitch with a pause of a second in every seven, (n,) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(SECONDS * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(rng.uniform(100, 240) * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / RATE
    buzz = sum(np.sin(h * phase) / h for h in range(1, 25))
    wave = 0.1 * buzz * (0.05 + 0.95 * np.sin(np.pi * 4 * t) ** 2) * (t % 7 < 6)
    return (wave + 0.001 * rng.standard_normal(len(t))).astype(np.float32)


def feed(stream: Stream, wave: np.ndarray) -> list[Answer]:
    """Feed a wave in pieces, and return the answers."""
    return [each for place in range(0, len(wave), PIECE) for each in stream.feed(wave[place : place + PIECE])]


def quantiles(values: list[float]) -> dict[str, float]:
    """Return median, 95 % and the largest, in milliseconds."""
    found = np.percentile(values, [50, 95, 100]) * 1000
    return dict(zip(("p50", "p95", "max"), (round(float(each), 1) for each in found), strict=True))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None)
    parser.add_argument("--streams", type=int, default=8, help="streams on two threads")
    parser.add_argument("--minutes", type=float, default=10.0, help="of one stream, for its memory")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "streaming.json")
    given = parser.parse_args()
    bundle = ut.load(given.model)
    feed(bundle.stream(RATE), sound(0))
    load = os.getloadavg()[0]
    used = time.process_time()
    answers = [
        each for seed in range(3) for each in feed(bundle.stream(RATE, adapt=bundle.adapts), sound(seed))
    ]
    spoken = [each.delay for each in answers if each.answered]
    one = {
        "answers": len(answers), "spoken": len(spoken), "delay_ms": quantiles(spoken),
        "processor_ms_a_second": round(1000 * (time.process_time() - used) / len(answers), 1),
    }  # fmt: skip
    streams = [bundle.stream(RATE, adapt=bundle.adapts) for _ in range(given.streams)]

    def half(first: int) -> None:
        for number in range(first, given.streams, 2):
            feed(streams[number], sound(number))

    threads = [threading.Thread(target=half, args=(first,)) for first in range(2)]
    wall, used = time.perf_counter(), time.process_time()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    wall, used = time.perf_counter() - wall, time.process_time() - used
    seconds = given.streams * SECONDS
    many = {
        "streams_in_real_time": round(seconds / wall, 1),
        "streams_by_processor_time_of_two_cores": round(2 * seconds / used, 1),
    }
    stream, megabytes = bundle.stream(RATE, adapt=bundle.adapts), []
    for _ in range(2):
        while stream.seconds < (len(megabytes) + 1) * given.minutes * 30:
            feed(stream, sound(1))
        megabytes.append(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1))
    found = {
        "model": bundle.description.name, "cores": os.cpu_count(),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "one": one, "many": many, "memory": {"minutes": given.minutes, "megabytes": megabytes},
    }  # fmt: skip
    text = json.dumps(found, indent=1)
    given.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
