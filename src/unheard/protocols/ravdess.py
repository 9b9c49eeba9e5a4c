"""Published and standard folds of RAVDESS: speech clips of 24 actors (Livingstone and Russo 2018).

Odd actors are men, even ones women. The synthetic corpus has the same names and may take the same protocols.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.resources import files

import polars as pl

from unheard.errors import ProtocolError, first_five
from unheard.protocols.fold import Protocol, fold, guarded
from unheard.protocols.fold_assignment import next_fold, speakers_to_folds

#: Test and validation actors of the six folds behind the published 64.9, 67.6, 70.3 and 78.8 %
#: (seed 42; its folds 4 and 5 share their validation actors).
ARTICLE6 = (
    ((11, 12, 15, 16), (1, 2, 3, 4)),
    ((5, 6, 17, 20), (3, 4, 7, 8)),
    ((13, 14, 19, 22), (5, 6, 7, 8)),
    ((7, 10, 18, 23), (8, 9, 11, 12)),
    ((1, 4, 8, 9), (13, 14, 15, 16)),
    ((2, 3, 21, 24), (13, 14, 15, 16)),
)
#: Test actors of the five folds published with the face action units.
AUS5 = ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))

#: Test actors of EmoBox' folds: no validation part, women and men unbalanced.
EMOBOX6 = (
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)


def balanced6(table: pl.DataFrame) -> Protocol:
    """Return folds: fold k tests actors 4k+1 … 4k+4, validates on the next four and trains on the other 16."""
    test = [range(4 * k + 1, 4 * k + 5) for k in range(6)]
    return next_fold(speech(table), "ravdess-balanced6", [_actors(actors) for actors in test])


def article6(table: pl.DataFrame) -> Protocol:
    """Return the folds of the article whose frozen WavLM-large reached 70.3 %."""
    test, validation = zip(*((_actors(t), _actors(v)) for t, v in ARTICLE6), strict=True)
    clips = speech(table)
    return guarded("ravdess-article6", clips, speakers_to_folds(clips, test, validation))


def loso24(table: pl.DataFrame) -> Protocol:
    """Leave one actor out; validation: the next four actors."""
    test = [_actors([k + 1]) for k in range(24)]
    validation = [_actors([(k + j) % 24 + 1 for j in range(1, 5)]) for k in range(24)]
    clips = speech(table)
    return guarded("ravdess-loso24", clips, speakers_to_folds(clips, test, validation))


def aus5(table: pl.DataFrame) -> Protocol:
    """Return five folds published with the face action units; validation: the next fold's actors."""
    return next_fold(speech(table), "ravdess-aus5", [_actors(actors) for actors in AUS5])


def emobox6(table: pl.DataFrame) -> Protocol:
    """Return EmoBox' folds, without validation: ``--val next-fold`` takes four actors out of training."""
    clips = speech(table)
    folds = speakers_to_folds(clips, [_actors(actors) for actors in EMOBOX6], [[] for _ in EMOBOX6])
    return guarded("ravdess-emobox6", clips, folds)


def split21(table: pl.DataFrame) -> Protocol:
    """Train on actors 1-18, validate on 19 and 20, test on 21-24: the single split of an article."""
    return _single(table, "ravdess-split21", range(21, 25), range(19, 21))


def last4(table: pl.DataFrame) -> Protocol:
    """Train on actors 1-16, validate on 17-20, test on 21-24."""
    return _single(table, "ravdess-last4", range(21, 25), range(17, 21))


def sentence2(table: pl.DataFrame) -> Protocol:
    """Train and validate on one sentence and test on the other, speakers as in balanced6: 12 folds."""
    clips = speech(table)
    sentence = dict(zip(clips["id"], clips["sentence"], strict=True))
    texts = sorted({text for text in sentence.values() if text is not None})
    if len(texts) != 2 or None in sentence.values():
        raise ProtocolError(
            f"ravdess-sentence2 needs two sentences and one for each clip, found {len(texts)}"
        )
    folds = [
        fold(
            [i for i in parts.train if sentence[i] != tested],
            [i for i in parts.val if sentence[i] != tested],
            [i for i in parts.test if sentence[i] == tested],
        )
        for tested in texts
        for parts in balanced6(table).folds
    ]
    # The sentence is shared by training and validation, so only speakers can be declared disjoint.
    return guarded("ravdess-sentence2", clips, folds)


def random6(table: pl.DataFrame) -> Protocol:
    """LEAKY: six stratified folds over shuffled clips, a stratified fifth of the rest for validation."""
    return _listed(table, "ravdess-random6")


def article_random6(table: pl.DataFrame) -> Protocol:
    """LEAKY: the article's twin of article6, six stratified folds, 15 % of the rest for validation."""
    return _listed(table, "ravdess-article-random6")


def speech(table: pl.DataFrame) -> pl.DataFrame:
    """Return the speech clips of a RAVDESS-shaped table: no protocol holds song."""
    corpus = str(table["corpus"][0])
    if corpus not in ("ravdess", "synthetic"):
        raise ProtocolError(f"a ravdess protocol needs the corpus ravdess, found {corpus!r}")
    return table.filter(pl.col("channel") == "speech")


def _single(table: pl.DataFrame, name: str, test: range, validation: range) -> Protocol:
    clips = speech(table)
    return guarded(name, clips, speakers_to_folds(clips, [_actors(test)], [_actors(validation)]))


def _listed(table: pl.DataFrame, name: str) -> Protocol:
    """Return leaky folds whose seeded lists are stored with the package."""
    clips = speech(table)
    stored = files("unheard.protocols").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    parts = {row["id"]: row["parts"] for row in csv.DictReader(stored.splitlines())}
    strange = [i for i in clips["id"] if i not in parts]
    if strange:
        raise ProtocolError(f"{name}: clips that RAVDESS does not have: {first_five(strange)}")
    here = list(clips["id"])
    letter = {"train": "t", "val": "v", "test": "x"}
    folds = [
        fold(**{part: [i for i in here if parts[i][k] == mark] for part, mark in letter.items()})
        for k in range(6)
    ]
    return guarded(name, clips, folds, disjoint=(), leaky=True)


def _actors(numbers: Sequence[int]) -> list[str]:
    return [f"{number:02d}" for number in numbers]
