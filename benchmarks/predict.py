"""How fast a bundle predicts: one clip, a folder, a cold start; and wav2vec2-base in Transformers, in one run.

The default model, or a bundle named by --model. A clip lasts 4 s, half of it silence before and after the
speech, as in a recording of RAVDESS; "unbroken" is one of 4 s of speech. The other job is what is commonly
done: a fresh process that imports Transformers, builds wav2vec2-base with a classification head (random weights
cost what trained ones do, and need no download), and predicted clip by clip in float32. Both have one core. They
take turns; a figure is the median over rounds, with the minimum, since others may use the machine as well:
then processor time is steadier than wall time. The last line is one JSON object, also written to --out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unheard.corpora.synthetic import crowd

RATE = 16_000
SECONDS = 4.0
#: Of a recording of RAVDESS, in which somebody speaks (measured: 0.5); the rest is silence before and after.
SPOKEN = 0.5
#: Runs of one job in a process of its own: what it prints is its measurement.
OURS = """
import sys, time
start = time.perf_counter(), time.process_time()
import unheard as ut
bundle = ut.load(sys.argv[1] or None)
ready = time.perf_counter(), time.process_time()
job = lambda: bundle.predict_file(sys.argv[2])
"""
THEIRS = """
import sys, time
start = time.perf_counter(), time.process_time()
import soundfile, torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification
torch.set_num_threads(1)
extractor = Wav2Vec2FeatureExtractor()
model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=8)).eval()
ready = time.perf_counter(), time.process_time()
def job():
    wave, rate = soundfile.read(sys.argv[2], dtype="float32")
    with torch.inference_mode():
        return model(**extractor(wave, sampling_rate=rate, return_tensors="pt")).logits.softmax(-1)
"""
MEASURE = """
import json, resource
job()
done = time.perf_counter(), time.process_time()
taken = []
for _ in range(int(sys.argv[3])):
    wall, used = time.perf_counter(), time.process_time()
    job()
    taken.append((time.perf_counter() - wall, time.process_time() - used))
print(json.dumps({
    "start": [b - a for a, b in zip(start, ready)], "first": [b - a for a, b in zip(start, done)], "clips": taken,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
"""
#: `unheard`, and how much memory it took.
COLD = """
import resource, sys
from unheard.cli import main
sys.argv[0] = "unheard"
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, file=sys.stderr)
"""


def speech(seconds: float, seed: int, share: float = 1.0) -> np.ndarray:
    """A synthetic voice that speaks without a pause for a share of the time, with faint noise around it."""
    samples = int(seconds * RATE)
    spoken = int(samples * share)
    sentences = [crowd.voice(seed % crowd.PEOPLE, emotion, RATE) for emotion in range(crowd.TAKES)]
    words = np.resize(np.concatenate(sentences), spoken)
    wave = 1e-4 * np.random.default_rng(seed).normal(size=samples)
    start = (samples - spoken) // 2
    wave[start : start + spoken] += words
    return wave.astype(np.float32)


def alone(code: str, model: str, clip: Path, clips: int) -> dict[str, Any]:
    """A job in a fresh process on one core: seconds to be ready, to the first prediction, and a clip."""
    command = [sys.executable, "-c", code + MEASURE, model, str(clip), str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, env=one_core(), check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def command_line(arguments: list[str], place: Path) -> dict[str, float]:
    """`unheard predict` as a shell runs it: seconds of wall and of processor, and megabytes at most."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", COLD, "predict", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=one_core(), cwd=place, check=True)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall": wall, "processor": used, "megabytes": float(done.stderr.split()[-1])}


def one_core() -> dict[str, str]:
    """Environment of a process that computes on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def folder_speed(model: str, paths: list[Path], seconds: float) -> dict[str, float]:
    """Seconds of speech a second, of wall and of processor, for many files in one process."""
    code = (
        "import sys, time, unheard as ut\nbundle = ut.load(sys.argv[1] or None)\n"
        "list(bundle.predict_many(sys.argv[2:4]))\nwall, used = time.perf_counter(), time.process_time()\n"
        "assert all(prediction.seconds for prediction in bundle.predict_many(sys.argv[2:]))\n"
        "print(time.perf_counter() - wall, time.process_time() - used)"
    )
    command = [sys.executable, "-c", code, model, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=one_core(), check=True)
    wall, used = map(float, done.stdout.split())
    return {"wall": seconds / wall, "processor": seconds / used}


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="bundle; default: the default model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=10, help="predicted a round, after the first")
    parser.add_argument("--files", type=int, default=200, help="recordings of the folder")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = str(Path(args.model).resolve()) if args.model else ""
    if not model:
        from unheard.bundle.default import default_model

        default_model()  # says what to do where there is none
    with tempfile.TemporaryDirectory() as place:
        clip, unbroken = Path(place) / "clip.wav", Path(place) / "unbroken.wav"
        soundfile.write(clip, speech(SECONDS, 0, SPOKEN), RATE)
        soundfile.write(unbroken, speech(SECONDS, 0), RATE)
        lengths = np.clip(np.random.default_rng(1).normal(3.7, 0.35, args.files), 2.9, 5.3)
        paths = [Path(place) / f"{k:04}.wav" for k in range(args.files)]
        for k, path in enumerate(paths):
            soundfile.write(path, speech(lengths[k], k, SPOKEN), RATE)
        named = ["--model", model] if model else []
        ours, whole, theirs, cold, many = [], [], [], [], []
        for _ in range(args.rounds):
            ours.append(alone(OURS, model, clip, args.clips))
            whole.append(alone(OURS, model, unbroken, args.clips))
            theirs.append(alone(THEIRS, model, clip, max(1, args.clips // 5)))
            cold.append(command_line([str(clip), *named], Path(place)))
            many.append(folder_speed(model, paths, float(lengths.sum())))
    found = {
        "model": model or "default",
        "clip_seconds": SECONDS,
        "rounds": args.rounds,
        "spoken": SPOKEN,
        "unheard": summary(ours),
        "unheard unbroken": summary(whole),
        "transformers": summary(theirs),
        "cold": {name: spread([run[name] for run in cold]) for name in cold[0]},
        "folder_times_real_time": {name: spread([run[name] for run in many], most=True) for name in many[0]},
        "load_average": os.getloadavg()[0],
    }
    for name in ("unheard", "unheard unbroken", "transformers"):
        row = found[name]
        print(
            f"{name:16} clip {1000 * row['clip_processor']['median']:6.1f} ms of processor "
            f"(wall {1000 * row['clip_wall']['median']:.1f}, least {1000 * row['clip_wall']['best']:.1f}), "
            f"ready after {row['ready_processor']['median']:.2f} s (wall {row['ready_wall']['median']:.2f}), "
            f"{row['megabytes']['median']:.0f} MB"
        )
    print(
        f"cold `unheard predict`: {found['cold']['processor']['median']:.2f} s of processor (wall "
        f"{found['cold']['wall']['median']:.2f}, least {found['cold']['wall']['best']:.2f}), "
        f"{found['cold']['megabytes']['median']:.0f} MB"
    )
    print(
        f"folder of {args.files}: {found['folder_times_real_time']['processor']['median']:.0f} times real time by "
        f"processor (wall {found['folder_times_real_time']['wall']['median']:.0f}, best "
        f"{found['folder_times_real_time']['wall']['best']:.0f})"
    )
    text = json.dumps(found)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n")


def summary(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over rounds, a round being the median of its clips."""
    clips = [np.median(run["clips"], axis=0) for run in runs]
    return {
        "clip_wall": spread([clip[0] for clip in clips]),
        "clip_processor": spread([clip[1] for clip in clips]),
        "ready_wall": spread([run["start"][0] for run in runs]),
        "ready_processor": spread([run["start"][1] for run in runs]),
        "first_answer_wall": spread([run["first"][0] for run in runs]),
        "megabytes": spread([run["megabytes"] for run in runs]),
    }


def spread(values: list[float], most: bool = False) -> dict[str, float]:
    """Median and best of the rounds."""
    return {"median": float(np.median(values)), "best": float(max(values) if most else min(values))}


if __name__ == "__main__":
    main()
