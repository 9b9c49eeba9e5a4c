"""Give a bundle that was made without it the file by which its training clips are known again.

    python tools/known_clips.py BUNDLE ravdess:DATA/ravdess/speech nemo:DATA/nemo emodb:DATA/emodb

Each further argument is a corpus that the model, or its encoder, was trained on, whole. Everything else in the
bundle stays as it is, byte by byte; ``unheard export`` writes the file itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from unheard.corpora.source import of_reader
from unheard.exporting.known_clips import add_known_clips


def main() -> None:
    """Add the file and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS:FOLDER")
    asked = parser.parse_args()
    tables = [of_reader(source).select("id", "path", "start", "end") for source in asked.corpora]
    before = _size(asked.bundle)
    add_known_clips(asked.bundle, pl.concat(tables))
    clips = sum(map(len, tables))
    print(
        f"{asked.bundle}: {clips} clips, {before / 1e6:.2f} MB before and {_size(asked.bundle) / 1e6:.2f} now"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
