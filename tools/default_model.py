"""The default model, from recordings to the bundle that is installed: one command, the same weights again.

    python tools/default_model.py DATA OUT

DATA holds the folders ``ravdess`` (speech and song), ``nemo`` and ``emodb`` as their readers take them, and
``weights/whisper-base-encoder``. In OUT every step leaves a file or folder and goes on from what it finds there:
the table of the three corpora, the run that leaves each of them out once, the bundle in float32, and ``default``,
its copy in int8, which belongs in ``src/unheard/models/default``. Interrupt it at will and start it again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from unheard import corpora
from unheard.corpora.joining import joined
from unheard.corpora.relabel import relabel
from unheard.corpora.table import write_table
from unheard.exporting.compact import compact
from unheard.label_files import parse

RECIPE = "default-model"
#: Every so manieth clip of a corpus, in the order of ids: nEMO has as many clips as the others have together.
EVERY = {"ravdess": 1, "nemo": 3, "emodb": 1}


def main() -> None:
    """Make what is missing, in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side; the result is the same")
    asked = parser.parse_args()
    data, out = asked.data, asked.out
    table, run, bundle = out / "corpora.parquet", out / "run", out / "bundle"
    out.mkdir(parents=True, exist_ok=True)

    if not table.is_file():
        seven = parse("seven")
        each = [
            relabel(corpora.read(name, data / name).gather_every(every), seven)
            for name, every in EVERY.items()
        ]
        write_table(joined(each), table)
    encoder = out / "whisper-base-encoder"
    shutil.copytree(data / "weights" / encoder.name, encoder, dirs_exist_ok=True)
    (encoder / "README.md").write_text(
        "---\nlicense: MIT\n---\nWhisper-base's encoder, by OpenAI\n", encoding="utf-8"
    )
    what = [
        "--data",
        str(table),
        "--val",
        "speakers",
        "--out",
        str(run),
        "--jobs",
        str(asked.jobs),
        "--resume",
    ]
    unheard("run", RECIPE, *what, "--weights", str(encoder))
    unheard("export", str(run), "--out", str(bundle), "--force")
    shutil.rmtree(out / "default", ignore_errors=True)
    copy = compact(bundle, out / "default", "int8")
    size = f"{copy.after / 1e6:.2f} MB, of {copy.before / 1e6:.2f} in float32"
    print(f"{copy.folder}: {size}; largest change of a logit {copy.difference:.4f}")


def unheard(*arguments: str) -> None:
    """Run one command of ``unheard``; stop where it fails."""
    if subprocess.call([sys.executable, "-m", "unheard", *arguments]):
        sys.exit("a step failed (above); start again to go on from it")


if __name__ == "__main__":
    main()
