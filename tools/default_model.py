"""The default model, from recordings to the bundle that is installed: one command, the same weights again.

    python tools/default_model.py DATA OUT

DATA holds the folders ``ravdess/speech``, ``nemo`` and ``emodb`` as their readers take them, and
``weights/fsmn-vad`` with the teacher. In OUT every step leaves a folder and goes on from what it finds there: the
student, the run that chooses and scores, the bundle in float32, and ``default``, its copy in float16, which
belongs in ``src/unheard/models/default``. Interrupt it at will and start it again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from unheard.distillation.student_graph import GRAPH
from unheard.exporting.compact import compact

RECIPE, PROTOCOL = "ravdess-box", "ravdess-balanced6"
#: Of the student: a place every 40 ms.
SHAPE = ("stride=4", "splice=8", "past=6", "future=2")


def main() -> None:
    """Make what is missing, in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side; the result is the same")
    asked = parser.parse_args()
    data, out = asked.data, asked.out
    student, run, bundle = out / "student", out / "run", out / "bundle"
    out.mkdir(parents=True, exist_ok=True)

    corpora = [f"nemo:{data / 'nemo'}", f"emodb:{data / 'emodb'}"]
    if not (student / GRAPH).is_file():
        teacher = ["--teacher", "onnx", "--model", str(data / "weights" / "fsmn-vad")]
        teacher += ["--set", "teacher.description=fsmn-vad", "--layers", "1-4"]
        spoken = [part for corpus in corpora for part in ("--data", corpus)]
        how = [part for change in SHAPE for part in ("--set", change)]
        how += ["--steps", "4000", "--seed", "0", "--set", "precision=bfloat16", "--jobs", str(asked.jobs)]
        unheard("distill", *teacher, *spoken, *how, "--out", str(student), "--resume")
    where = ["--data", str(data / "ravdess" / "speech"), "--protocol", PROTOCOL, "--out", str(run)]
    jobs = ["--jobs", str(asked.jobs), "--resume"]
    unheard("run", RECIPE, *where, "--set", f"inputs.voice.encoder.model={student}", *jobs)
    learned = [part for corpus in corpora for part in ("--encoder-data", corpus)]
    unheard("export", str(run), "--out", str(bundle), *learned, "--force")
    shutil.rmtree(out / "default", ignore_errors=True)
    copy = compact(bundle, out / "default", "float16")
    size = f"{copy.after / 1e6:.2f} MB, of {copy.before / 1e6:.2f} in float32"
    print(f"{copy.folder}: {size}; largest change of a logit {copy.difference:.4f}")


def unheard(*arguments: str) -> None:
    """Run one command of ``unheard``; stop where it fails."""
    if subprocess.call([sys.executable, "-m", "unheard", *arguments]):
        sys.exit("a step failed (above); start again to go on from it")


if __name__ == "__main__":
    main()
