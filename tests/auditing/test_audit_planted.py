"""Faults planted in a corpus on disk, each caught by its code; and an audit is the same however it is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard import protocols
from unheard.auditing import Certificate, audit
from unheard.auditing.recordings import MAX_BAD
from unheard.corpora.table import check, classes, utterances
from unheard.errors import ProtocolError
from unheard.protocols.fold import fold, guarded


def codes(certificate):
    return {f.code: f for f in certificate.findings}


def errors(certificate):
    return {f.code for f in certificate.findings if f.severity == "error"}


def plus(table, row, **changes):
    """The table with a changed copy of one of its rows."""
    extra = {**table.row(row, named=True), "id": "zz-planted", **changes}
    rows = [*table.to_dicts(), extra]
    return utterances(rows, corpus="synthetic", labels=classes(table))


@pytest.fixture(scope="module")
def small(toy):
    """Eight clips of each of three speakers, all classes."""
    return toy.filter((pl.col("speaker") != "04") & (pl.col("sentence") == "01"))


def test_a_clean_corpus_passes(toy):
    made = audit(toy, protocols.make("loso", toy))
    assert made.passed
    assert {f.severity for f in made.findings} <= {"information"}
    assert (made.clips, made.speakers) == (64, 4)


def test_leak(small):
    ids = small["id"].to_list()
    test = [ids[3 * k + k % 3] for k in range(8)]  # one clip of each emotion, speakers in turn
    parts = fold([i for i in ids if i not in test], [], test)
    made = audit(small, guarded("clips", small, [parts], disjoint=(), leaky=True))
    assert "SPEAKER_ON_TWO_SIDES" in errors(made)
    assert codes(made)["SPEAKER_ON_TWO_SIDES"].count == 3
    assert codes(made)["SPEAKER_ON_TWO_SIDES"].examples[0] == "01 in 1 of 1 folds"
    assert not made.passed


def test_relabelled_duplicate(small):
    table = plus(small, 0, label="angry", take="02")
    assert table["label"][0] != "angry"
    made = audit(table)
    pair = f"{table['id'][0]} = zz-planted"
    assert codes(made)["DUPLICATE_WITHIN_SPEAKER"].examples == (pair,)
    assert codes(made)["CONTRADICTING_LABELS"].examples == (f"{pair}: neutral, angry",)
    assert errors(made) == {"CONTRADICTING_LABELS"}


@pytest.mark.parametrize(
    ("name", "rate", "kind"), [("x.wav", 22050, "PCM_16"), ("x.ogg", 48000, "OPUS"), ("x.mp3", 8000, None)]
)
def test_clip_encoded_anew_under_another_name(small, tmp_path, name, rate, kind):
    wave, source = soundfile.read(small["path"][5], dtype="float32")
    late = np.concatenate([np.zeros(source // 3, np.float32), 0.5 * wave])
    soundfile.write(tmp_path / name, soxr.resample(late, source, rate), rate, subtype=kind)
    made = audit(plus(small, 5, path=str(tmp_path / name)))
    found = codes(made)["NEAR_DUPLICATE_WITHIN_SPEAKER"]
    assert [e.split(" (")[0] for e in found.examples] == [f"{small['id'][5]} = zz-planted"]
    assert made.passed


def test_one_speaker_listed_again_under_a_second_name(small):
    again = [
        {**row, "id": f"zz-{row['id']}", "speaker": "twin"}
        for row in small.filter(pl.col("speaker") == "02").to_dicts()
    ]
    table = utterances(small.to_dicts() + again, corpus="synthetic", labels=classes(small))
    made = audit(table, protocols.make("loso", table))
    assert codes(made)["DUPLICATE_ACROSS_SPEAKERS"].count == 8
    assert codes(made)["DUPLICATE_ACROSS_SIDES"].count == 8
    # The same file under another name is the same time of one recording, too.
    expected = {"DUPLICATE_ACROSS_SPEAKERS", "DUPLICATE_ACROSS_SIDES", "OVERLAP_ACROSS_SIDES"}
    assert errors(made) == expected


def test_a_near_copy_under_a_second_name_on_the_other_side(small, tmp_path):
    wave, rate = soundfile.read(small["path"][0], dtype="float32")
    soundfile.write(tmp_path / "y.wav", 0.3 * wave[rate // 5 :], rate)
    table = plus(small, 0, path=str(tmp_path / "y.wav"), speaker="twin")
    ids = table["id"].to_list()
    made = audit(table, guarded("p", table, [fold(ids[:-1], [], ids[-1:])]))
    assert errors(made) == {"NEAR_DUPLICATE_ACROSS_SPEAKERS", "NEAR_DUPLICATE_ACROSS_SIDES"}


def test_a_copy_of_an_unknown_speaker_is_a_warning(small):
    made = audit(plus(small, 0, speaker=None))
    assert made.passed
    assert codes(made)["DUPLICATE_UNKNOWN_SPEAKER"].severity == "warning"


def test_text_that_gives_the_label_away(toy):
    table = toy.with_columns(sentence=pl.col("label").cast(pl.String), text=pl.lit(None, dtype=pl.String))
    made = audit(table, protocols.make("loso", table))
    assert errors(made) == {"TEXT_GIVES_LABEL"}
    assert "100 % of clips" in codes(made)["TEXT_GIVES_LABEL"].message


def test_missing_and_broken_files(small, tmp_path):
    broken, silent = tmp_path / "broken.wav", tmp_path / "silent.wav"
    broken.write_bytes(Path(small["path"][1]).read_bytes()[:1000])
    soundfile.write(silent, np.zeros(16000), 16000)
    paths = [str(tmp_path / "nowhere.wav"), str(broken), str(silent), *small["path"][3:]]
    made = audit(small.with_columns(path=pl.Series(paths)))
    assert errors(made) == {"MISSING_FILE", "BROKEN_FILE"}  # more than one in a hundred
    assert codes(made)["MISSING_FILE"].count == 1
    assert codes(made)["BROKEN_FILE"].count == 2
    assert "truncated" in codes(made)["BROKEN_FILE"].examples[0]
    assert "silent" in codes(made)["BROKEN_FILE"].examples[1]
    assert str(tmp_path) not in json.dumps(made.as_dict())
    assert not any("DUPLICATE" in code for code in codes(made))


@pytest.mark.parametrize("name", ["x" * 5000, "two\nlines.wav", "a\0b.wav", "\udcff.wav", "\ud800.wav"])
def test_a_missing_file_of_any_name_is_told_without_its_folder(tmp_path, name):
    from unheard.auditing.recordings import _decoded

    found = _decoded(("a", f"{tmp_path}/{name}", None, None))
    assert found.missing and found.exact is None
    assert str(tmp_path) not in found.reason
    assert found.reason.isprintable()


def test_a_broken_file_among_many_is_a_warning():
    from unheard.auditing.recordings import Recording, check_files

    nowhere = ("gone.wav", None, None)
    heard = [Recording(f"c{k}", nowhere, "hash", None) for k in range(99)]
    assert check_files(heard) == []
    (found,) = check_files([*heard, Recording("bad", nowhere, None, None, "no such file", missing=True)])
    assert (found.code, found.severity) == ("MISSING_FILE", "warning")
    assert MAX_BAD >= 1 / 100
    (found,) = check_files([*heard[:50], Recording("bad", nowhere, None, None, "truncated")])
    assert (found.code, found.severity) == ("BROKEN_FILE", "error")


@settings(max_examples=4, deadline=None)
@given(st.randoms())
def test_order_of_rows_does_not_matter(small, dice):
    table = plus(small, 0, speaker="twin", label="angry")
    order = list(range(len(table)))
    dice.shuffle(order)
    mixed = table[order]
    made = audit(mixed, protocols.make("loso", table))
    assert made == audit(table, protocols.make("loso", table))


def test_processes_and_places_change_nothing(small, tmp_path):
    moved = []
    for path in small["path"]:
        moved.append(str(tmp_path / Path(path).name))
        shutil.copy(path, moved[-1])
    seen = []
    made = audit(small, jobs=2, progress=lambda done, total: seen.append((done, total)))
    again = audit(small.with_columns(path=pl.Series(moved)))
    assert made.as_dict() == again.as_dict()
    assert Certificate.from_dict(json.loads(json.dumps(made.as_dict()))) == made
    assert seen == [(k, 24) for k in range(1, 25)]


def test_a_protocol_of_another_table_is_refused(toy, small):
    with pytest.raises(ProtocolError, match="names clips that the table lacks"):
        audit(small, protocols.make("loso", toy))


def test_the_table_that_is_audited_is_not_changed(small):
    before = small.clone()
    audit(small)
    assert before.equals(small)
    check(small)
