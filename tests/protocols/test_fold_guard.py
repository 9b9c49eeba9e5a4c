"""The guard: no fold is built whose parts share what they must not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard import protocols
from unheard.corpora.table import utterances
from unheard.errors import ProtocolError, UsageError
from unheard.protocols.fold import PARTS, check_classes, fold, guarded


def rows(speakers: Sequence[str | None], clips: int = 4, labels: Sequence[str] = ("a", "b")) -> pl.DataFrame:
    """A table in which every speaker says ``clips`` clips, labels in turn, women and men in turn."""
    return utterances(
        (
            {
                "id": f"{n:03d}-{c}",
                "path": f"{n}-{c}.wav",
                "speaker": speaker,
                "gender": None if speaker is None else ("female", "male")[n % 2],
                "label": labels[c % len(labels)],
                "sentence": f"s{c % 2}",
                "session": f"x{n // 2}",
            }
            for n, speaker in enumerate(speakers)
            for c in range(clips)
        ),
        corpus="made",
        labels=labels,
    )


def of(table: pl.DataFrame, *speakers: str) -> list[str]:
    return table.filter(pl.col("speaker").is_in(list(speakers)))["id"].to_list()


@given(st.lists(st.integers(0, 2), min_size=6, max_size=6), st.integers(0, 5), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_a_planted_speaker_on_two_sides_is_always_refused(drawn: list[int], who: int, other: int) -> None:
    """Whatever the split, moving one clip of a speaker to another part is found."""
    table = rows("ABCDEF")
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for speaker, side in zip("ABCDEF", drawn, strict=True):
        parts[PARTS[side]] += of(table, speaker)
    moved = of(table, "ABCDEF"[who])[0]
    if drawn[who] == other or not parts["train"] or not parts["test"]:
        return
    parts[PARTS[drawn[who]]].remove(moved)
    parts[PARTS[other]].append(moved)
    with pytest.raises(ProtocolError, match=r"SPEAKER_ON_TWO_SIDES|no training clip|part is empty"):
        guarded("planted", table, [fold(**parts)])


def test_a_declared_leak_is_stamped_and_not_refused() -> None:
    table = rows("AB")
    ids = table["id"].to_list()
    leaky = guarded("split", table, [fold(ids[:4], [], ids[4:])], leaky=True, disjoint=())
    assert leaky.stamps == ("LEAKY",)


def test_sentences_and_sessions_are_kept_apart_where_asked() -> None:
    table = rows("ABCD")
    parts = fold(of(table, "A", "B"), [], of(table, "C", "D"))
    guarded("speakers", table, [parts])
    guarded("sessions", table, [parts], disjoint=("speaker", "session"))
    with pytest.raises(ProtocolError, match="SENTENCE_ON_TWO_SIDES"):
        guarded("sentences", table, [parts], disjoint=("speaker", "sentence"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((["000-0", "nobody"], [], ["001-0"]), "table lacks: nobody"),
        ((["000-0", "000-1"], [], []), "test part is empty"),
        (([], [], ["000-0"]), "train part is empty"),
        ((["000-0", "000-1"], ["000-0"], ["001-0"]), "stands in two parts"),
    ],
)
def test_broken_folds_are_refused_by_name(parts: tuple[list[str], ...], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        guarded("broken", rows("AB"), [fold(*parts)])


def test_every_class_must_be_trained_on_where_the_target_is_the_label() -> None:
    table = rows("AB")
    made = guarded("one class", table, [fold(["000-0", "000-2"], [], ["001-1"])])
    with pytest.raises(
        ProtocolError, match=r"fold 0: no training clip of the class b \(all of its \d+ .*--labels b="
    ):
        check_classes(made, table)


def test_a_clip_takes_part_if_it_has_a_value_of_any_part_of_the_target() -> None:
    table = rows("ABC")
    first, *rest = table["id"].to_list()
    vote = [{"grader": "g", "label": "a", "weight": 1.0, "modality": None}]
    table = table.with_columns(
        label=pl.when(pl.col("id") != first).then(pl.col("label")),
        votes=pl.when(pl.col("id") == first).then(pl.lit(vote, dtype=table.schema["votes"])),
        valence=pl.when(pl.col("id") == rest[0]).then(0.5),
    )
    parts = {
        ("label", ()): rest,
        ("votes", ()): [first],
        ("none", ("valence",)): [rest[0]],
        ("votes", ("valence",)): [first, rest[0]],
        ("label", ("valence",)): rest,
    }
    for (classes, dimensions), ids in parts.items():
        assert protocols.taking_part(table, classes, dimensions)["id"].to_list() == ids
    with pytest.raises(ProtocolError, match="no clip of the table has a value of activation"):
        protocols.taking_part(table, "none", ["activation"])
    # Half of the classes are in no training part: that matters for labels alone.
    one = table.filter(pl.col("label") == "a").with_columns(valence=0.5)
    assert len(protocols.make("loso", one, classes="none", dimensions=["valence"]).folds) == 3
    with pytest.raises(ProtocolError, match="no training clip of the class b"):
        protocols.make("loso", one)


def test_unknown_speakers_are_refused_or_stamped() -> None:
    table = rows([None, None, "C"])
    ids = table["id"].to_list()
    parts = [fold(ids[:4], [], ids[4:])]
    with pytest.raises(ProtocolError, match="speaker is unknown"):
        guarded("who", table, parts)
    assert guarded("who", table, parts, unverified=True).stamps == ("UNVERIFIED",)


def test_the_hash_is_that_of_the_documented_json() -> None:
    table = rows("ABC")
    made = guarded("x", table, [fold(of(table, "A"), of(table, "B"), of(table, "C"))])
    plain = {
        "corpus": "made",
        "disjoint": ["speaker"],
        "folds": [{"train": of(table, "A"), "val": of(table, "B"), "test": of(table, "C")}],
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert made.hash == hashlib.sha256(text.encode()).hexdigest()
    # Equal folds have equal hashes whatever made them, and whatever order the ids came in.
    shuffled = fold(of(table, "A")[::-1], of(table, "B"), of(table, "C")[::-1])
    assert guarded("another name", table, [shuffled]).hash == made.hash
    other = fold(of(table, "A"), of(table, "C"), of(table, "B"))
    assert guarded("x", table, [other]).hash != made.hash


def test_loso_tests_each_speaker_once() -> None:
    table = rows("ABCDEFG")
    made = protocols.make("loso", table)
    assert sorted(i for parts in made.folds for i in parts.test) == sorted(table["id"])
    assert all(len(parts.train) + len(parts.val) + len(parts.test) == len(table) for parts in made.folds)
    assert all(parts.val for parts in made.folds)


@given(st.integers(3, 5), st.integers(5, 12))
@settings(max_examples=25, deadline=None)
def test_group_k_balances_gender_and_tests_each_speaker_once(k: int, n: int) -> None:
    table = rows([f"s{i:02d}" for i in range(n)])
    made = protocols.make(f"group-{k}", table)
    assert sorted(i for parts in made.folds for i in parts.test) == sorted(table["id"])
    gender = dict(zip(table["id"], table["gender"], strict=True))
    for wanted in ("female", "male"):
        counts = [len({i[:3] for i in parts.test if gender[i] == wanted}) for parts in made.folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(parts.test) for parts in made.folds]
    assert max(sizes) - min(sizes) <= 8
    assert protocols.make(f"group-{k}", table).hash == made.hash


@pytest.mark.parametrize("k", [3, 4, 6])
def test_random_k_trains_on_as_many_clips_as_group_k(k: int) -> None:
    table = rows("ABCDEFGHIJKL", clips=24)
    sizes = [
        {tuple(map(len, parts)) for parts in protocols.make(f"{kind}-{k}", table).folds}
        for kind in ("random", "group")
    ]
    assert sizes[0] == sizes[1] == {(288 - 2 * 288 // k, 288 // k, 288 // k)}


def test_random_k_is_leaky_and_a_corpus_without_speakers_is_unverified() -> None:
    assert protocols.make("random-3", rows("ABCD", clips=8)).stamps == ("LEAKY",)
    assert protocols.make("random-3", rows([None] * 4, clips=8)).stamps == ("UNVERIFIED",)
    with pytest.raises(ProtocolError, match="column 'speaker' is empty"):
        protocols.make("group-3", rows([None] * 4))


def test_names_are_checked() -> None:
    table = rows("ABC")
    with pytest.raises(UsageError, match="did you mean 'loso'"):
        protocols.make("losso", table)
    with pytest.raises(UsageError, match="put a number for k"):
        protocols.make("group-k", table)
    with pytest.raises(ProtocolError, match="needs 3 or more folds and a speaker for each"):
        protocols.make("group-9", table)
    with pytest.raises(ProtocolError, match="needs the corpus ravdess"):
        protocols.make("ravdess-balanced6", table.with_columns(channel=pl.lit("speech")))


def test_folds_from_files(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    table = rows("ABC")
    csv = folder / "folds.csv"
    lines = ["id;fold;part"]
    part = {"A": "train", "B": "dev", "C": "test"}
    lines += [f"{i};0;{part[s]}" for i, s in zip(table["id"], table["speaker"], strict=True)]
    csv.write_text("﻿" + "\r\n".join(lines), encoding="utf-8")
    made = protocols.make(str(csv), table)
    assert made.folds[0].val == tuple(of(table, "B"))
    stored = folder / "stored.json"
    stored.write_text(json.dumps(made.as_dict()))
    assert protocols.make(str(stored), table).hash == made.hash

    swapped = csv.read_text(encoding="utf-8").replace("000-0;0;train", "000-0;0;test")
    csv.write_text(swapped, encoding="utf-8")
    with pytest.raises(ProtocolError, match="SPEAKER_ON_TWO_SIDES"):
        protocols.make(str(csv), table)
    assert protocols.make(str(csv), table, declare_leaky=True).stamps == ("LEAKY",)
    csv.write_text("id,fold,part\n000-0,0,trian\n")
    with pytest.raises(ProtocolError, match="row 2: part is 'trian'"):
        protocols.make(str(csv), table)


def test_validation_is_taken_from_the_next_fold_on_request() -> None:
    table = rows("ABCD")
    bare = [fold(set(table["id"]) - set(of(table, s)), [], of(table, s)) for s in "ABCD"]
    without = guarded("bare", table, bare)
    from unheard.protocols.fold_assignment import with_validation

    made = with_validation(without, table)
    assert made.folds[0].val == tuple(of(table, "B"))
    assert made.folds[3].val == tuple(of(table, "A"))
    assert all(not set(parts.train) & set(parts.val) for parts in made.folds)
    with pytest.raises(ProtocolError, match="have a validation part already"):
        with_validation(made, table)
    single = guarded("single", table, bare[:1])
    with pytest.raises(ProtocolError, match="--val speakers takes a fifth of the training speakers"):
        with_validation(single, table)


def test_a_fifth_of_the_training_speakers_validates_on_request() -> None:
    names = "ABCDEFGHIJKL"
    table = rows(names).with_columns(
        split=pl.when(pl.col("speaker") == "L").then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    made = protocols.make("owner", table, validation="speakers")
    assert set(made.folds[0].val) == {i for speaker in "AF" for i in of(table, speaker)}
    assert not set(made.folds[0].val) & {*made.folds[0].train, *made.folds[0].test}
    # A and F alone say a class each: others are taken.
    label = pl.when(pl.col("speaker").is_in(["A", "F"])).then(pl.col("speaker")).otherwise(pl.lit("x"))
    rare = table.with_columns(label=label.cast(pl.Enum(["A", "F", "x"])))
    parts = protocols.make("owner", rare, validation="speakers").folds[0]
    assert set(parts.val) == {i for speaker in "BK" for i in of(table, speaker)}
    nobody = table.with_columns(speaker=pl.lit(None, dtype=pl.String))
    with pytest.raises(ProtocolError, match="no training speaker can validate"):
        protocols.make("owner", nobody, validation="speakers")


def test_protocols_and_folds_print_short_whatever_their_size() -> None:
    made = protocols.make("loso", rows("ABCD", clips=100))
    assert repr(made) == "Protocol('loso' on 'made': 4 folds, 400 clips)"
    assert repr(made.folds[0]) == "Fold(train: 200 clips, val: 100 clips, test: 100 clips)"


def test_speakers_are_looked_at_whatever_a_file_says_is_disjoint(tmp_path: object) -> None:
    from pathlib import Path

    table = rows("AB")
    ids = table["id"].to_list()
    stored = Path(str(tmp_path)) / "mine.json"
    for disjoint in ([], ["sentence"]):
        plain = {"disjoint": disjoint, "folds": [{"train": ids[:5], "val": [], "test": ids[5:]}]}
        stored.write_text(json.dumps(plain))
        with pytest.raises(ProtocolError, match="_ON_TWO_SIDES"):
            protocols.make(str(stored), table)


def test_unknown_values_of_any_disjoint_column_are_stamped() -> None:
    table = rows("AB").with_columns(session=pl.lit(None, dtype=pl.String))
    parts = [fold(of(table, "A"), [], of(table, "B"))]
    made = guarded("x", table, parts, disjoint=("speaker", "session"), unverified=True)
    assert made.stamps == ("UNVERIFIED",)


def test_few_clips_or_folds_are_said() -> None:
    with pytest.raises(ProtocolError, match="2 or more folds"):
        protocols.make("random-1", rows("ABCD", clips=8))
    eight = [f"c{n}" for n in range(8)]
    with pytest.raises(ProtocolError, match="too few clips to validate"):
        protocols.make("random-2", rows("ABC", clips=8, labels=eight))
    with pytest.raises(ProtocolError, match="no training clip of the class z"):
        table = rows("ABC").with_columns(pl.col("label").cast(pl.String).cast(pl.Enum(["a", "b", "z"])))
        protocols.make("loso", table)
