"""RAVDESS' folds as stated in their sources, on a table that holds names alone."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from unheard import protocols
from unheard.corpora.table import utterances
from unheard.errors import ProtocolError

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    names = [
        f"03-{channel:02d}-{e:02d}-{i:02d}-{s:02d}-{t:02d}-{a:02d}"
        for channel in (1, 2)
        for e in range(1, 9)
        for i in (1, 2)
        for s in (1, 2)
        for t in (1, 2)
        for a in range(1, 25)
        if not (e == 1 and i == 2) and not (channel == 2 and (e > 6 or a == 18))
    ]
    return utterances(
        (
            {
                "id": name,
                "path": f"{name}.wav",
                "speaker": name[-2:],
                "gender": "male" if int(name[-2:]) % 2 else "female",
                "label": LABELS[int(name[6:8]) - 1],
                "sentence": name[12:14],
                "channel": "speech" if name[3:5] == "01" else "song",
            }
            for name in names
        ),
        corpus="ravdess",
        labels=LABELS,
    )


def actors(ids: tuple[str, ...]) -> set[int]:
    return {int(i[-2:]) for i in ids}


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("balanced6", 6),
        ("article6", 6),
        ("loso24", 24),
        ("aus5", 5),
        ("emobox6", 6),
        ("sentence2", 12),
        ("random6", 6),
        ("article-random6", 6),
    ],
)
def test_every_speech_clip_is_tested_once_and_no_song(table: pl.DataFrame, name: str, k: int) -> None:
    made = protocols.make(f"ravdess-{name}", table)
    assert len(made.folds) == k
    tested = Counter(i for parts in made.folds for i in parts.test)
    assert len(tested) == 1440
    assert set(tested.values()) == {1}
    assert all(i.startswith("03-01-") for i in tested)


def test_balanced6_has_two_women_and_two_men_and_16_training_actors(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-balanced6", table)
    assert actors(made.folds[0].test) == {1, 2, 3, 4}
    assert actors(made.folds[5].test) == {21, 22, 23, 24}
    assert actors(made.folds[5].val) == {1, 2, 3, 4}
    for parts in made.folds:
        assert len(actors(parts.train)) == 16
        assert sum(a % 2 for a in actors(parts.test)) == 2


def test_article6_is_the_published_table(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-article6", table)
    # Training actors of folds 0 and 4 as the article's repository lists them.
    assert actors(made.folds[0].train) == {5, 6, 7, 8, 9, 10, 13, 14, *range(17, 25)}
    assert actors(made.folds[4].train) == {2, 3, 5, 6, 7, 10, 11, 12, *range(17, 25)}
    assert actors(made.folds[4].val) == actors(made.folds[5].val) == {13, 14, 15, 16}


def test_aus5_is_the_published_table(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-aus5", table)
    assert [len(actors(parts.test)) for parts in made.folds] == [5, 5, 5, 5, 4]
    assert actors(made.folds[0].val) == actors(made.folds[1].test) == {3, 6, 7, 13, 18}


def test_loso24_validates_on_the_next_four(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-loso24", table)
    assert actors(made.folds[22].test) == {23}
    assert actors(made.folds[22].val) == {24, 1, 2, 3}
    assert len(actors(made.folds[22].train)) == 19


def test_random6_is_leaky_stratified_and_as_large_as_balanced6(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-random6", table)
    assert made.stamps == ("LEAKY",)
    for parts in made.folds:
        assert (len(parts.train), len(parts.val), len(parts.test)) == (960, 240, 240)
        counts = Counter(i[6:8] for i in parts.test)
        assert counts["01"] == 16
        assert {counts[f"{e:02d}"] for e in range(2, 9)} == {32}


@pytest.mark.parametrize(
    ("name", "seed", "share"), [("ravdess-random6", "0", "0.2"), ("ravdess-article-random6", "42", "0.15")]
)
def test_the_stored_random_folds_are_what_the_script_makes(
    tmp_path: Path, name: str, seed: str, share: str
) -> None:
    script = ROOT / "tests" / "reference" / "make_ravdess_random.py"
    subprocess.run([sys.executable, script, tmp_path / "again.csv", seed, share], check=True)
    stored = ROOT / "src" / "unheard" / "protocols" / "data" / f"{name}.csv"
    with stored.open() as a, (tmp_path / "again.csv").open() as b:
        assert list(csv.reader(a)) == list(csv.reader(b))


def test_article_random6_validates_on_15_percent_of_the_rest(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-article-random6", table)
    assert made.stamps == ("LEAKY",)
    assert [len(part) for part in made.folds[0]] == [1020, 180, 240]


def test_emobox6_trains_on_20_actors_and_validates_on_none(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-emobox6", table)
    assert actors(made.folds[1].test) == {4, 10, 12, 14}
    assert all((len(parts.train), len(parts.val)) == (1200, 0) for parts in made.folds)
    held = protocols.make("ravdess-emobox6", table, validation="next-fold")
    assert actors(held.folds[0].val) == actors(made.folds[1].test)
    assert actors(held.folds[5].val) == {1, 11, 20, 21}


@pytest.mark.parametrize(
    ("name", "train", "val"), [("split21", range(1, 19), {19, 20}), ("last4", range(1, 17), {17, 18, 19, 20})]
)
def test_single_splits_test_the_last_four_actors(
    table: pl.DataFrame, name: str, train: range, val: set[int]
) -> None:
    (parts,) = protocols.make(f"ravdess-{name}", table).folds
    assert (actors(parts.train), actors(parts.val), actors(parts.test)) == (set(train), val, {21, 22, 23, 24})


def test_sentence2_shares_neither_speaker_nor_sentence(table: pl.DataFrame) -> None:
    made = protocols.make("ravdess-sentence2", table)
    first = made.folds[0]
    assert {i[12:14] for i in first.test} == {"01"}
    assert {i[12:14] for i in (*first.train, *first.val)} == {"02"}
    assert actors(made.folds[6].test) == actors(first.test) == {1, 2, 3, 4}


def test_a_missing_actor_is_said(table: pl.DataFrame) -> None:
    with pytest.raises(ProtocolError, match="lacks the speaker 07"):
        protocols.make("ravdess-balanced6", table.filter(pl.col("speaker") != "07"))


def test_hashes_stay(table: pl.DataFrame) -> None:
    """Stored results name these hashes: a change of folds must be a new protocol."""
    hashes = {
        name: protocols.make(f"ravdess-{name}", table).hash[:12] for name in ("balanced6", "article6", "aus5")
    }
    assert hashes == {"balanced6": "b6b2d50a3fb7", "article6": "7f33780fde26", "aus5": "ac350fd58db4"}
