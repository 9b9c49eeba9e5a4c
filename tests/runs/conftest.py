"""A toy corpus and a finished run on it, made once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import unheard as ut
from unheard.runs.folder import Run
from unheard.testing import toy_corpus


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "corpus"
    toy_corpus(folder, speakers=6)
    return folder


@pytest.fixture(scope="session")
def toy(toy_folder: Path) -> pl.DataFrame:
    return ut.read("synthetic", toy_folder)


@pytest.fixture(scope="session")
def toy_run(toy: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ut.run(
        "functionals", toy, ut.protocol("group-3", toy), out=tmp_path_factory.mktemp("runs") / "fair", jobs=2
    )
