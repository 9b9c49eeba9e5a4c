"""CREMA-D, IEMOCAP, MELD, MSP-Podcast and CMU-MOSEI: what the tables say of each clip, and what is wrong."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from unheard.corpora import read, survey
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone, write


def rows(name, folder):
    """Rows of a miniature by id, without what is null."""
    TREES[name](folder)
    return found(name, folder)


def found(name, folder):
    return {
        row["id"]: {
            key: value for key, value in row.items() if value is not None and key not in ("corpus", "path")
        }
        for row in read(name, folder).to_dicts()
    }


def said(row):
    """Votes without what is null."""
    return [{key: value for key, value in vote.items() if value is not None} for vote in row["votes"]]


def change(path, old, new, encoding="utf-8"):
    text = path.read_text(encoding)
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding)


# CREMA-D


def test_crema_d(tmp_path):
    clips = rows("crema-d", tmp_path)
    row = clips["1001_DFA_ANG_XX"]
    votes = said(row)
    assert votes[:3] == [
        {"label": "anger", "weight": 6.0, "modality": "audio"},
        {"label": "disgust", "weight": 2.0, "modality": "audio"},
        {"label": "neutral", "weight": 1.0, "modality": "audio"},
    ]
    assert [vote["modality"] for vote in votes] == ["audio"] * 3 + ["video"] * 3 + ["audiovisual"] * 2
    del row["votes"]
    assert row == {
        "id": "1001_DFA_ANG_XX", "duration": 0.5, "speaker": "1001", "gender": "male", "age": 51.0,
        "language": "en", "sentence": "DFA", "text": "Don't forget a jacket.", "channel": "speech",
        "label": "anger", "licence": "ODbL 1.0 (contents: DbCL 1.0)",
    }  # fmt: skip
    # What most heard, not what was asked for; nothing where two classes tie.
    assert clips["1002_IEO_HAP_HI"]["label"] == "neutral" and clips["1002_IEO_HAP_HI"]["intensity"] == "high"
    assert "label" not in clips["1003_TIE_SAD_XX"]


def test_crema_d_with_packed_votes_and_a_missing_recording(tmp_path):
    TREES["crema-d"](tmp_path)
    plain = read("crema-d", tmp_path)
    votes = tmp_path / "processedResults" / "tabulatedVotes.csv"
    (votes.parent / "tabulatedVotes.csv.gz").write_bytes(gzip.compress(votes.read_bytes()))
    votes.unlink()
    assert read("crema-d", tmp_path).equals(plain)
    (tmp_path / "AudioWAV" / "1002_IEO_HAP_HI.wav").unlink()
    again = read("crema-d", tmp_path)
    assert again["duration"].is_null().to_list() == [False, True, False, False]
    assert again.drop("duration").equals(plain.drop("duration"))


def test_crema_d_without_votes_has_the_intended_emotions_and_says_so(tmp_path):
    TREES["crema-d"](tmp_path)
    (tmp_path / "processedResults" / "tabulatedVotes.csv").unlink()
    table, left, _ = survey("crema-d", tmp_path)
    assert (
        table["label"].to_list() == ["anger", "happy", "sad", "neutral"] and table["votes"].null_count() == 4
    )
    assert any(item.reason.startswith("VOTES_MISSING") for item in left)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"100001",6', '"400001",6', "row 2, first column: '400001'"),
        ('"100001",6', '"100001",six', "row 2, column 'A': 'six' is not a number"),
        ('"200001"', '"100001"', "1001_DFA_ANG_XX has been judged by audio before"),
        ('"fileName"', '"file"', "lacks the column fileName"),
    ],
)
def test_crema_d_votes_that_do_not_hold(old, new, message, tmp_path):
    TREES["crema-d"](tmp_path)
    change(tmp_path / "processedResults" / "tabulatedVotes.csv", old, new)
    with pytest.raises(DataError, match=message):
        read("crema-d", tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1001_XXX_ANG_XX", "sentence is XXX"),
        ("1001_DFA_JOY_XX", "emotion is JOY"),
        ("1001_DFA_ANG_YY", "level is YY"),
        ("1092_DFA_ANG_XX", "actor is 1092"),
    ],
)
def test_crema_d_names(name, reason, tmp_path):
    tone(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav")
    tone(tmp_path / "AudioWAV" / f"{name}.wav")
    left = {Path(item.path).stem: item.reason for item in survey("crema-d", tmp_path)[1]}
    assert left[name].startswith(reason)


# IEMOCAP


def test_iemocap(tmp_path):
    clips = rows("iemocap", tmp_path)
    row = clips["Ses01F_impro01_F000"]
    assert said(row) == [
        {"grader": "C-E2", "label": "neutral", "weight": 1.0, "modality": "audiovisual"},
        {"grader": "C-E3", "label": "neutral", "weight": 1.0, "modality": "audiovisual"},
        {"grader": "C-E4", "label": "neutral", "weight": 0.5, "modality": "audiovisual"},
        {"grader": "C-E4", "label": "frustrated", "weight": 0.5, "modality": "audiovisual"},
        # val 3, act 2, dom 5, and val 2, act 4 without dominance, from 1 to 5.
        {"grader": "A-E3", "weight": 1.0, "modality": "audiovisual",
         "activation": 0.25, "valence": 0.5, "dominance": 1.0},
        {"grader": "A-E4", "weight": 1.0, "modality": "audiovisual", "activation": 0.75, "valence": 0.25},
    ]  # fmt: skip
    del row["votes"]
    assert row == {
        "id": "Ses01F_impro01_F000", "duration": 0.5, "speaker": "Ses01F", "gender": "female", "language": "en",
        "session": "01", "dialogue": "Ses01F_impro01", "turn": "1", "text": "Words of Ses01F_impro01_F000.",
        "channel": "speech", "label": "neutral", "licence": "academic licence, on request",
        # [V, A, D] is 2.5, 3, 4.
        "activation": 0.5, "valence": 0.375, "dominance": 0.75,
    }  # fmt: skip


def test_iemocap_turns_speakers_and_scripts(tmp_path):
    clips = rows("iemocap", tmp_path)
    other = clips["Ses01F_impro01_M000"]
    # The file has him first; she began before. Nobody's majority is no label.
    assert other["turn"] == "2" and other["speaker"] == "Ses01M" and "label" not in other
    # The markers were his, the voice hers.
    scripted = clips["Ses01M_script01_1_F000"]
    assert (
        scripted["speaker"] == "Ses01F" and scripted["gender"] == "female" and scripted["label"] == "excited"
    )
    assert scripted["sentence"] == clips["Ses02F_script01_1_M000"]["sentence"] == "script01_1"
    assert "sentence" not in clips["Ses03F_impro02_F001"]


def labels_of(folder):
    return folder / "IEMOCAP_full_release" / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"


def test_iemocap_values_off_the_scale_are_null_and_said(tmp_path):
    TREES["iemocap"](tmp_path)
    change(labels_of(tmp_path), "[2.5000, 3.0000, 4.0000]", "[2.5000, 3.0000, 5.5000]")
    table, left, _ = survey("iemocap", tmp_path)
    assert any("Ses01F_impro01_M000: dominance 5.5" in item.path for item in left)
    assert table.filter(table["id"] == "Ses01F_impro01_M000")["dominance"].to_list() == [None]


def test_iemocap_words_that_are_no_category_are_left_out_and_said(tmp_path):
    TREES["iemocap"](tmp_path)
    change(labels_of(tmp_path), "Frustration; Anger;", "Frustration; Boredom;")
    table, left, _ = survey("iemocap", tmp_path)
    assert any(item.path == "Ses01F_impro01_M000: 'boredom'" for item in left)
    votes = table.filter(table["id"] == "Ses01F_impro01_M000")["votes"][0].to_list()
    assert [(vote["label"], vote["weight"]) for vote in votes if vote["grader"] == "C-E3"] == [
        ("frustrated", 1.0)
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tneu\t", "\tjoy\t", "line 12: emotion is 'joy'"),
        ("Ses01F_impro01_F000", "Ses1F_F000", "line 12: 'Ses1F_F000' is not an official name"),
        ("[2.5000, 3.0000, 4.0000]", "[2.5000, 3.0000]", "expected three numbers"),
        ("[7.0000 - ", "[seven - ", r"line 3: expected \[start - end\]"),
    ],
)
def test_iemocap_labels_that_do_not_hold(old, new, message, tmp_path):
    TREES["iemocap"](tmp_path)
    change(labels_of(tmp_path), old, new)
    with pytest.raises(DataError, match=message):
        read("iemocap", tmp_path)


# MELD


def test_meld(tmp_path):
    clips = rows("meld", tmp_path)
    assert clips["train/dia0_utt0"] == {
        "id": "train/dia0_utt0", "duration": 0.5, "speaker": "Chandler", "language": "en", "session": "S08E21",
        "dialogue": "train/0", "turn": "0", "text": "You must\u2019ve, then.", "channel": "speech",
        "label": "neutral", "split": "train",
        "licence": "GPL-3.0 (repository); the texts are subtitles of a television series",
    }  # fmt: skip
    # Numbers begin anew in each part.
    assert clips["dev/dia0_utt0"]["text"] == "Well." and clips["test/dia0_utt0"]["text"] == "Why?"


def test_meld_misread_characters_are_mended(tmp_path):
    TREES["meld"](tmp_path)
    # U+0092 is the apostrophe of Windows-1252 taken for Latin-1 and saved as UTF-8.
    change(tmp_path / "MELD.Raw" / "dev_sent_emo.csv", "Well.", "We\x92ll.")
    assert found("meld", tmp_path)["dev/dia0_utt0"]["text"] == "We\u2019ll."


def test_meld_without_recordings_keeps_what_is_said(tmp_path):
    TREES["meld"](tmp_path)
    for clip in tmp_path.rglob("*.wav"):
        clip.unlink()
    table = read("meld", tmp_path)
    assert len(table) == 7 and table["duration"].null_count() == 7 and table["text"].null_count() == 0
    assert table["path"][0].endswith("dev_splits_complete/dia0_utt0.mp4")


def test_meld_clips_of_no_part_or_no_row_are_left_out(tmp_path):
    TREES["meld"](tmp_path)
    tone(tmp_path / "MELD.Raw" / "dia0_utt0.wav")
    tone(tmp_path / "MELD.Raw" / "train" / "train_splits" / "dia99_utt0.wav")
    tone(tmp_path / "MELD.Raw" / "dev" / "dev_splits_complete" / "._dia0_utt0.wav")
    table, left, _ = survey("meld", tmp_path)
    reasons = {Path(item.path).name: item.reason for item in left}
    assert (
        len(table) == 7
        and reasons["dia0_utt0.wav"] == reasons["dia99_utt0.wav"] == "not in the owner's tables"
    )
    assert reasons["._dia0_utt0.wav"] == "hidden"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",anger,", ",rage,", "row 2, column 'Emotion': 'rage'"),
        (",0,1,8,21", ",0,one,8,21", "row 3, column 'Utterance_ID': 'one'"),
        ("Speaker", "Who", "lacks the column Speaker"),
    ],
)
def test_meld_tables_that_do_not_hold(old, new, message, tmp_path):
    TREES["meld"](tmp_path)
    change(tmp_path / "MELD.Raw" / "test_sent_emo.csv", old, new)
    with pytest.raises(DataError, match=message):
        read("meld", tmp_path)


# MSP-Podcast


def test_msp_podcast(tmp_path):
    clips = rows("msp-podcast", tmp_path)
    row = clips["MSP-PODCAST_0002_0033_01"]
    assert said(row) == [
        # A, V, D are 5, 6, 4 and 4, 4, 7 from 1 to 7.
        {"grader": "WORKER00000001", "label": "happy", "weight": 1.0, "modality": "audio",
         "activation": pytest.approx(4 / 6), "valence": pytest.approx(5 / 6), "dominance": 3 / 6},
        {"grader": "WORKER00000002", "label": "other", "weight": 1.0, "modality": "audio",
         "activation": 3 / 6, "valence": 3 / 6, "dominance": 1.0},
    ]  # fmt: skip
    del row["votes"]
    assert row == {
        "id": "MSP-PODCAST_0002_0033_01", "duration": 0.5, "speaker": "128", "gender": "female", "language": "en",
        "text": "Words of MSP-PODCAST_0002_0033_01", "channel": "speech", "label": "angry", "split": "Train",
        "activation": pytest.approx(5 / 6), "valence": pytest.approx(0.5 / 6), "dominance": 1.0,
        "licence": "academic licence, on request",
    }  # fmt: skip
    unknown = clips["MSP-PODCAST_0002_0034"]
    assert not {"speaker", "gender", "label"} & set(unknown)


def table_shape(folder):
    """The detailed labels with a column each, in another order."""
    lines = ["FileName,Worker,EmoClass_Second,EmoClass_Major,EmoDom,EmoVal,EmoAct"]
    for clip in sorted(folder.glob("Audios/*.wav")):
        lines += [
            f'{clip.name},WORKER00000001,"Amused,Excited",Happy,4,6,5',
            f"{clip.name},WORKER00000002,,Other-smug,7,4,4",
        ]
    write(folder / "Labels" / "labels_detailed.csv", "\n".join(lines) + "\n")


def json_shape(folder):
    workers = {
        "WORKER00000001": {"EmoClass_Major": "Happy", "EmoClass_Second": "Amused,Excited"}
        | {"EmoAct": "5", "EmoDom": "4", "EmoVal": "6"},
        "WORKER00000002": {"EmoClass_Major": "Other-smug", "EmoAct": "4", "EmoDom": "7", "EmoVal": "4"},
    }
    clips = sorted(folder.glob("Audios/*.wav"))
    write(folder / "Labels" / "labels_detailed.json", json.dumps({clip.name: workers for clip in clips}))
    (folder / "Labels" / "labels_detailed.csv").unlink()
    header, *lines = (folder / "Labels" / "labels_consensus.csv").read_text().splitlines()
    names = header.split(",")[1:]
    consensus = {
        name: dict(zip(names, cells, strict=True)) for name, *cells in (line.split(",") for line in lines)
    }
    write(folder / "Labels" / "labels_concensus.json", json.dumps(consensus))
    (folder / "Labels" / "labels_consensus.csv").unlink()


def text_shape(folder):
    blocks = [
        f"{clip.name}; N; A:4.5; V:5.0; D:5.5;\n"
        "WORKER00000001; Happy; Amused,Excited; A:5.000000; V:6.000000; D:4.000000;\n"
        "WORKER00000002; Other-smug; ; A:4.0; V:4.0; D:7.0;\n"
        for clip in sorted(folder.glob("Audios/*.wav"))
    ]
    write(folder / "Labels" / "labels.txt", "\n".join(blocks))
    (folder / "Labels" / "labels_detailed.csv").unlink()


def without_a_header(folder):
    change(folder / "Labels" / "labels_detailed.csv", "FileName,Annotation\n", "")


@pytest.mark.parametrize("shape", [table_shape, json_shape, text_shape, without_a_header])
def test_msp_podcast_in_every_shape_of_its_labels(shape, tmp_path):
    TREES["msp-podcast"](tmp_path)
    plain = read("msp-podcast", tmp_path)
    shape(tmp_path)
    assert read("msp-podcast", tmp_path).equals(plain)


@pytest.mark.parametrize("line", ["{part}; {clip}", "{clip};{part}"])
def test_msp_podcast_parts_of_early_releases(line, tmp_path):
    TREES["msp-podcast"](tmp_path)
    plain = read("msp-podcast", tmp_path)
    consensus = tmp_path / "Labels" / "labels_consensus.csv"
    rows = [row.rsplit(",", 1) for row in consensus.read_text().splitlines()]
    write(consensus, "\n".join(row for row, _ in rows) + "\n")
    parts = [line.format(part=part, clip=row.split(",")[0]) for row, part in rows[1:]]
    write(tmp_path / "Partitions.txt", "\n".join(parts) + "\n")
    assert read("msp-podcast", tmp_path).equals(plain)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("consensus", "wav,N,4.2", "wav,Q,4.2", "MSP-PODCAST_0001_0008, column 'EmoClass': 'Q'"),
        ("consensus", "wav,N,4.2", "wav,N,7.2", "column 'EmoAct': 7.2 is out of bounds, expected 1 to 7"),
        ("consensus", "EmoVal", "Valence", "lacks the column EmoVal"),
        ("detailed", "; Happy;", "; Joyful;", "MSP-PODCAST_0001_0008, WORKER00000001: class is 'Joyful'"),
        ("detailed", "A:5.000000", "A:high", "column 'activation': 'high' is not a number"),
        ("detailed", "WORKER00000001; Happy; Amused,Excited; A", "A", "expected 'worker; class;"),
    ],
)
def test_msp_podcast_labels_that_do_not_hold(file, old, new, message, tmp_path):
    TREES["msp-podcast"](tmp_path)
    change(tmp_path / "Labels" / f"labels_{file}.csv", old, new)
    with pytest.raises(DataError, match=message):
        read("msp-podcast", tmp_path)


# CMU-MOSEI


def test_mosei(tmp_path):
    clips = rows("mosei", tmp_path)
    assert clips["-3g5yACwYnA_1"] == {
        "id": "-3g5yACwYnA_1", "start": 0.5, "end": 0.9, "duration": pytest.approx(0.4), "language": "en",
        "session": "-3g5yACwYnA", "channel": "speech", "label": "anger", "split": "train",
        "licence": "none stated for the table; the videos are their owners'",
    }  # fmt: skip
    # A file of its own is taken whole; what would begin before its video begins with it.
    assert "start" not in clips["zz_9_3"] and clips["zz_9_3"]["duration"] == 0.5
    assert clips["--qXJuDtHPw_0"]["start"] == 0.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,1,2,1,0", "1,1,9,1,0", "row 4, column 'label6': '9', expected 0 to 5"),
        ("1,1,1,1,2", "1,1,1,1,7", "row 5, column 'split': '7'"),
        ("zz_9,3,7.0", "zz_9,3,-7.0", "row 5, column 'start': -7 is out of bounds, expected -1"),
        ("zz_9,3,7.0", "zz_9,three,7.0", "row 5: file is 'zz_9' and index 'three'"),
    ],
)
def test_mosei_rows_that_do_not_hold(old, new, message, tmp_path):
    TREES["mosei"](tmp_path)
    change(tmp_path / "CMU_MOSEI_Labels.csv", old, new)
    with pytest.raises(DataError, match=message):
        read("mosei", tmp_path)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("crema-d", "AudioWAV"),
        ("iemocap", "Session1"),
        ("meld", "train"),
        ("msp-podcast", "Audios"),
        ("mosei", "Audio"),
    ],
)
def test_a_folder_without_labels_says_what_is_missing(name, folder, tmp_path):
    tone(tmp_path / folder / "a.wav")
    with pytest.raises(DataError, match=str(tmp_path)):
        read(name, tmp_path)
