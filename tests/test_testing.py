from __future__ import annotations

from unheard.corpora import read
from unheard.testing import toy_corpus


def test_toy_corpus(tmp_path):
    table = toy_corpus(tmp_path / "toy", speakers=2)
    assert len(table) == 32
    assert table.equals(read("synthetic", tmp_path / "toy"))
    assert table["speaker"].value_counts()["count"].to_list() == [16, 16]
    assert table["label"].value_counts()["count"].to_list() == [4] * 8
