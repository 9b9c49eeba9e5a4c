from __future__ import annotations

import json
import sys
import unicodedata
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from unheard.corpora import read, survey
from unheard.corpora.paths import refuse_absent
from unheard.corpora.table import classes
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import tone


def csv(folder, text, name="t.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_near_obvious_columns_and_relative_paths(tmp_path):
    tone(tmp_path / "clips" / "a.wav")
    tone(tmp_path / "clips" / "b.flac", seconds=0.4)
    path = csv(
        tmp_path,
        "\ufefffilename;emotion;speaker_id;sex;arousal;license;note\r\n"
        "clips/a.wav;sad; 07 ;F;0.25;CC0-1.0;x\r\n"
        f"{tmp_path}/clips/b.flac;joy;08;male;;;y\r\n",
    )
    table, left, remarks = survey("generic", path)
    assert table["id"].to_list() == ["a", "b"]
    assert table["path"].to_list() == [str(tmp_path / "clips" / "a.wav"), str(tmp_path / "clips" / "b.flac")]
    assert table["speaker"].to_list() == ["07", "08"]
    assert table["gender"].to_list() == ["female", "male"]
    assert table["activation"].to_list() == [0.25, None]
    assert table["licence"].to_list() == ["CC0-1.0", None]
    assert table["duration"].to_list() == pytest.approx([0.2, 0.4])
    assert classes(table) == ("joy", "sad")
    assert not left and [remark.text for remark in remarks] == [
        (
            "t.csv: columns: path is 'filename', speaker is 'speaker_id', gender is 'sex', label is 'emotion', "
            "activation is 'arousal', licence is 'license'"
        ),
        "t.csv: columns that are not used: note",
    ]


def test_the_picture_is_a_column_or_the_recording_itself(tmp_path):
    path = csv(tmp_path, "path,label,video\na.wav,sad,faces/a.mp4\nb.MP4,joy,\nc.wav,joy,\n")
    table = read("generic", path)
    assert table["video"].to_list() == [str(tmp_path / "faces" / "a.mp4"), str(tmp_path / "b.MP4"), None]


@pytest.mark.parametrize(
    ("header", "speaker"),
    [
        ("Path,Emotion,Speaker ID", "7"), ("FILE NAME,Class,SPK", "7"), ("audio-file,emo,Actor", "7"),
        ("wav,LABEL,client_id", "7"), (" File_Path ,Emotion Label,who", None),
    ],
)  # fmt: skip
def test_columns_in_other_case_and_words(header, speaker, tmp_path):
    table = read("generic", csv(tmp_path, f"{header}\na.wav,sad,7\n"))
    assert table.select("id", "label", "speaker").rows() == [("a", "sad", speaker)]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_a_column_that_counts_the_rows_is_passed_over(name, tmp_path):
    rows = f"{name},path,label\n0,a.wav,sad\n1,b.wav,joy\n"
    table, left, remarks = survey("generic", csv(tmp_path, rows))
    assert table["id"].to_list() == ["a", "b"] and not left and not remarks


def test_paths_as_people_write_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("wav/a.wav", "wav/b c.wav", "d.wav", "back\\slash.wav", "~e.wav"):
        tone(tmp_path / name)
    folder = tmp_path.as_posix()
    rows = f"wav\\a.wav,1\nfile://{folder}/wav/b%20c.wav,2\n~/d.wav,3\nback\\slash.wav,4\n~e.wav,5\n"
    table, _, remarks = survey("generic", csv(tmp_path, f"path,label\n{rows}"))
    assert table["duration"].null_count() == 0
    assert dict(table.select("id", "label").iter_rows()) == {
        "a": "1", "b c": "2", "d": "3", "back\\slash": "4", "~e": "5",
    }  # fmt: skip
    assert [remark.text for remark in remarks] == ["t.csv: 1 paths are written with \\ and were read with /"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("clips/a", "a.wav is there: write the paths with their extension"),
        ("clips/a.mp3", "a.wav is there: write the paths with that extension"),
        ("a.wav", "clips/a.wav is there: write the paths as they are from"),
        ("Clips/A.WAV", "clips/a.wav is there: write the paths as they are from"),
        ("up/b.wav", "put the table there"),
        ("C:\\Users\\x\\z.wav", "a path of another computer"),
        ("https://example.org/z.wav", "download the recordings first"),
        ("clips/z.wav", "relative paths begin at the folder of the table"),
    ],
)
def test_why_no_recording_is_there(text, reason, tmp_path):
    tone(tmp_path / "in" / "clips" / "a.wav")
    tone(tmp_path / "up" / "b.wav")
    path = csv(tmp_path / "in", f"path,label\n{text},sad\n")
    with pytest.raises(DataError, match="no recording that it names is there") as error:
        refuse_absent(read("generic", path), path)
    assert reason in str(error.value)


def test_a_table_with_a_recording_or_with_words_is_not_refused(tmp_path):
    tone(tmp_path / "a.wav")
    for rows in ("path,label\na.wav,x\nb.wav,y\n", "path,label,text\nb.wav,y,well\n"):
        path = csv(tmp_path, rows)
        refuse_absent(read("generic", path), path)


def test_our_own_name_of_a_column_wins(tmp_path):
    path = csv(tmp_path, "path,label,emotion\na.wav,x,y\n")
    table, _, remarks = survey("generic", path)
    assert table["label"].to_list() == ["x"]
    assert [remark.text for remark in remarks] == ["t.csv: columns that are not used: emotion"]


def test_base_names_are_ids_where_they_are_unique(tmp_path):
    path = csv(tmp_path, "path,label\nx/a.wav,1\ny/a.wav,2\ny/b.wav,3\n")
    assert sorted(read("generic", path)["id"]) == ["b", "x/a", "y/a"]


def test_missing_files_stay_with_unknown_duration(tmp_path):
    table = read("generic", csv(tmp_path, "path,label\nabsent.wav,sad\n"))
    assert table["duration"].to_list() == [None]


def test_pieces_of_one_file(tmp_path):
    tone(tmp_path / "long.wav", seconds=2.0)
    path = csv(
        tmp_path, "id,path,label,start,end\np,long.wav,sad,0,0.5\nq,long.wav,joy,0.5,\nr,long.wav,joy,,0.25\n"
    )
    assert read("generic", path)["duration"].to_list() == pytest.approx([0.5, 1.5, 0.25])


def test_a_start_and_a_duration_are_a_piece(tmp_path):
    table = read("generic", csv(tmp_path, "path,start,duration,label\na.wav,0.5,1,x\na.wav,1.5,2,y\n"))
    assert table.select("id", "start", "end", "duration").rows() == [
        ("a_0.500-1.500", 0.5, 1.5, 1.0),
        ("a_1.500-3.500", 1.5, 3.5, 2.0),
    ]


@pytest.mark.parametrize(("written", "there"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_letters_in_the_other_unicode_form_name_the_same_file(written, there, tmp_path):
    name = "Müller/é.wav"
    place = tmp_path / unicodedata.normalize(there, name)
    place.parent.mkdir()
    tone(place)
    text = f"path,label\n{unicodedata.normalize(written, name)},x\n"
    assert read("generic", csv(tmp_path, text))["path"].to_list() == [str(place)]


def test_pieces_without_ids_are_named_by_their_times(tmp_path):
    tone(tmp_path / "long.wav", seconds=2.0)
    rows = "path,label,start,end\nlong.wav,sad,0,0.5\nlong.wav,joy,0.5,\nlong.wav,joy,,0.25\n"
    assert read("generic", csv(tmp_path, rows))["id"].to_list() == [
        "long_0.000-0.250",
        "long_0.000-0.500",
        "long_0.500-",
    ]
    for again in ("long.wav,joy,0,0.5\n", "long.wav,joy,,\nlong.wav,sad,,\n"):
        with pytest.raises(DataError, match=r"row \d: 'long.*', row [56]: 'long.*column 'id'"):
            read("generic", csv(tmp_path, rows + again, "u.csv"))


def test_durations_as_pandas_writes_them(tmp_path):
    # What nkululeko and audformat save: an index of file, start and end.
    tone(tmp_path / "wav" / "a.wav", seconds=1.0)
    tone(tmp_path / "wav" / "b.wav", seconds=0.5)
    rows = (
        "file,start,end,emotion,speaker,gender,duration\n"
        "wav/a.wav,0 days,0 days 00:00:00.400000,anger,3,male,0 days 00:00:00.4\n"
        "wav/a.wav,0 days 00:00:00.4,NaT,neutral,3,male,\n"
        "wav/b.wav,0 days 00:00:00,0 days 00:00:00.500000,neutral,8,female,0.5\n"
    )
    table = read("generic", csv(tmp_path, rows))
    assert table.select("id", "start", "end", "duration").rows() == [
        ("a_0.000-0.400", 0.0, 0.4, 0.4),
        ("a_0.400-", 0.4, None, pytest.approx(0.6)),
        ("b", 0.0, 0.5, 0.5),
    ]
    frame = pl.DataFrame({"file": ["wav/a.wav"], "start": [timedelta(seconds=0.25)], "emotion": ["x"]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read("generic", tmp_path / "t.parquet")["start"].to_list() == [0.25]
    with pytest.raises(DataError, match="row 2, column 'start': '1 day ago' is not a number"):
        read("generic", csv(tmp_path, "file,start,emotion\na.wav,1 day ago,x\n", "u.csv"))


def test_votes_in_json_lines_and_in_a_cell(tmp_path):
    votes = [{"grader": 1, "label": "sad"}, {"label": "joy", "weight": 0.5, "modality": "voice"}]
    graded = dict.fromkeys(("activation", "valence", "dominance"))
    expected = [
        {"grader": "1", "label": "sad", "weight": 1.0, "modality": None} | graded,
        {"grader": None, "label": "joy", "weight": 0.5, "modality": "voice"} | graded,
    ]
    line = json.dumps({"path": "a.wav", "label": None, "votes": votes})
    other = json.dumps({"path": "b.wav", "label": "sad", "speaker": 3})
    table = read("generic", csv(tmp_path, f"{line}\n{other}\n", "t.jsonl"))
    assert table["votes"].to_list() == [expected, None]
    assert table["speaker"].to_list() == [None, "3"]
    assert table["label"].to_list() == [None, "sad"]
    cell = json.dumps(votes).replace('"', '""')
    table = read("generic", csv(tmp_path, f'path,label,votes\na.wav,sad,"{cell}"\n'))
    assert table["votes"].to_list() == [expected]


def test_a_vote_of_dimensions_alone(tmp_path):
    votes = json.dumps([{"grader": "a", "valence": 0.25}, {"grader": "b", "label": "sad", "dominance": 1}])
    cell = votes.replace('"', '""')
    table = read("generic", csv(tmp_path, f'path,label,votes\na.wav,sad,"{cell}"\n'))
    assert [(vote["label"], vote["valence"], vote["dominance"]) for vote in table["votes"][0]] == [
        (None, 0.25, None),
        ("sad", None, 1.0),
    ]
    with pytest.raises(DataError, match=r"row 2, column 'votes': 25 is out of bounds, expected 0 to 1"):
        read("generic", csv(tmp_path, f'path,label,votes\na.wav,sad,"{cell.replace("0.25", "25")}"\n'))


def test_parquet_with_numbers_from_other_tools(tmp_path):
    frame = pl.DataFrame(
        {"file": ["a.wav", "b.wav"], "label": [1, 0], "speaker": [7.0, None], "age": [30, None]}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    table = read("generic", tmp_path / "t.parquet")
    assert table["speaker"].to_list() == ["7", None]
    assert table["age"].to_list() == [30.0, None]
    assert classes(table) == ("0", "1")


def test_parquet_keeps_the_order_of_its_classes(tmp_path):
    frame = pl.DataFrame({"path": ["a.wav", "b.wav"], "label": ["joy", "sad"]}).cast(
        {"label": pl.Enum(["sad", "joy", "calm"])}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    assert classes(read("generic", tmp_path / "t.parquet")) == ("sad", "joy", "calm")


def test_the_column_corpus_names_the_corpus(tmp_path):
    assert read("generic", csv(tmp_path, "path,label\na.wav,x\n"))["corpus"][0] == "generic"
    assert read("generic", csv(tmp_path, "path,label,corpus\na.wav,x,mine\n"))["corpus"][0] == "mine"
    with pytest.raises(DataError, match="one table holds one corpus"):
        read("generic", csv(tmp_path, "path,label,corpus\na.wav,x,mine\nb.wav,x,yours\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,feeling\na.wav,x\n", "lacks the column 'label' (or emotion, class, emo, "),
        ("file,emotin\na.wav,x\n", "found: file, emotin; is it 'emotin'? Call that column 'label'"),
        ("path,Emotion,EMOTION\na.wav,x,y\n", "the columns 'Emotion', 'EMOTION' are both 'label'; drop one"),
        (",label\na.wav,x\n", "found: label; one column has no name"),
        ("emotion\nx\n", "lacks the column 'path'"),
        ("path,label,speakr\na.wav,x,1\n", "unknown column 'speakr'; did you mean 'speaker'?"),
        ("path,label,age\na.wav,x,12 years\n", "row 2, column 'age': '12 years' is not a number"),
        ("path;label;age\na.wav;x;12,5\n", "row 2, column 'age': '12,5' is not a number (decimal points"),
        ("path,label,age\na.wav,x,nan\n", "row 2, column 'age': 'nan' is not a number"),
        ("path,label,sex\na.wav,x,1\n", "row 2, column 'sex': '1', expected female, male"),
        ("path,label,channel\na.wav,x,talk\n", "row 2, column 'channel': 'talk', expected speech, song"),
        ("path,label\na.wav,x\n ,y\n", "row 3, column 'path': empty"),
        ("path,label\na.wav,\nb.wav,\n", "column 'label' is empty in every row"),
        (
            "path,label,valence\na.wav,x,4.5\n",
            "row 2, column 'valence': 4.5 is out of bounds, expected 0 to 1",
        ),
        ("path,label,start,end\na.wav,x,3,2\n", "not a piece of time in seconds: a"),
        ("id,path,label\n1,a.wav,x\n1,b.wav,x\n", "row 2: '1', row 3: '1'"),
        ("path,label,votes\na.wav,x,happy\n", "row 2, column 'votes': votes: not JSON"),
        (
            'path,label,votes\na.wav,x,"[{""label"": ""x"", ""weight"": 0}]"\n',
            "row 2, column 'votes': the votes sum to 0",
        ),
        ('path,label,votes\na.wav,x,"[{""weight"": 1}]"\n', "a vote without a label"),
        ('path,label,votes\na.wav,x,"[{""who"": 1}]"\n', "expected a list of objects"),
    ],
)
def test_faults_name_row_and_column(text, message, tmp_path):
    with pytest.raises(DataError) as error:
        read("generic", csv(tmp_path, text))
    assert message in str(error.value)


def test_the_first_five_faults_and_how_many_more(tmp_path):
    rows = "".join(f"{k}.wav,x,old\n" for k in range(8))
    with pytest.raises(DataError, match=r"row 2, .*row 6, .* and 3 more$"):
        read("generic", csv(tmp_path, "path,label,age\n" + rows))


def test_a_folder_a_class(tmp_path):
    for name in ("joy/x/a.wav", "joy/b.wav", "sad/a.wav", "loose.wav"):
        tone(tmp_path / name)
    (tmp_path / "joy" / "notes.txt").write_text("")
    table, left, _ = survey("generic", tmp_path)
    assert dict(zip(table["id"], table["label"], strict=True)) == {
        "b": "joy",
        "joy/x/a": "joy",
        "sad/a": "sad",
    }
    assert table["speaker"].null_count() == 3
    assert {(item.path, item.reason) for item in left} == {
        ("loose.wav", "in no class folder"),
        ("joy/notes.txt", "not audio"),
    }


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("train/angry/1", "test/sad/2"), {"1": ("angry", None, "train"), "2": ("sad", None, "test")}),
        (("ann/happy/1", "bob/sad/2"), {"1": ("happy", "ann", None), "2": ("sad", "bob", None)}),
        (("happy/ann/1", "sad/ann/2"), {"1": ("happy", None, None), "2": ("sad", None, None)}),
        (("dev/S01/up/1", "test/S02/up/2"), {"1": ("up", "S01", "dev"), "2": ("up", "S02", "test")}),
        (("up/spk1/1", "down/spk1/2"), {"1": ("up", None, None), "2": ("down", None, None)}),
        (("data/ann/HAP/1", "data/bob/ANG/2"), {"1": ("HAP", "ann", None), "2": ("ANG", "bob", None)}),
        (("data/up/1", "data/down/2"), {"1": ("up", None, None), "2": ("down", None, None)}),
        (("a/1/joy/1", "b/1/sad/2"), {"1": ("joy", None, None), "2": ("sad", None, None)}),
        (("up/x/1", "down/y/2"), {"1": ("up", None, None), "2": ("down", None, None)}),
    ],
)
def test_which_folder_is_the_class(files, found, tmp_path):
    for name in files:
        tone(tmp_path / f"{name}.wav")
    table = read("generic", tmp_path)
    assert {row[0]: row[1:] for row in table.select("id", "label", "speaker", "split").iter_rows()} == found


def test_a_class_that_may_be_either_folder_is_refused(tmp_path):
    for name in ("ann/high/1", "ann/low/2", "bob/high/3", "bob/low/4"):
        tone(tmp_path / f"{name}.wav")
    message = r"may be the first folder \(ann, bob\) or the second \(high, low\); give a table"
    with pytest.raises(DataError, match=message):
        read("generic", tmp_path)


def test_a_folder_with_a_table_inside_points_to_it(tmp_path):
    tone(tmp_path / "a.wav")
    csv(tmp_path, "path,emotion\na.wav,sad\n", "metadata.csv")
    for place in ("a.wav", "wav/b.wav", "more/c.wav"):  # beside it, in one folder, in two
        tone(tmp_path / place)
        with pytest.raises(
            DataError, match=r"give its table instead: unheard prepare generic \S*metadata\.csv"
        ):
            read("generic", tmp_path)
    csv(tmp_path, "file_name,emotion\na.wav,sad\n", "metadata.csv")
    table, left, remarks = survey("generic", tmp_path)
    assert table["label"].to_list() == ["sad"]
    reasons = {item.path: item.reason for item in left}
    assert reasons["metadata.csv"] == "describes the recordings, and is none"
    assert remarks[0].text == f"{tmp_path}: read as huggingface, by what lies there"


def test_a_list_of_files_in_one_folder_points_to_itself(tmp_path):
    tone(tmp_path / "wav" / "a.wav")
    csv(tmp_path, "path,emotion\nwav/a.wav,sad\n", "mine.csv")
    with pytest.raises(DataError, match="give its table instead"):
        read("generic", tmp_path)
    tone(tmp_path / "happy" / "b.wav")  # with two classes a list may be anything
    assert classes(read("generic", tmp_path)) == ("happy", "wav")


def test_two_formats_of_one_clip_in_a_class_folder(tmp_path):
    tone(tmp_path / "joy" / "a.wav")
    tone(tmp_path / "joy" / "a.opus")
    table, left, _ = survey("generic", tmp_path)
    assert table["id"].to_list() == ["a"] and table["path"][0].endswith(".wav")
    assert left[0].path == "joy/a.opus"


def test_neither_folder_nor_table(tmp_path):
    (tmp_path / "t.txt").write_text("path,label\n")
    with pytest.raises(DataError, match="expected a folder that holds one folder a class, or a table"):
        read("generic", tmp_path / "t.txt")


def test_women_and_men_in_other_words_are_read_and_said(tmp_path):
    words = {
        "Woman": "female",
        "w": "female",
        "FEMALE": "female",
        "man": "male",
        "M": "male",
        "diverse": "other",
    }
    words |= {"unknown": None, "": None}
    rows = "".join(f"{k}.wav,x,s{k},{word}\n" for k, word in enumerate(words))
    (tmp_path / "t.csv").write_text(f"path,label,speaker,sex\n{rows}")
    table, _, remarks = survey("generic", tmp_path / "t.csv")
    assert table["gender"].to_list() == list(words.values())
    said = "t.csv: column 'sex': Woman is female, diverse is other, man is male, w is female (genders, version 1)"
    assert said in [remark.text for remark in remarks]


def test_pieces_beyond_the_end_of_their_recording_are_said(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    rows = "0,1.005\na.wav,x,0.5,1\na.wav,x,0.5,5\na.wav,x,1,\na.wav,x,2,3\nlost.wav,x,2,3\n"
    (tmp_path / "t.csv").write_text(f"path,label,start,end\na.wav,x,{rows}")
    (said,) = (each.text for each in survey("generic", tmp_path / "t.csv").remarks if "beyond" in each.text)
    assert said == (
        "3 pieces lie beyond the end of the recording: a_0.500-5.000 (0.5 to 5 s of 1 s), "
        "a_1.000- (1 s to its end of 1 s), a_2.000-3.000 (2 to 3 s of 1 s); are the times in seconds?"
    )
