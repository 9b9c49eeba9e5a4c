"""`unheard distill` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unheard.features.frontends import frontend_settings

torch = pytest.importorskip("torch")

from unheard.distillation.student import Shape, Student  # noqa: E402
from unheard.distillation.student_graph import write  # noqa: E402

QUICK = [
    text
    for pair in ("batch=2", "seconds=0.2", "width=8", "projection=4", "past=2", "every=2")
    for text in ("--set", pair)
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    front = frontend_settings({"name": "logmel", "bands": 8})
    card = {"about": "toy", "licence": "CC0-1.0", "attribution": "a toy"}
    write(Student(Shape((3, 3), 8, width=6, projection=3, past=1)).eval(), folder, ["a", "b"], front, card)
    return folder


@pytest.mark.slow
def test_a_student_is_made_and_can_be_used(call, toy_folder: Path, weights: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    common = (
        "distill",
        "--data",
        toy_folder,
        "--layers",
        "0-1",
        *QUICK,
        "--exclude",
        "synthetic:01,02",
        "-j",
        1,
    )
    done = call(*common, "--model", weights, "--out", "student", "--steps", 4, "--seed", 7)
    assert done.returncode == 0, done.stderr
    assert "step 2 of 4: loss" in done.stderr
    assert "student: " in done.stdout
    card = json.loads((tmp_path / "student" / "card.json").read_text())
    assert card["settings"]["seed"] == 7
    assert card["corpora"][0]["excluded"] == ["01", "02"]
    assert card["corpora"][0]["speakers"] == ["03", "04", "05", "06"]
    # A student is an encoder, and so it can teach the next one.
    again = call(*common, "--model", "student", "--out", "second", "--steps", 2, "--resume")
    assert again.returncode == 0, again.stderr
    twice = call(*common, "--model", weights, "--out", "student", "--steps", 4)
    assert twice.returncode == 2
    assert "holds a student" in twice.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--exclude", "emodb:03"), "unknown corpus in --exclude 'emodb'"),
        (("--exclude", "synthetic"), "--exclude takes CORPUS:SPEAKER"),
        (("--exclude", "synthetic:99"), "unknown speaker of synthetic '99'"),
        (("--set", "head.dropout=1"), "take a setting such as batch=64"),
        (("--set", "bach=3"), "did you mean 'batch'"),
    ],
)
def test_what_does_not_fit_ends_in_2(  # type: ignore[no-untyped-def]
    call, toy_folder: Path, weights: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = call(
        "distill", "--data", toy_folder, "--model", weights, "--entries", "0", "--out", "s", *arguments
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "s").exists()
