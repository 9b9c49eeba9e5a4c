"""What a Parquet file holds is known before it is read, and what polars makes of damage is told in plain words."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from unheard.errors import DataError
from unheard.formats import parquet
from unheard.formats.parquet import read_parquet, read_schema
from unheard.formats.parquet_structure import Structure, _leaves, _Pages, structure

FRAME = pl.DataFrame(
    {
        "a": [1, 2, None] * 50,
        "b": ["x", "y", None] * 50,
        "c": [[1.0, 2.0], [], None] * 50,
        "d": [{"q": 1, "r": "s"}] * 150,
        "e": pl.Series(["x", None, "y"] * 50, dtype=pl.Enum(["y", "x"])),
    }
)
#: Lists hold 2, 0 and no values; an empty or missing one takes one place, too.
WHOLE = (150, 6, 5 * 150 + 50 * 4)


def written(frame: pl.DataFrame, **options: object) -> bytes:
    data = io.BytesIO()
    frame.write_parquet(data, **options)
    return data.getvalue()


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "uncompressed"])
def test_the_structure_of_what_polars_writes(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(written(FRAME, compression=compression, row_group_size=40))
    found = structure(path)
    assert (found.rows, found.columns, found.values) == WHOLE
    assert read_parquet(path).equals(FRAME)
    assert read_schema(path) == dict(FRAME.schema)


@pytest.mark.parametrize("pages", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["snappy", "none"])
def test_the_structure_of_what_arrow_writes(pages: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(
        FRAME.drop("e").to_arrow(),
        path,
        data_page_version=pages,
        compression=compression,
        row_group_size=60,
        data_page_size=100,
        write_page_index=True,
    )
    found = structure(path)
    assert (found.rows, found.columns, found.values) == (150, 5, WHOLE[2] - 150)
    assert read_parquet(path).equals(FRAME.drop("e"))


def test_an_empty_table_and_one_without_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(written(FRAME.clear()))
    assert structure(path) == Structure(0, 6, 0, 0)
    assert read_parquet(path).equals(FRAME.clear())
    pyarrow.parquet.write_table(pa.table({}), path)
    assert len(read_parquet(path)) == 0


def test_thirty_million_rows_in_a_few_bytes_are_refused_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    path.write_bytes(written(pl.select(path=pl.repeat("a.wav", 30_000_000)), statistics=False))
    assert path.stat().st_size < 500_000
    with pytest.raises(DataError, match=r"bomb\.parquet: .*30,000,000 rows of 1 columns.*at most 20,000,000"):
        read_parquet(path)
    with pytest.raises(DataError, match="at most 1,000 are read"):
        read_parquet(path, most=1000)


def test_pages_that_unpack_to_much_more_are_refused_by_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.parquet"
    path.write_bytes(written(pl.DataFrame({"a": ["x" * 2**22]}), statistics=False))
    monkeypatch.setattr(parquet, "MAX_UNPACKED", 2**20)
    with pytest.raises(DataError, match=r"unpack to 4,194,\d+; at most 1,048,576 are read"):
        read_parquet(path)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 3, b"PAR1\x00\x00\x00\x00\xff\xff\xff\xffPAR1"])
def test_what_is_no_parquet_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"t\.parquet: not a readable Parquet file: "):
        read_parquet(path)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        [{4: b"root", 5: 2}, {4: b"a"}],
        [{4: b"root", 5: 1}, {4: b"a"}, {4: b"b"}],
        [{4: b"root", 5: []}],
        [{4: b"root", 5: -1}],
        [{4: b"root", 5: 1}, {4: 7}],
        [{4: b"root", 5: 1}, {4: b"a", 2: {}}],
        [{4: b"root", 5: 1}, {4: b"a", 2: 2**30}],
        [{4: b"root", 5: 1}, []],
    ],
    ids=range(9),
)
def test_a_schema_that_is_none_is_refused(schema: list[object]) -> None:
    with pytest.raises(ValueError, match=r"schema|column|bytes"):
        _leaves(schema)


@pytest.mark.parametrize("kind", [None, [], {}, -1, 1, 9])
def test_pages_of_no_kind_are_refused(kind: object) -> None:
    pages = _Pages(io.BytesIO(bytes(100)), 100)
    head = {1: kind, 2: 0, 3: 0} if kind is not None else {2: 0, 3: 0}
    pages._head = lambda place, stop: (head, 10)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"kind of a page|a page of a kind"):
        pages.read({5: 1, 7: 50, 9: 4})


def test_every_damaged_byte_is_read_or_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Among these are places at which polars panics, which is no ``Exception``."""
    data = written(FRAME.head(30), compression="uncompressed", statistics=False)
    path = tmp_path / "t.parquet"
    rng = np.random.default_rng(3)
    refused = 0
    for place in range(0, len(data), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << rng.integers(8))]) + data[place + 1 :])
        try:
            read_parquet(path)
        except DataError as error:
            refused += 1
            assert str(error).startswith(f"{path}: not a readable Parquet file: ")
    assert refused > 50
    assert capfd.readouterr() == ("", "")
