from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.corpora.tabular import read_rows, read_texts
from unheard.errors import DataError


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


ROWS = [(2, {"file": "a.wav", "emotion": "sad"}), (3, {"file": "ü.wav", "emotion": "joy, mild"})]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'file,emotion\na.wav,sad\nü.wav,"joy, mild"\n'),
        ("t.csv", '\ufefffile,emotion\r\na.wav,sad\r\nü.wav,"joy, mild"\r\n'),
        ("t.csv", "file;emotion\na.wav;sad\nü.wav;joy, mild"),
        ("t.csv", "file|emotion\na.wav|sad\nü.wav|joy, mild\n"),
        ("t.csv", '"file";"emotion"\r\n"a.wav";"sad"\r\n"ü.wav";"joy, mild"\r\n'),
        ("t.tsv", "file\temotion\na.wav\tsad\nü.wav\tjoy, mild\n"),
        ("t.csv", "file;emotion;;\r\na.wav;sad;;\r\nü.wav;joy, mild; ;\r\n"),
        ("T.TSV", "\ufefffile\temotion\na.wav\tsad\nü.wav\tjoy, mild\n\n\n"),
    ],
)
def test_one_table_in_many_dialects(name, text, tmp_path):
    assert read_rows(write(tmp_path, name, text)) == ROWS


@pytest.mark.parametrize("line", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\r\n', "SEP=|\n"])
def test_a_spreadsheet_says_its_separator(line, tmp_path):
    mark = "|" if "|" in line else ";"
    rows = f"file{mark}emotion\na.wav{mark}sad\nü.wav{mark}joy, mild\n"
    assert read_rows(write(tmp_path, "t.csv", line + rows)) == [(n + 1, cells) for n, cells in ROWS]
    with pytest.raises(DataError, match="row 4 has 1 fields"):
        read_rows(write(tmp_path, "t.csv", line + rows.replace(f"{mark}joy, mild", "")))


def test_json_lines_and_parquet(tmp_path):
    lines = "\ufeff" + "\n".join(json.dumps(row, ensure_ascii=False) for _, row in ROWS) + "\n\n"
    expected = [(number - 1, row) for number, row in ROWS]
    assert read_rows(write(tmp_path, "t.jsonl", lines)) == expected
    pl.DataFrame([row for _, row in ROWS]).write_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet") == expected


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=3, max_size=3), min_size=1
    ),
    st.sampled_from(",;\t"),
)
def test_what_csv_writes_is_read(cells, delimiter):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
            writer.writerows([["a", "b", "c"], *cells])
        kept = [row for row in cells if any(cell.strip() for cell in row)]
        if kept:
            assert [list(row.values()) for _, row in read_rows(path)] == kept
        else:
            with pytest.raises(DataError, match="no rows"):
                read_rows(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", "", "holds no rows"),
        ("t.csv", "file,emotion\n", "holds no rows"),
        ("t.csv", "file,emotion\na.wav,sad\nb.wav\n", "row 3 has 1 fields, the header has 2"),
        ("t.csv", "file,emotion\na,b.wav,sad\n", "row 2 has 3 fields, the header has 2"),
        ("t.csv", "file,emotion,\na.wav,sad,x\n", "row 2 has 3 fields, the header has 2"),
        ("t.csv", "file,file\na,b\n", "row 1: the column 'file' stands there more than once"),
        ("t.csv", 'file,emotion\na.wav,"sad\n', "row 2: unexpected end of data"),
        (
            "t.csv",
            "file,emotion\na.wav,Ärger\n".encode("latin-1"),
            "row 2, column 'emotion': byte 0xc4 is not UTF-8",
        ),
        ("t.csv", "Datei;emotion\nx;y\nMüller.wav;a\n".encode("cp1252"), "row 3, column 'Datei': byte 0xfc"),
        ("t.csv", "Gefühl,file\nx,y\n".encode("latin-1"), "row 1: byte 0xfc"),
        ("t.csv", "file,emotion\na.wav,sad\n".encode("utf-16"), "UTF-16, expected UTF-8"),
        ("t.csv", "file,emotion\na.wav,s\0d\n", "row 2 holds a NUL character"),
        ("t.jsonl", '{"a": 1}\n{"a": }\n', "row 2: not JSON"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "row 2: holds list, expected a JSON object"),
        ("t.jsonl", "\n\n", "holds no rows"),
        ("t.parquet", b"PAR1 but not", "not a readable Parquet file"),
        ("t.xlsx", b"PK", "not a table that can be read"),
    ],
)
def test_faults_name_row_and_column(name, data, message, tmp_path):
    path = write(tmp_path, name, data)
    with pytest.raises(DataError) as error:
        read_rows(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "t.csv")


def test_texts_keep_what_stands_there(tmp_path):
    expected = [{"id": "0001", "p": "0.5"}, {"id": "2", "p": None}]
    assert read_texts(write(tmp_path, "t.csv", "id,p\n0001 , 0.5\n2,\n")) == expected
    assert read_texts(write(tmp_path, "t.jsonl", '{"id": "0001", "p": 0.5}\n{"id": 2}\n')) == expected
    pl.DataFrame({"id": [1.0, None], "p": [0.1 + 0.2, 1e-17]}).write_parquet(tmp_path / "t.parquet")
    assert [(row["id"], float(row["p"])) for row in read_texts(tmp_path / "t.parquet")] == [
        ("1", 0.1 + 0.2),
        (None, 1e-17),
    ]
