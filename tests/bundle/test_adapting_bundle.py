"""Bundles that adapt to speakers: what they give without knowing anybody, and knowing some clips."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adapting import KINDS, make_adapting
from encoder_parts import MadeWithEncoder
from numpy.testing import assert_allclose, assert_array_equal

from bundle_parts import change, seal, sound
from unheard.adaptation.draws import Known
from unheard.bundle.runtime import load
from unheard.errors import BundleError
from unheard.exporting.card import card
from unheard.exporting.compact import compact

pytest.importorskip("torch")
Make = Callable[[str], MadeWithEncoder]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    kept: dict[str, MadeWithEncoder] = {}

    def one(kind: str) -> MadeWithEncoder:
        if kind not in kept:
            kept[kind] = make_adapting(kind, tmp_path_factory.mktemp("adapting"))
        return kept[kind]

    return one


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_answers_as_its_head_whatever_is_known(made: Make, kind: str) -> None:
    one = made(kind)
    bundle = load(one.folder)
    waves = [sound(seed) for seed in (70, 71, 72, 73)]
    given = one.inputs(waves)
    inputs = bundle.inputs(waves)
    assert_allclose(bundle.outputs(inputs), one.head.outputs(given), rtol=1e-4, atol=1e-4)
    known = {"": Known((0, 1, 2, 3), None)}
    expected = one.head.outputs_knowing(given, [""] * 4, known)
    assert_allclose(bundle.outputs_knowing(inputs), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - one.head.outputs(given)).max() > 0.002


def test_the_description_names_what_is_adapted(made: Make) -> None:
    one = made("one of two")
    plain = json.loads((one.folder / "bundle.json").read_text())
    assert plain["adaptation"] == {"rows": {"mean_prior": 4.0, "variance_prior": 8.0}}
    around = one.head.populations_["rows"]
    with np.load(one.folder / "adaptation.npz") as stored:
        assert sorted(stored.files) == ["rows.mean", "rows.variance"]
        assert_array_equal(stored["rows.mean"], around.mean)
        assert_array_equal(stored["rows.variance"], around.variance)


def test_the_card_says_that_it_adapts_and_speaks_of_consent(made: Make) -> None:
    text = (made("one of two").folder / "card.md").read_text()
    assert "Gets to know a voice from a few clips without labels (unheard enrol): rows measured" in text
    assert "have agreed, and delete it when they ask" in text
    assert "Gets to know a voice" not in card(replace(load(made("rows").folder).description, adaptation={}))


def test_a_compact_copy_adapts_too(made: Make, tmp_path: Path) -> None:
    one = made("layers and rows")
    copy = load(compact(one.folder, tmp_path / "half", "float16").folder)
    bundle = load(one.folder)
    waves = [sound(seed) for seed in (70, 71)]
    found = copy.outputs_knowing(copy.inputs(waves))
    assert_allclose(found, bundle.outputs_knowing(bundle.inputs(waves)), rtol=0.02, atol=0.02)


def with_arrays(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / "adaptation.npz") as stored:
        arrays = dict(stored)
    arrays |= {f"rows.{name}": value for name, value in changes.items()}
    np.savez(folder / "adaptation.npz", **arrays)


DIMS = 590
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lost": (lambda folder: (folder / "adaptation.npz").unlink(), "adaptation.npz is missing"),
    "not told": (lambda folder: change(folder, adaptation={}), "names no input under 'adaptation'"),
    "another input": (
        lambda folder: change(folder, adaptation={"face": {"mean_prior": 4, "variance_prior": 8}}),
        "adaptation is of 'face'",
    ),
    "a prior of nothing": (lambda folder: change(folder, adaptation__rows__mean_prior=0), "mean_prior is 0"),
    "a prior that is none": (lambda folder: change(folder, adaptation__rows=3), "mean_prior is None"),
    "another shape": (lambda folder: with_arrays(folder, mean=np.zeros(3)), "expected float64 of shape"),
    "a variance below 0": (lambda folder: with_arrays(folder, variance=np.full(DIMS, -1.0)), "outside 0 …"),
    "no number": (lambda folder: with_arrays(folder, mean=np.full(DIMS, np.nan)), "outside -1e"),
    "another array": (lambda folder: with_arrays(folder, sd=np.ones(3)), "adaptation.npz holds"),
    "another population": (lambda folder: with_arrays(folder, mean=np.ones(DIMS)), "outputs"),
    "no archive": (lambda folder: (folder / "adaptation.npz").write_bytes(b"PK"), "not readable arrays"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_refused(made: Make, tmp_path: Path, fault: str) -> None:
    folder = Path(shutil.copytree(made("rows").folder, tmp_path / "copy"))
    damage, said = FAULTS[fault]
    damage(folder)
    seal(folder)
    with pytest.raises(BundleError, match=said):
        load(folder)


def test_stored_inputs_of_other_shapes_than_are_adapted_are_refused(made: Make, tmp_path: Path) -> None:
    """Found by mutant 2231 of seed 522 of bundles."""
    folder = shutil.copytree(made("one of two").folder, tmp_path / "bundle")
    with np.load(folder / "golden.npz") as stored:
        arrays = dict(stored)
    np.savez(folder / "golden.npz", **{**arrays, "rows.0": np.concatenate([arrays["rows.0"]] * 2, axis=-1)})
    seal(folder)
    with pytest.raises(BundleError, match=r"golden\.npz: the input 'rows' is of shape .* adaptation\.npz"):
        load(folder)
