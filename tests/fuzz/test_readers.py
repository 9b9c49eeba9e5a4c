"""Broken tables and label files of corpora are read or refused by name, whichever reader the package holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mutate import count, mutants, seed
from table_files import PARQUET, TEXT

from unheard.corpora import survey
from unheard.corpora.table import check
from unheard.errors import UnheardError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES

sys.path.insert(0, str(Path(__file__).parents[1] / "corpora"))
from test_huggingface_reader import dataset

SUFFIXES = (".csv", ".tsv", ".txt", ".yaml", ".json", ".jsonl", ".parquet")
#: Corpora whose names of files say everything, and what is tried elsewhere.
WITHOUT_TABLES = {"ased", "baved", "emodb", "generic", "ravdess", "savee", "synthetic", "tess", "urdu"}
CORPORA = {name: tree for name, tree in TREES.items() if name not in WITHOUT_TABLES} | {"sounds": dataset}
every_corpus = pytest.mark.parametrize("name", sorted(CORPORA))


def read_mutants(name: str, folder: Path, tried: int, number: int) -> dict[str, int]:
    """Read a corpus again and again, each time with one of its tables mutated, and count answers and refusals."""
    root = folder / "corpus"
    CORPORA[name](root)
    reader = "huggingface" if name == "sounds" else name
    tables = {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.suffix in SUFFIXES}
    outcomes = {"answer": 0, "refused": 0}
    for mutant in mutants(tables, tried, number, PARQUET if name == "sounds" else TEXT):
        path = Path(mutant.origin.split(" after ")[0])
        path.write_bytes(mutant.data)
        try:
            check(survey(reader, root, sounds=folder / "sounds")[0])
            outcomes["answer"] += 1
        except UnheardError as error:
            assert str(root) in str(error), f"{mutant.origin}: the message names no file: {error}"
            outcomes["refused"] += 1
        except BaseException as error:
            error.add_note(mutant.origin)
            raise
        path.write_bytes(tables[str(path)])
    return outcomes


@every_corpus
def test_mutated_tables_of_corpora(name, tmp_path):
    outcomes = read_mutants(name, tmp_path, 30, 0)
    assert outcomes["refused"]  # mutations that break nothing find nothing


@every_corpus
@pytest.mark.fuzz
def test_many_mutated_tables_of_corpora(name, tmp_path):
    print(name, seed(), read_mutants(name, tmp_path, count(), seed()))  # noqa: T201 - with -s
