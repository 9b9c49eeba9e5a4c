"""The model in the box, from recordings to the bundle that is installed: one command, the same weights again.

    python tools/default_model.py DATA OUT

DATA holds the folders ``ravdess/speech``, ``nemo`` and ``emodb`` as their readers take them, and
``weights/fsmn-vad`` with the teacher. In OUT every step leaves a folder, and is skipped where it is done: students
(two distillations side by side), the run that chooses and scores, the bundle in float32, and ``default``, its copy
in float16, which belongs in ``src/unheard/models/default``. Interrupt it at will and start it again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from unheard.bundle.compact import compact
from unheard.training.student_graph import GRAPH, joined

SEEDS = (0, 1)
RECIPE, PROTOCOL = "ravdess-box", "ravdess-balanced6"


def main() -> None:
    """Make what is missing, in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side; the result is the same")
    asked = parser.parse_args()
    data, out = asked.data, asked.out
    out.mkdir(parents=True, exist_ok=True)

    students = [out / f"student{seed}" for seed in SEEDS]
    missing = [(seed, folder) for seed, folder in zip(SEEDS, students, strict=True) if not made(folder)]
    for first in range(0, len(missing), asked.jobs):
        side_by_side([distil(data, seed, folder) for seed, folder in missing[first : first + asked.jobs]])
    if not made(out / "students"):
        joined(students, out / "students")

    run, bundle = out / "run", out / "bundle"
    encoder = ["--set", f"encoder.model={out / 'students'}"]
    where = ["--data", str(data / "ravdess" / "speech"), "--protocol", PROTOCOL, "--out", str(run)]
    side_by_side([["run", RECIPE, *where, *encoder, "--jobs", str(asked.jobs), "--resume"]])
    side_by_side([["export", str(run), "--out", str(bundle), "--force"]])
    shutil.rmtree(out / "default", ignore_errors=True)
    copy = compact(bundle, out / "default", "float16")
    size = f"{copy.after / 1e6:.2f} MB, of {copy.before / 1e6:.2f} in float32"
    print(f"{copy.folder}: {size}; largest change of a logit {copy.difference:.4f}")


def made(student: Path) -> bool:
    """Whether a distillation came to its end."""
    return (student / GRAPH).is_file()


def distil(data: Path, seed: int, out: Path) -> list[str]:
    """Arguments of ``unheard`` for one student: 3,000 steps in bfloat16 on one core."""
    teacher = ["--teacher", "onnx", "--model", str(data / "weights" / "fsmn-vad")]
    heard = ["--data", f"nemo:{data / 'nemo'}", "--data", f"emodb:{data / 'emodb'}"]
    how = ["--set", "precision=bfloat16", "--steps", "3000", "--seed", str(seed), "--jobs", "1", "--resume"]
    return [
        "distill", *teacher, "--set", "teacher.description=fsmn-vad", "--entries", "1-4", *heard, *how,
        "--out", str(out),
    ]  # fmt: skip


def side_by_side(commands: list[list[str]]) -> None:
    """Run ``unheard`` once for each list of arguments, all at once; stop where one fails."""
    running = [subprocess.Popen([sys.executable, "-m", "unheard", *arguments]) for arguments in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit("a step failed (above); start again to go on from it")


if __name__ == "__main__":
    main()
