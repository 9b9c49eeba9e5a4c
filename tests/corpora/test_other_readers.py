"""EmoDB, nEMO, ASED, EmoTale, URDU and BAVED: what each name says, and what is wrong with others."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from unheard.corpora import read, survey
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone


def row(name, folder, clip):
    TREES[name](folder)
    table = read(name, folder)
    found = table.filter(table["id"] == clip).to_dicts()[0]
    return {
        key: value
        for key, value in found.items()
        if value is not None and key not in ("corpus", "id", "path")
    }


def test_emodb(tmp_path):
    assert row("emodb", tmp_path, "08a02Wb") == {
        "duration": 0.2, "speaker": "08", "gender": "female", "age": 34.0, "language": "de", "sentence": "a02",
        "take": "b", "channel": "speech", "label": "anger",
        "licence": "CC0-1.0 (as stated by its audformat publication)",
    }  # fmt: skip


def test_nemo(tmp_path):
    assert row("nemo", tmp_path, "WR0_surprised_64") == {
        "duration": 0.2, "speaker": "WR0", "gender": "male", "age": 23.0, "language": "pl", "sentence": "64",
        "text": "Ucho wykrywa dźwięki.", "channel": "speech", "label": "surprised", "licence": "CC BY-NC-SA 4.0",
    }  # fmt: skip


def test_ased_with_a_capital_letter(tmp_path):
    assert row("ased", tmp_path, "S4-04-02-01-29") == {
        "duration": 0.2, "speaker": "29", "gender": "female", "language": "am", "sentence": "s4-04", "take": "02",
        "channel": "speech", "label": "sad", "licence": "none stated",
    }  # fmt: skip


def test_emotale(tmp_path):
    graded = (
        ("a1", "anger", 4.0, 1.5, 4.5),
        ("a2", "anger", 4.0, 2.5, 5.0),
        ("a3", "happiness", 5.0, 1.0, 4.5),
    )
    votes = [
        {"grader": grader, "label": label, "weight": 1.0, "modality": None}
        | {"activation": (a - 1) / 4, "valence": (v - 1) / 4, "dominance": (d - 1) / 4}
        for grader, label, a, v, d in graded
    ]
    assert row("emotale", tmp_path, "DK_001_A_1") == {
        "duration": 0.2, "speaker": "001", "gender": "female", "age": 22.0, "language": "da", "sentence": "DK_1",
        "text": "Dugen ligger på køleskabet.", "channel": "speech", "label": "anger", "votes": votes,
        # Means 13/3, 5/3 and 14/3 on a scale from 1 to 5.
        "activation": pytest.approx(10 / 12), "valence": pytest.approx(2 / 12),
        "dominance": pytest.approx(11 / 12),
        "licence": "none stated; asks to be cited",
    }  # fmt: skip
    other = row("emotale", tmp_path, "EN_004_S_5")
    assert (other["language"], other["text"]) == ("en", "In seven hours it will be morning.")
    assert (other["activation"], other["valence"], other["dominance"]) == (0.0, 0.5, 1.0)


def test_urdu(tmp_path):
    assert row("urdu", tmp_path, "SF2_F1_H01") == {
        "duration": 0.2, "speaker": "SF2", "gender": "female", "language": "ur", "channel": "speech",
        "label": "happy", "licence": "research only (as its owner states)",
    }  # fmt: skip


def test_baved(tmp_path):
    assert row("baved", tmp_path, "100-f-6-0-0-1") == {
        "duration": 0.2, "speaker": "100", "gender": "female", "age": 6.0, "language": "ar", "sentence": "0",
        "text": "اعجبني", "channel": "speech", "label": "low", "licence": "none stated",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("corpus", "name", "reason"),
    [
        ("emodb", "wav/04a01Fa.wav", "speaker is 04"),
        ("emodb", "wav/03a03Fa.wav", "sentence is a03"),
        ("emodb", "wav/03a01Xa.wav", "emotion is X"),
        ("emodb", "wav/03a01F.wav", "not an official name"),
        ("nemo", "samples/EB0_anger_1.wav", "not in data.tsv"),
        ("ased", "05Angry/a4-03-01-02-50.wav", "emotion is a4"),
        ("ased", "04Sad/a5-03-01-02-50.wav", "named for angry but found in 04Sad"),
        ("ased", "05Angry/a5-03-01-03-50.wav", "gender is 03"),
        ("emotale", "wav/DE_001_A_1.wav", "language is DE"),
        ("emotale", "wav/DK_001_X_1.wav", "emotion is X"),
        ("emotale", "wav/DK_001_A_6.wav", "sentence is 6"),
        ("emotale", "wav/DK_001_A_2.wav", "not in annotations.csv"),
        ("urdu", "Angry/SM1_F10_X010.wav", "emotion is X"),
        ("urdu", "Angry/SM1_F11_S010.wav", "named for sad but found in Angry"),
        ("baved", "7/46-m-20-7-2-954.wav", "word is 7"),
        ("baved", "3/46-m-20-3-3-954.wav", "level is 3"),
        ("baved", "2/46-m-20-3-1-955.wav", "named for word 3 but found in folder 2"),
    ],
)
def test_wrong_names_are_left_out_and_say_why(corpus, name, reason, tmp_path):
    ids = TREES[corpus](tmp_path)
    tone(tmp_path / name)
    table, left, _ = survey(corpus, tmp_path)
    assert set(table["id"]) == ids
    assert [reason in item.reason for item in left if item.path == name] == [True]


def test_nemo_lists_what_is_missing(tmp_path):
    TREES["nemo"](tmp_path)
    (tmp_path / "samples" / "EB0_neutral_13.wav").unlink()
    left = survey("nemo", tmp_path)[1]
    assert ("EB0_neutral_13", "in data.tsv but not in the folder") in [
        (item.path, item.reason) for item in left
    ]


def test_nemo_contradictions_and_unknown_emotions_are_left_out(tmp_path):
    TREES["nemo"](tmp_path)
    table = (tmp_path / "data.tsv").read_text(encoding="utf-8")
    (tmp_path / "data.tsv").write_text(
        table.replace("\tsurprised\t", "\tsad\t").replace("        EB0", "        EB1"), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"contradicts data.tsv.*emotion is 'sad'"):
        read("nemo", tmp_path)


def test_nemo_without_a_column(tmp_path):
    TREES["nemo"](tmp_path)
    table = (tmp_path / "data.tsv").read_text(encoding="utf-8")
    (tmp_path / "data.tsv").write_text(table.replace("speaker_id", "who"), encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.tsv: lacks the column speaker_id"):
        read("nemo", tmp_path)


def test_two_genders_of_one_speaker_become_null_and_are_said(tmp_path):
    TREES["baved"](tmp_path)
    tone(tmp_path / "0" / "46-f-20-0-1-9999.wav")
    table, _, remarks = survey("baved", tmp_path)
    assert table.filter(table["speaker"] == "46")["gender"].null_count() == 2
    assert table.filter(table["speaker"] != "46")["gender"].null_count() == 0
    told = "GENDER_CONFLICT: speaker 46 is female and male; null in the table"
    assert [remark.text for remark in remarks] == [told]


def test_ased_gender_conflict(tmp_path):
    TREES["ased"](tmp_path)
    tone(tmp_path / "05Angry" / "a5-03-02-01-50.wav")
    table, _, remarks = survey("ased", tmp_path)
    assert table.filter(table["gender"].is_null())["speaker"].to_list() == ["50", "50"]
    told = "GENDER_CONFLICT: speaker 50 is female and male; null in the table"
    assert [remark.text for remark in remarks] == [told]


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("annotations.csv", "a2_V", "v", r"annotations\.csv: lacks the column a2_V"),
        ("speaker_info.csv", "gender", "sex", r"speaker_info\.csv: lacks the column gender"),
        ("annotations.csv", "2.5", "5.5", r"csv: row 2, column 'a2_V': 5\.5 is out of bounds, expected 1 to 5"),
        ("annotations.csv", "2.5", "", r"row 2, column 'a2_V': ''"),
        ("annotations.csv", "1.0,3.0,5.0,B", "1.0,3.0,5.0,Q", r"row 3, column 'a3_cat': 'Q', expected one of"),
    ],
)  # fmt: skip
def test_emotale_faults_in_its_tables(file, old, new, reason, tmp_path):
    TREES["emotale"](tmp_path)
    table = (tmp_path / file).read_text()
    assert old in table
    (tmp_path / file).write_text(table.replace(old, new, 1))
    with pytest.raises(DataError, match=reason):
        read("emotale", tmp_path)


def test_emotale_says_what_contradicts_what_is_missing_and_whom_it_does_not_know(tmp_path):
    TREES["emotale"](tmp_path)
    table = (tmp_path / "annotations.csv").read_text()
    (tmp_path / "annotations.csv").write_text(
        table.replace("4.5,H,A", "4.5,H,B") + table.splitlines()[2].replace("S_5", "S_4")
    )
    (tmp_path / "speaker_info.csv").write_text("speaker,gender,age\n001,F,22\n")
    table, left, _ = survey("emotale", tmp_path)
    reasons = {item.path: item.reason for item in left}
    assert reasons["wav/DK_001_A_1.wav"] == "its name contradicts annotations.csv (B)"
    assert reasons["EN_004_S_4"] == "in annotations.csv but not in the folder"
    assert table.select("id", "gender", "age").row(-1) == ("EN_004_S_5", None, None)


def test_tess(tmp_path):
    assert row("tess", tmp_path, "YAF_bar_ps") == {
        "duration": 0.5, "speaker": "YAF", "gender": "female", "age": 26.0, "language": "en", "sentence": "bar",
        "text": "Say the word bar", "channel": "speech", "label": "pleasant surprise",
        "licence": "CC BY-NC-ND 4.0",
    }  # fmt: skip
    misnamed = read("tess", tmp_path).filter(pl.col("id") == "OA_bite_neutral")
    assert misnamed.select("speaker", "age").row(0) == ("OAF", 64.0)


def test_savee_in_both_layouts(tmp_path):
    assert row("savee", tmp_path, "KL_sa02") == {
        "duration": 0.5, "speaker": "KL", "gender": "male", "language": "en", "sentence": "sa02",
        "channel": "speech", "label": "sadness", "licence": "research only, after registration",
    }  # fmt: skip
    for path in list((tmp_path / "AudioData").rglob("*.wav")):
        path.rename(tmp_path / f"{path.parent.name}_{path.name}")
    again = read("savee", tmp_path)
    assert again["id"].to_list() == ["DC_a01", "DC_n30", "JE_su15", "KL_sa02"]
    assert again["label"].to_list() == ["anger", "neutral", "surprise", "sadness"]


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("tess", "OAF_back_glad", "emotion is glad"),
        ("tess", "MAF_back_angry", "not an official name"),
        ("savee", "XX_a01", "speaker is XX"),
        ("savee", "a01", "speaker is in no folder"),
        ("savee", "JE/KL_a01", "named for speaker KL but found in JE"),
        ("savee", "DC/b01", "emotion is b"),
        ("savee", "DC/a16", "number is 16, expected 01 to 15"),
        ("savee", "DC/n31", "number is 31, expected 01 to 30"),
    ],
)
def test_names_that_tess_and_savee_do_not_have(name, file, reason, tmp_path):
    TREES[name](tmp_path)
    tone(tmp_path / f"{file}.wav")
    reasons = {item.path: item.reason for item in survey(name, tmp_path)[1]}
    assert reasons[f"{file}.wav"].startswith(reason)
