"""A toy corpus for tests, ours and other people's: small, made in a second, and known in every detail."""

from __future__ import annotations

import os

import polars as pl

from unheard.corpora import read, synthetic


def toy_corpus(
    folder: str | os.PathLike[str],
    *,
    speakers: int = 4,
    takes: int = 1,
    seed: int = 0,
    emotion: float = 1.0,
    style: float = 1.0,
    identity: float = 1.0,
) -> pl.DataFrame:
    """Write a small corpus of synthetic speech and return its utterance table.

    Each speaker says two sentences in eight emotions (16 clips a take, about 1.7 s each, 16 kHz). Odd speakers are
    men, even ones women; names and labels are RAVDESS'.

    Parameters
    ----------
    folder
        A new or empty folder.
    speakers, takes, seed, emotion, style, identity
        As for :func:`unheard.corpora.synthetic.write`: strengths of what all speakers share in an emotion, of each
        speaker's own way of it, and of what makes the speaker.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = toy_corpus(folder, speakers=2)
    >>> table.height, sorted(table["speaker"].unique())
    (32, ['01', '02'])
    """
    synthetic.write(
        folder,
        speakers=speakers,
        takes=takes,
        intensities=("normal",),
        seed=seed,
        emotion=emotion,
        style=style,
        identity=identity,
    )
    return read("synthetic", folder)
