"""The ground of a model is measured over its training clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unheard.audio import decode
from unheard.audio.quality import quality
from unheard.corpora import read
from unheard.exporting import training_range as domain
from unheard.exporting.training_range import training_range_of
from unheard.testing import toy_corpus


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("toy") / "corpus"
    toy_corpus(folder, speakers=2)
    return read("synthetic" if (folder / "synthetic.json").exists() else "generic", folder)


def test_percentiles_over_the_clips(table: pl.DataFrame) -> None:
    measured = [quality(decode.load(path).wave) for path in table["path"]]
    found = training_range_of(table)
    seconds = [clip.seconds for clip in measured]
    assert found["seconds"] == pytest.approx(np.percentile(seconds, (1, 99)).tolist(), abs=1e-3)
    assert found["snr"][0] == pytest.approx(np.percentile([clip.snr for clip in measured], 1), abs=1e-3)
    assert found["bandwidth"][1] is found["speech"][1] is None


def test_clips_that_are_gone_are_left_out_and_many_are_sampled(
    table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = table.with_columns(path=pl.lit(str(tmp_path / "nowhere.wav")))
    assert training_range_of(gone) == {}
    assert training_range_of(pl.concat([table, gone.with_columns(pl.col("id") + "x")])) == training_range_of(
        table
    )
    assert training_range_of(table.clear()) == {}
    monkeypatch.setattr(domain, "MAX_CLIPS", 3)
    three = table.sort("id")[[0, round((len(table) - 1) / 2), len(table) - 1]]
    assert training_range_of(table) == training_range_of(three)
