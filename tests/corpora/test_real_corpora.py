"""The real corpora, counted: expected figures are those that their owners' files hold."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from unheard import protocols
from unheard.corpora import read, survey

pytestmark = pytest.mark.data


def test_ravdess_speech(data_folder):
    table, left, _ = survey("ravdess", data_folder / "ravdess" / "speech")
    assert len(table) == 1440 and left == []
    assert Counter(table["label"]) == {
        "neutral": 96,
        **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
    }
    assert Counter(table["speaker"]) == {f"{actor:02d}": 60 for actor in range(1, 25)}
    assert Counter(table["gender"]) == {"male": 720, "female": 720}
    assert table["duration"].sum() / 3600 == pytest.approx(1.48, abs=0.005)
    # The official scheme, written out.
    assert set(table["id"]) == {
        f"03-01-{emotion:02d}-{intensity:02d}-{sentence:02d}-{take:02d}-{actor:02d}"
        for emotion in range(1, 9)
        for intensity in (1, 2)
        for sentence in (1, 2)
        for take in (1, 2)
        for actor in range(1, 25)
        if (emotion, intensity) != (1, 2)
    }


def test_ravdess_speech_and_song(data_folder):
    table = read("ravdess", data_folder / "ravdess")
    song = table.filter(pl.col("channel") == "song")
    assert len(table) == 2452 and len(song) == 1012
    assert song["speaker"].n_unique() == 23 and "18" not in song["speaker"].unique()
    assert set(song["speaker"].value_counts()["count"]) == {44}
    assert not {"disgust", "surprised"} & set(song["label"])
    assert song["duration"].min() > 3.4 and song["duration"].max() < 6.5


def test_emodb(data_folder):
    table, left, _ = survey("emodb", data_folder / "emodb")
    assert len(table) == 535
    assert Counter(table["label"]) == {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79
    }  # fmt: skip
    assert sorted(table["speaker"].unique()) == ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert table["sentence"].n_unique() == 10
    assert table["duration"].sum() == pytest.approx(24 * 60 + 47, abs=1)
    assert [item.path for item in left] == ["erkennung.csv", "erkennung.txt", "erklaerung.txt"]


def test_nemo(data_folder):
    table = read("nemo", data_folder / "nemo")
    assert len(table) == 4481
    assert Counter(table["label"]) == {
        "anger": 749, "fear": 736, "happiness": 749, "neutral": 809, "sadness": 769, "surprised": 669
    }  # fmt: skip
    assert Counter(table["speaker"]) == {
        "EB0": 539, "IC0": 540, "KD0": 540, "KS0": 540, "MK0": 450, "MP0": 256, "SM0": 538, "TP0": 539, "WR0": 539
    }  # fmt: skip
    assert table["sentence"].n_unique() == table["text"].n_unique() == 90
    assert table["gender"].null_count() == table["age"].null_count() == 0


def test_ased(data_folder):
    table, _, remarks = survey("ased", data_folder / "ased")
    assert len(table) == 1290
    assert Counter(table["label"]) == {"neutral": 274, "fearful": 262, "happy": 258, "sad": 242, "angry": 254}
    assert sorted(table["speaker"].unique()) == [f"{speaker:02d}" for speaker in range(1, 33)]
    assert Counter(table["speaker"])["31"] == 54 and Counter(table["speaker"])["08"] == 8
    assert "S4-04-02-01-29" in table["id"] and table["sentence"].n_unique() == 35
    conflicts = sorted(remark.text.split()[2] for remark in remarks)
    assert conflicts == ["09", "15", "21", "23", "25"]
    assert sorted(table.filter(pl.col("gender").is_null())["speaker"].unique()) == conflicts
    folds = protocols.make("ased-speaker5", table).folds
    of = dict(table.select("id", "speaker").iter_rows())
    hands = [{of[i] for i in fold.test} for fold in folds]
    assert sum(map(len, hands)) == 32 and len(set().union(*hands)) == 32
    # Speakers of unknown gender are dealt last, one to each fold.
    assert [len(hand & set(conflicts)) for hand in hands] == [1] * 5
    assert [{of[i] for i in fold.val} for fold in folds] == hands[1:] + hands[:1]


def test_emotale(data_folder):
    table, left, _ = survey("emotale", data_folder / "emotale")
    assert len(table) == 800 and {item.reason for item in left} == {"not audio"}
    assert Counter(table["language"]) == {"da": 450, "en": 350}
    assert Counter(table["label"]) == dict.fromkeys(
        ("anger", "boredom", "happiness", "neutral", "sadness"), 160
    )
    speakers = table.unique("speaker")
    assert Counter(speakers["gender"]) == {"female": 12, "male": 6}
    assert (speakers["age"].min(), speakers["age"].max()) == (9, 39)
    enacted = [
        [vote["label"] == label for vote in votes]
        for label, votes in table.select(pl.col("label").cast(pl.String), "votes").iter_rows()
    ]
    assert [sum(same) for same in zip(*enacted, strict=True)] == [639, 706, 507]
    mean = table.group_by(pl.col("label").cast(pl.String)).agg(pl.col("activation", "valence").mean())
    of = {label: values for label, *values in mean.iter_rows()}
    assert min(of["anger"][0], of["happiness"][0]) > 0.5 > max(of["neutral"][0], of["sadness"][0])
    assert of["happiness"][1] > of["neutral"][1] > max(of["sadness"][1], of["anger"][1])
    folds = protocols.make("emotale-speaker5", table).folds
    of_speaker = dict(table.select("id", "speaker").iter_rows())
    women = set(speakers.filter(pl.col("gender") == "female")["speaker"])
    hands = [{of_speaker[i] for i in fold.test} for fold in folds]
    assert [len(hand) for hand in hands] == [4, 4, 4, 3, 3]
    assert [len(hand & women) for hand in hands] == [3, 3, 2, 2, 2]


def test_crema_d_votes(data_folder):
    table = read("crema-d", data_folder / "crema-d")
    assert len(table) == 7442 and table["duration"].null_count() == 7442
    speakers = table.unique("speaker")
    assert Counter(speakers["gender"]) == {"male": 48, "female": 43} and speakers["age"].null_count() == 0
    assert table["sentence"].n_unique() == 12
    # The voice alone ties on 644 clips; the owner's own summary of the others.
    assert Counter(table["label"].drop_nulls()) == {
        "neutral": 3897, "anger": 986, "fear": 645, "disgust": 547, "sad": 370, "happy": 353
    }  # fmt: skip
    summary = pl.read_csv(data_folder / "crema-d" / "processedResults" / "summaryTable.csv")
    letter = dict(zip(("anger", "disgust", "fear", "happy", "neutral", "sad"), "ADFHNS", strict=True))
    owner = dict(summary.select("FileName", "VoiceVote").iter_rows())
    assert {
        clip: letter[label] for clip, label in table.select("id", "label").iter_rows() if label is not None
    } == {clip: vote for clip, vote in owner.items() if ":" not in vote}
    votes = table.select("id", "votes").explode("votes").unnest("votes")
    by_clip = votes.group_by("id", "modality").agg(pl.col("weight").sum())
    voice = by_clip.filter(pl.col("modality") == "audio")["weight"]
    assert len(by_clip) == 3 * 7442
    assert (voice.min(), voice.max(), round(voice.mean(), 2)) == (4, 12, 9.21)


def test_crema_d_voices(data_folder, tmp_path):
    for source in (data_folder / "crema-d").iterdir():
        (tmp_path / source.name).symlink_to(source)
    (tmp_path / "AudioMP3").mkdir()
    for voice in (data_folder / "videos").glob("1002_*.mp3"):
        (tmp_path / "AudioMP3" / voice.name).symlink_to(voice)
    heard = read("crema-d", tmp_path).filter(pl.col("duration").is_not_null())
    assert len(heard) == 6 and heard["speaker"].unique().to_list() == ["1002"]
    assert heard["duration"].is_between(1, 4).all()


def test_meld(data_folder):
    table = read("meld", data_folder / "meld")
    assert Counter(table["split"]) == {"train": 9989, "dev": 1109, "test": 2610}
    dialogues = table.unique("dialogue")
    assert Counter(dialogues["split"]) == {"train": 1038, "dev": 114, "test": 280}
    assert Counter(table.filter(pl.col("split") == "test")["label"]) == {
        "neutral": 1256, "joy": 402, "surprise": 281, "anger": 345, "sadness": 208, "disgust": 68, "fear": 50
    }  # fmt: skip
    assert table["text"].null_count() == 0
    assert not table["text"].str.contains("[\\x80-\\x9f\ufffd]").any()
    # The main cast is in all splits.
    assert {"Rachel", "Ross"} <= set.intersection(
        *(set(table.filter(pl.col("split") == part)["speaker"]) for part in ("train", "dev", "test"))
    )


def test_mosei(data_folder):
    table = read("mosei", data_folder / "mosei")
    assert len(table) == 23259 and table["session"].n_unique() == 3293
    assert Counter(table["split"]) == {"train": 16327, "valid": 1871, "test": 4662, "unused": 399}
    assert Counter(table["label"]) == {
        "happy": 14567, "sad": 3782, "anger": 2730, "surprise": 437, "disgust": 1291, "fear": 452
    }  # fmt: skip
    assert table["speaker"].null_count() == len(table)
    assert (table["start"] == 0.0).sum() > 239 and (table["end"] > table["start"]).all()


def test_urdu(data_folder):
    table = read("urdu", data_folder / "urdu")
    assert len(table) == 400
    assert Counter(table["label"]) == dict.fromkeys(("angry", "happy", "neutral", "sad"), 100)
    assert table["speaker"].n_unique() == 29
    speakers = table.unique("speaker")
    assert Counter(speakers["gender"]) == {"male": 18, "female": 11}
    assert Counter(table["speaker"])["SM5"] == 80


def test_baved(data_folder):
    table = read("baved", data_folder / "baved")
    assert len(table) == 158
    assert sorted(table["speaker"].unique(), key=int) == [
        "0",
        "2",
        "30",
        "44",
        "46",
        "51",
        "53",
        "100",
        "101",
    ]
    assert Counter(table["speaker"])["46"] == Counter(table["speaker"])["53"] == 21
    assert set(table["label"]) == {"low", "neutral", "high"}
