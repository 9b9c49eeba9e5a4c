"""Hugging Face datasets on disk: Parquet with the sounds inside, metadata files, folders of classes and splits."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import polars as pl
import pyarrow
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from unheard.cli import app
from unheard.corpora import generic, read, survey
from unheard.corpora.source import utterances
from unheard.corpora.table import classes, read_table
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone, write

FEATURES = {
    "audio": {"sampling_rate": 16_000, "_type": "Audio"},
    "label": {"names": ["sad", "happy"], "_type": "ClassLabel"},
}


def sounds(folder, **names):
    """Recordings as a dataset holds them, by name: bytes and path."""
    made = []
    for name, frequency in names.items():
        file = tone(folder / f"{name}.flac", seconds=0.5, frequency=frequency)
        made.append({"bytes": file.read_bytes(), "path": file.name})
        file.unlink()
    return made


def packed(path, notes=FEATURES, **columns):
    """A Parquet file as the library ``datasets`` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table(columns)
    if notes is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": notes}})})
    pyarrow.parquet.write_table(table, path)


def dataset(folder, notes=FEATURES):
    """Two splits; the names a and b of the training sounds, a of the test's."""
    audio = sounds(folder / "made", a=200, b=300)
    packed(
        folder / "data" / "train-00000-of-00001.parquet",
        notes,
        audio=audio,
        label=[1, 0],
        speaker_id=["x", "y"],
    )
    audio = sounds(folder / "made", a=400)
    packed(folder / "data" / "test-00000-of-00001.parquet", notes, audio=audio, label=[1], speaker_id=["z"])
    (folder / "made").rmdir()


def test_parquet_through_prepare_audit_and_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset(tmp_path / "corpus")
    done = CliRunner().invoke(app, ["prepare", "huggingface", "corpus", "--out", "made.parquet"])
    assert done.exit_code == 0, done.output
    table = read_table("made.parquet")
    assert table.select("id", "speaker", "split").rows() == [
        ("b", "y", "train"),
        ("test/a", "z", "test"),
        ("train/a", "x", "train"),
    ]
    assert table["label"].to_list() == ["sad", "happy", "happy"] and classes(table) == ("happy", "sad")
    assert table["duration"].to_list() == [0.5] * 3
    for path in table["path"]:
        file = Path(path)
        assert file.parent == tmp_path / "made-sounds" and file.suffix == ".flac"
        assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()
    assert CliRunner().invoke(app, ["audit", "made.parquet"]).exit_code in (0, 1)
    # The same again writes nothing new.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "made-sounds").iterdir()}
    again, _, _ = survey("huggingface", "corpus", sounds="made-sounds")
    assert again.equals(table.select(again.columns))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "made-sounds").iterdir()} == before


def test_names_of_classes_from_the_card(tmp_path):
    dataset(tmp_path, notes=None)
    assert classes(read("huggingface", tmp_path)) == ("0", "1")
    write(
        tmp_path / "README.md",
        "---\ndataset_info:\n  features:\n  - name: audio\n    dtype: audio\n  - name: label\n    dtype:\n"
        "      class_label:\n        names:\n          '0': sad\n          '1': happy\n---\n# Card\n",
    )
    assert classes(read("huggingface", tmp_path)) == ("happy", "sad")


def test_sounds_without_names_are_numbered_and_one_without_a_class_has_none(tmp_path):
    audio = [{**sound, "path": None} for sound in sounds(tmp_path, a=200, b=300)]
    packed(tmp_path / "0000.parquet", audio=audio, label=[-1, 1])
    table = read("huggingface", tmp_path)
    assert table["id"].to_list() == ["0000-1", "0000-2"] and table["label"].to_list() == [None, "happy"]
    assert table["split"].null_count() == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [7]}, "row 1, column 'label': its class is 7, the dataset names 2 classes"),
        ({"mood": [1]}, "lacks the column 'label'"),
        (
            {"label": [1], "audio": [{"bytes": None, "path": None}]},
            "row 1, column 'audio': neither bytes nor a path",
        ),
    ],
)
def test_what_does_not_hold(columns, message, tmp_path):
    packed(tmp_path / "train.parquet", **{"audio": sounds(tmp_path, a=200), **columns})
    with pytest.raises(DataError, match=message):
        read("huggingface", tmp_path)


def test_generic_knows_the_dataset_and_no_error_prints_a_sound(tmp_path):
    packed(tmp_path / "train.parquet", audio=sounds(tmp_path, a=200), label=[1])
    assert read("generic", tmp_path / "train.parquet").equals(read("huggingface", tmp_path / "train.parquet"))
    with pytest.raises(DataError, match="row 1, column 'audio': holds the sound itself") as error:
        list(generic.scan(tmp_path / "train.parquet"))
    assert len(str(error.value)) < 300 and "fLaC" not in str(error.value)


def test_metadata_files_of_every_kind(tmp_path):
    TREES["huggingface"](tmp_path)
    plain = read("huggingface", tmp_path)
    assert dict(plain.select("id", "split").iter_rows()) == {
        "b": "train", "c": "train", "data/test/a": "test", "data/train/a": "train"
    }  # fmt: skip
    assert plain["speaker"].to_list() == ["bob", "bob", "cyd", "ann"]
    for form in (".jsonl", ".parquet"):
        for table in sorted((tmp_path / "data").rglob("metadata.*")):
            frame = pl.read_csv(table) if table.suffix == ".csv" else pl.read_ndjson(table)
            table.unlink()
            made = table.with_suffix(form)
            if form == ".jsonl":
                frame.write_ndjson(made)
            else:
                frame.write_parquet(made)
        assert read("huggingface", tmp_path).equals(plain)


def test_a_stranger_and_a_missing_recording(tmp_path):
    TREES["huggingface"](tmp_path)
    tone(tmp_path / "data" / "train" / "d.wav")
    (tmp_path / "data" / "train" / "c.wav").unlink()
    table, left, _ = survey("huggingface", tmp_path)
    assert table.filter(table["duration"].is_null())["id"].to_list() == ["c"]
    assert {item.path: item.reason for item in left}["data/train/d.wav"] == "in no metadata file"


@pytest.mark.parametrize("reader", ["huggingface", "generic"])
def test_folders_of_splits_are_no_classes(reader, tmp_path):
    for name in ("train/happy/a", "train/sad/b", "Validation/happy/c", "test/sad/a"):
        tone(tmp_path / f"{name}.wav")
    table = read(reader, tmp_path)
    assert classes(table) == ("happy", "sad")
    assert dict(table.select("id", "split").iter_rows()) == {
        "train/happy/a": "train", "b": "train", "c": "validation", "test/sad/a": "test"
    }  # fmt: skip


def test_a_folder_is_read_as_what_it_is(tmp_path):
    TREES["huggingface"](tmp_path / "hub")
    TREES["audformat"](tmp_path / "mini")
    TREES["generic"](tmp_path / "own")
    found = {name: utterances(tmp_path / name) for name in ("hub", "mini", "own")}
    assert {name: table["corpus"][0] for name, table in found.items()} == {
        "hub": "huggingface", "mini": "mini", "own": "generic"
    }  # fmt: skip


def test_parquet_files_with_sounds_are_known_as_a_dataset(tmp_path):
    dataset(tmp_path / "hub")
    assert len(utterances(tmp_path / "hub")) == 3
    (one,) = (tmp_path / "hub" / "data").glob("test-*")
    assert utterances(one)["id"].to_list() == ["a"]
    # A file called metadata that describes no recordings makes none of a folder a class.
    TREES["generic"](tmp_path / "own")
    write(tmp_path / "own" / "metadata.csv", "key,value\n")
    assert utterances(tmp_path / "own")["corpus"][0] == "generic"


def test_sounds_that_share_a_name_are_numbered(tmp_path):
    for shard in range(2):
        audio = [{**sound, "path": "audio.wav"} for sound in sounds(tmp_path, a=200 + shard)]
        packed(tmp_path / "data" / f"train-{shard}.parquet", audio=audio, label=[shard])
    tone(tmp_path / "more.wav")
    table, left, _ = survey("huggingface", tmp_path)
    assert table["id"].to_list() == ["train-0-1", "train-1-1"]
    assert [(item.path, item.reason) for item in left] == [("more.wav", "in no Parquet file")]


def test_arrow_files_are_to_be_saved_as_parquet(tmp_path):
    write(tmp_path / "train" / "data-00000-of-00001.arrow", "ARROW1")
    with pytest.raises(DataError, match="save the dataset as Parquet"):
        read("huggingface", tmp_path)
