"""Folds of IEMOCAP, MELD, MSP-Podcast, CMU-MOSEI and CREMA-D, on tables shaped as their readers make them."""

from __future__ import annotations

import polars as pl
import pytest

from unheard import protocols
from unheard.corpora.relabel import relabel
from unheard.corpora.table import utterances
from unheard.errors import ProtocolError, UsageError
from unheard.label_files import parse

FOUR = ("angry", "happy", "neutral", "sad")


def table(corpus, rows, labels=FOUR):
    made = [{"id": f"{number:03d}", "path": f"{number}.wav", **row} for number, row in enumerate(rows)]
    return utterances(made, corpus=corpus, labels=labels)


def iemocap(labels=FOUR):
    return table(
        "iemocap",
        [
            {"speaker": f"Ses0{session}{letter}", "session": f"0{session}", "label": label}
            for session in range(1, 6)
            for letter in "FM"
            for label in (*labels, None)
        ],
        labels,
    )


def speakers(rows, fold):
    of = dict(rows.select("id", "speaker").iter_rows())
    return [{of[i] for i in part} for part in fold]


def test_iemocap_by_session():
    rows = iemocap()
    folds = protocols.make("iemocap-session5", rows).folds
    assert len(folds) == 5
    train, val, test = speakers(rows, folds[4])
    assert test == {"Ses05F", "Ses05M"} and val == {"Ses01F"}
    assert train == {f"Ses0{k}{letter}" for k in range(1, 5) for letter in "FM"} - val and len(train) == 7
    # Clips without consensus are in no part.
    assert sum(map(len, folds[0])) == 10 * 4


def test_iemocap_by_speaker():
    rows = iemocap()
    folds = protocols.make("iemocap-speaker10", rows).folds
    assert len(folds) == 10
    for fold in folds:
        train, (val,), (test,) = speakers(rows, fold)
        assert val[:5] == test[:5] and val != test and len(train) == 8


def test_iemocap_needs_its_four_classes_and_the_stored_mapping_makes_them():
    whole = ("angry", "happy", "excited", "sad", "neutral", "frustrated", "other")
    rows = iemocap(whole)
    with pytest.raises(ProtocolError, match="--labels iemocap-4"):
        protocols.make("iemocap-session5", rows)
    mapped = relabel(rows, parse("iemocap-4"))
    counts = dict(mapped["label"].value_counts().iter_rows())
    assert counts == {"angry": 10, "happy": 20, "sad": 10, "neutral": 10, None: 30}
    assert sum(map(len, protocols.make("iemocap-session5", mapped).folds[0])) == 50


def test_meld_is_the_owners_and_leaky():
    parts = ["train"] * 4 + ["dev"] * 2 + ["test"] * 2
    rows = table(
        "meld",
        [
            {
                "speaker": ("Ross", "Joey")[k % 2],
                "label": ("joy", "anger")[k % 2],
                "split": part,
                "dialogue": f"{part}/0",
            }
            for k, part in enumerate(parts)
        ],
        ("anger", "joy"),
    )
    made = protocols.make("meld", rows)
    assert [len(part) for part in made.folds[0]] == [4, 2, 2]
    assert made.stamps == ("LEAKY",)
    with pytest.raises(ProtocolError, match="column 'split' holds dev, test; expected train, dev, test"):
        protocols.make("meld", rows.filter(pl.col("split") != "train"))


def podcast(development="Development", clips=8):
    parts = ["Train", "Train", "Train", development, "Test1", "Test1", "Test2", "Test3"] * (clips // 8)
    return table(
        "msp-podcast",
        [
            {"speaker": None if k == 2 else f"{part}{k % 2}", "label": FOUR[k % 2], "split": part}
            for k, part in enumerate(parts)
        ],
        FOUR[:2],
    )


def test_emotale_is_tested_in_the_language_that_was_not_learned():
    rows = table(
        "emotale",
        [
            {"speaker": f"{k:03d}", "gender": "female", "language": language, "label": label}
            for k in range(10)
            for language in ("da", "en")
            for label in FOUR
        ],
    )
    language = dict(rows.select("id", "language").iter_rows())
    folds = protocols.make("emotale-languages10", rows).folds
    assert sorted(i for fold in folds for i in fold.test) == rows["id"].sort().to_list()
    for number, fold in enumerate(folds):
        (taught,), (tested,) = ({language[i] for i in part} for part in ((*fold.train, *fold.val), fold.test))
        assert (taught, tested) == (("en", "da"), ("da", "en"))[number // 5]
        train, val, test = speakers(rows, fold)
        assert (len(train), len(val), len(test)) == (6, 2, 2) and len(train | val | test) == 10


@pytest.mark.parametrize(("release", "development"), [("1.6", "Validation"), ("1.11", "Development")])
def test_msp_podcast_is_the_owners_by_release(release, development):
    rows = podcast(development)
    made = protocols.make(f"msp-{release}", rows)
    of = dict(rows.select("id", "split").iter_rows())
    assert [{of[i] for i in part} for part in made.folds[0]] == [{"Train"}, {development}, {"Test1"}]
    # One training clip's speaker is unknown.
    assert made.stamps == ("UNVERIFIED",)


def test_msp_podcast_of_a_later_release_is_not_taken_for_an_early_one():
    with pytest.raises(ProtocolError, match=r"msp-1\.6: the release has 50,362 clips, the table 50,400"):
        protocols.make("msp-1.6", podcast(clips=50_400))


def test_mosei_tests_alone():
    rows = table(
        "mosei",
        [{"label": FOUR[k % 4], "split": part} for k, part in enumerate(["train", "test", "test", "unused"])],
    )
    made = protocols.make("mosei-test", rows)
    assert made.folds == (((), (), ("001", "002")),) and made.stamps == ("UNVERIFIED",)


def test_crema_d_by_speaker_women_first():
    people = [(f"{1000 + k}", "female" if k % 2 else "male") for k in range(1, 12)]
    rows = table(
        "crema-d",
        [{"speaker": name, "gender": gender, "label": label} for name, gender in people for label in FOUR],
    )
    folds = protocols.make("crema-d-speaker5", rows).folds
    dealt = [name for gender in ("female", "male") for name, found in people if found == gender]
    assert [sorted(speakers(rows, fold)[2]) for fold in folds] == [sorted(dealt[k::5]) for k in range(5)]
    assert [speakers(rows, fold)[1] for fold in folds] == [
        speakers(rows, folds[(k + 1) % 5])[2] for k in range(5)
    ]


@pytest.mark.parametrize("name", ["iemocap-session5", "iemocap-speaker10", "meld", "msp-1.6", "mosei-test"])
def test_a_protocol_of_another_corpus_is_refused(name):
    with pytest.raises(ProtocolError, match="needs the corpus"):
        protocols.make(name, table("ravdess", [{"speaker": "1", "label": label} for label in FOUR]))


# Mappings of labels


def voted():
    votes = [
        {"label": "happy", "weight": 2.0},
        {"label": "neutral", "weight": 1.0},
        {"label": "sad", "weight": 1.0, "valence": 0.5},
    ]
    return table("mine", [{"label": label, "votes": votes} for label in FOUR])


@pytest.mark.parametrize(
    ("text", "classes", "labels"),
    [
        ("angry=upset,sad=upset", ["upset", "happy", "neutral"], ["upset", "happy", "neutral", "upset"]),
        ("neutral=", ["angry", "happy", "sad"], ["angry", "happy", None, "sad"]),
        ("happy,sad", ["happy", "sad"], [None, "happy", None, "sad"]),
        ("sad=blue, happy", ["happy", "blue"], [None, "happy", None, "blue"]),
        ("seven", ["angry", "happy", "neutral", "sad"], list(FOUR)),
    ],
)
def test_labels_are_renamed_merged_dropped_and_chosen(text, classes, labels):
    made = relabel(voted(), parse(text))
    assert made["label"].to_list() == labels and made["label"].dtype.categories.to_list() == classes


def test_votes_follow_their_labels():
    made = relabel(voted(), parse("neutral=,sad=,happy=glad"))
    said = [(vote["label"], vote["weight"], vote["valence"]) for vote in made["votes"][0]]
    # A vote for what is dropped leaves, but what it says of valence stays.
    assert said == [("glad", 2.0, None), (None, 1.0, 0.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hapy=glad", "hapy"),
        ("sevn", "seven"),
        ("sad=a,sad=b", "each label once"),
        ("=a,b=c", "expected OLD=NEW"),
        ("angry=,happy=,neutral=,sad=", "none of the classes"),
        ("nowhere.yaml", "no such file"),
    ],
)
def test_a_mapping_that_does_not_hold(text, message):
    with pytest.raises(UsageError, match=message):
        relabel(voted(), parse(text))


def test_a_mapping_in_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("{name: mine, version: 2, labels: {sad: blue, bored: null}}")
    labels = parse(str(tmp_path / "mine.yaml"))
    assert (labels.name, labels.version) == ("mine", 2)
    assert relabel(voted(), labels)["label"].to_list() == ["angry", "happy", "neutral", "blue"]
    (tmp_path / "mine.yaml").write_text("{labels: {sad: 3}}")
    with pytest.raises(UsageError, match=r"expected \{name, version, labels"):
        parse(str(tmp_path / "mine.yaml"))
