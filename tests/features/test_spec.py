"""Features by name: settings are whole, make the same spec again, and decide its digest."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from unheard.audio.trim import trim
from unheard.errors import UsageError
from unheard.features import build
from unheard.features.logmel import LogMel
from unheard.features.spec import SPECS, Trimmed

#: Those that are computed from a waveform.
NAMES = [name for name in SPECS if name not in ("precomputed", "openface", "blendshapes", "terms")]


def wave() -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * np.float32(0.1)
    noise[:4000] *= np.float32(1e-4)
    noise[12_000:] *= np.float32(1e-4)
    return noise


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_plain_whole_and_make_the_same_spec(name: str) -> None:
    for trimmed in (None, 40, [40, 10]):
        spec = build({"name": name, "trim": trimmed})
        full = spec.settings
        assert json.loads(json.dumps(full)) == full
        assert full["name"] == name
        assert full["trim"] == trimmed
        assert build(full) == spec
        assert build(full).key == spec.key
        inner = spec.spec if isinstance(spec, Trimmed) else spec
        known = {field.name for field in dataclasses.fields(inner)}  # type: ignore[arg-type]
        assert set(full) - {"name", "trim"} <= known


def test_every_difference_makes_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    variants: list[dict[str, Any]] = [
        {"name": "logmel"}, {"name": "logmel", "trim": 30},
        {"name": "logmel", "trim": 40},
        {"name": "logmel", "trim": [40, 10]},
        {"name": "logmel", "bands": 40}, {"name": "logmel", "log": "decibel"}, {"name": "mfbf0"},
        {"name": "mfbf0", "bands": 80}, {"name": "egemaps"}, {"name": "compare"}, {"name": "functionals"},
        {"name": "functionals", "hop": 0.02},
    ]  # fmt: skip
    hashes = [build(variant).key for variant in variants]
    assert len(set(hashes)) == len(variants)
    assert build({"name": "logmel", "bands": 80, "trim": None}).key == hashes[0]
    assert build({"name": "logmel", "trim": 40.0}).key == hashes[2]
    monkeypatch.setattr(LogMel, "version", 99)
    assert build({"name": "logmel"}).key != hashes[0]


@pytest.mark.parametrize("name", ["logmel", "mfbf0", "functionals"])
def test_trimming_comes_first(name: str) -> None:
    plain, cut = build({"name": name}), build({"name": name, "trim": 40})
    assert cut.names == plain.names
    assert cut.version == plain.version
    np.testing.assert_array_equal(cut.compute(wave()), plain.compute(trim(wave(), 40)))
    assert cut.compute(wave()).shape[-1] == len(cut.names)
    assert not np.array_equal(cut.compute(wave()), plain.compute(wave()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "features: a 'name' is missing; choose from: logmel"),
        ({"name": "logmels"}, "unknown features 'logmels'; did you mean 'logmel'"),
        ({"name": 3}, "unknown features '3'"),
        ({"name": "logmel", "band": 40}, "unknown key of the features 'logmel' 'band'; did you mean 'bands'"),
        ({"name": "logmel", "trimm": 40}, "did you mean 'trim'"),
        ({"name": "logmel", "version": 2}, "unknown key"),
        ({"name": "logmel", "bands": "80"}, "features.bands is '80', expected a whole number"),
        ({"name": "logmel", "bands": True}, "bands is True, expected a whole number"),
        ({"name": "logmel", "bands": 80.5}, "bands is 80.5, expected a whole number"),
        ({"name": "logmel", "log": None}, "log is None, expected text"),
        ({"name": "logmel", "bands": 0}, "logmel.bands must be in 1 … 1024, found 0"),
        (
            {"name": "logmel", "trim": [40, 100_000]},
            "[40, 100000] is not a number of decibels above 0 and up to 200",
        ),
        ({"name": "logmel", "trim": -3}, "-3 is not a number of decibels above 0"),
        ({"name": "logmel", "trim": "40"}, "'40' is not a number of decibels"),
        ({"name": "precomputed"}, "features: path must be said"),
        ({"name": "precomputed", "path": 3}, "path is 3, expected text"),
        ({"name": "egemaps", "set": "compare"}, "unknown key"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(given)
    assert message in str(caught.value)


def test_whole_numbers_are_floats_where_floats_are_meant() -> None:
    assert build({"name": "logmel", "low": 20}).settings == build({"name": "logmel", "low": 20.0}).settings
    assert build({"name": "logmel", "low": 20}).key == build({"name": "logmel", "low": 20.0}).key


def test_a_default_that_is_said_leaves_the_digest_as_it_was() -> None:
    assert (
        build({"name": "functionals", "trim": 40, "hop": 0.01}).key
        == build({"name": "functionals", "trim": 40}).key
    )


PREDICTS = """
import sys
import numpy as np
from unheard import features
from unheard.audio.decode import from_samples
clip = from_samples(np.random.default_rng(0).uniform(-.5, .5, 48_000), 48_000)
assert len(features.build({"name": "mfbf0", "trim": 40}).compute(clip.wave))
heavy = {"polars", "scipy", "sklearn", "torch", "pydantic", "yaml", "matplotlib", "onnx", "opensmile", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""


def test_prediction_needs_the_core_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PREDICTS], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
