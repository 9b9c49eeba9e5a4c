"""What is known to be wrong with real corpora is found, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unheard import corpora, protocols
from unheard.audio.fingerprint import THRESHOLD
from unheard.auditing import audit

pytestmark = pytest.mark.data
ONE = "03-01-03-01-02-01-07 = 03-01-03-01-02-02-07"


def codes(certificate):
    return {f.code: f for f in certificate.findings}


@pytest.mark.slow
def test_ravdess_has_one_duplicate_and_no_other_pair_of_takes(data_folder):
    table = corpora.read("ravdess", data_folder / "ravdess" / "speech")
    made = audit(table, protocols.make("ravdess-balanced6", table), jobs=2)
    assert made.passed
    assert {f.code: f.severity for f in made.findings} == {
        "DUPLICATE_WITHIN_SPEAKER": "warning",
        "SENTENCE_ON_TWO_SIDES": "information",
        "CLASS_IMBALANCE": "information",
    }
    assert codes(made)["DUPLICATE_WITHIN_SPEAKER"].examples == (ONE,)


@pytest.mark.slow
def test_ravdess_song_has_no_duplicates(data_folder):
    table = corpora.read("ravdess", data_folder / "ravdess" / "song")
    assert not [code for code in codes(audit(table, jobs=2)) if "DUPLICATE" in code]


def test_baved_has_twin_speakers(data_folder):
    table = corpora.read("baved", data_folder / "baved")
    made = audit(table, protocols.make("loso", table))
    assert not made.passed
    twins = codes(made)["DUPLICATE_ACROSS_SPEAKERS"]
    assert twins.count == 21
    assert all(e.startswith("46-") and " = 53-" in e for e in twins.examples)
    assert codes(made)["DUPLICATE_ACROSS_SIDES"].count == 21
    assert codes(made)["DUPLICATE_WITHIN_SPEAKER"].count == 1
    assert not [code for code in codes(made) if code.startswith("NEAR_")]
    assert not [code for code in codes(made) if code.endswith("_GIVES_LABEL")]


def test_urdu_ties_speaker_to_label_and_cuts_programmes_into_overlapping_pieces(data_folder):
    table = corpora.read("urdu", data_folder / "urdu")
    leaky = codes(audit(table, protocols.make("random-5", table)))
    assert leaky["SPEAKER_GIVES_LABEL"].severity == "error"
    assert "96 % of clips" in leaky["SPEAKER_GIVES_LABEL"].message
    assert leaky["SPEAKER_ON_TWO_SIDES"].severity == "error"
    overlapping = leaky["NEAR_DUPLICATE_ACROSS_SPEAKERS"].examples
    assert "SF1_F4_H04 = SF4_F3_H019" in {e.split(" (")[0] for e in overlapping}


def test_emodb_has_no_duplicates_and_gives_no_label_away(data_folder):
    table = corpora.read("emodb", data_folder / "emodb")
    made = audit(table, protocols.make("emodb-loso10", table))
    assert made.passed
    assert set(codes(made)) == {"CLASS_IMBALANCE", "FOLD_SIZES", "SENTENCE_ON_TWO_SIDES"}


@pytest.mark.slow
def test_the_threshold_follows_from_the_benchmark(data_folder):
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "fingerprint.py"
    done = subprocess.run(
        [sys.executable, script, "--data", data_folder, "--every", "48"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["derived_threshold"] == THRESHOLD
    assert found["margin_above_takes"] > 0.2
    assert found["margin_below_copies"] > 0.2
    assert found["false_rate"] == 0
    assert found["true_rate"] == 1
    assert found["reported_in_speech"] == [ONE.split(" = ")]
