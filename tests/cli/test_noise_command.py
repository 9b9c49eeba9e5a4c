"""``unheard noise`` on a toy run: what it prints and leaves, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import unheard as ut


@pytest.fixture(scope="module")
def run(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = ut.read("synthetic", toy_folder)
    out = tmp_path_factory.mktemp("runs") / "toy"
    changes = {"features": {"name": "logmel"}}
    return ut.run("functionals", table, ut.protocol("group-3", table), out=out, changes=changes).folder


@pytest.mark.slow
def test_noise_is_planned_printed_and_stored(call, run: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("noise", run, "--snr", "10,-2.5", "--seed", 4)
    assert done.returncode == 0, done.stderr
    first, stamped, head, *rows = done.stdout.splitlines()
    assert first == "functionals on group-3 (6 speakers tested)"
    assert stamped.split(" · ") == ["  FEW SPEAKERS", "SYNTHETIC"]
    assert head.split() == ["condition", "accuracy", "%", "UAR", "%", "women", "men", "less", "than", "clean"]
    found = json.loads((run / "noise.json").read_text(encoding="utf-8"))
    assert found["noise"]["seed"] == 4
    names = ["clean", "white_10dB", "white_-2.5dB", "babble_10dB", "babble_-2.5dB"]
    assert [line.split()[0] for line in rows] == names
    for line, row in zip(rows, found["conditions"], strict=True):
        shown = [row["accuracy"], row["uar"], *(row["gender"][g]["accuracy"] for g in ("female", "male"))]
        places = [line.index(f"{100 * score['pooled']:.1f}") for score in shown]
        assert places[0] > 0
        assert ("difference" in row) == (line.count("[") == 3)
    assert "96 test clips of 3 folds, 384 times through logmel" in done.stderr
    assert "3 at a time, of 4 speakers a fold" in done.stderr
    assert f"figure: {run / 'noise.html'}" in done.stderr

    again = call("noise", run)
    assert again.returncode == 2 and "noise.json exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--snr", "loud"), "--snr takes numbers of dB such as 20,10,5; found 'loud'"),
        (("--snr", "99"), "-20 to 60 dB; found 99"),
        (("--kinds", "brown"), "unknown kind of noise 'brown'"),
        (("--kinds", ","), "found no kind at"),
        (("--conditions", "cave"), "unknown condition 'cave'"),
        (("--noises", "nowhere"), "nowhere: no such folder of noises"),
        (("--babble", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_mistakes_are_refused_before_any_work(call, run: Path, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    done = call("noise", run, "--force", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_what_is_no_run_has_no_noise(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("noise", tmp_path)
    assert done.returncode == 2 and "not a run folder" in done.stderr
