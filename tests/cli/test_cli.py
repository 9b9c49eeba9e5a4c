"""Every command by hand: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['unheard', '--help']\nfrom unheard.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'polars', 'torch', 'sklearn', 'scipy', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in (
        "quickstart",
        "predict",
        "prepare",
        "audit",
        "run",
        "report",
        "compare",
        "premium",
        "crosscorpus",
        "score",
        "export",
    ):
        assert command in done.stdout


def test_version(call) -> None:  # type: ignore[no-untyped-def]
    import unheard

    assert call("--version").stdout == f"unheard {unheard.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("runn",), 2, "run"),
        (("run", "functionals", "--dta", "x", "--out", "y"), 2, "--data"),
        (("run", "functionalz", "--data", ".", "--out", "y"), 2, "did you mean 'functionals'"),
        (("run", "functionals", "--data", "nowhere", "--out", "y"), 2, "nowhere"),
        (("prepare", "ravdes", ".", "--out", "x.parquet"), 2, "did you mean 'ravdess'"),
        (("predict", "clip.wav", "--model", ".", "--json", "--csv"), 2, "exclude each other"),
        (("predict", "clip.wav", "--model", "nowhere"), 2, "nowhere"),
        (("compare", "a"), 2, "two or more"),
        (("compare", "a", "./a"), 2, "named twice"),
        (("report", "nowhere"), 2, "not a run folder"),
        (("results",), 2, "--check"),
    ],
)
def test_mistakes_end_in_one_line_and_their_code(
    call, arguments: tuple[str, ...], code: int, said: str
) -> None:  # type: ignore[no-untyped-def]
    done = call(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_the_whole_way_from_a_folder_to_a_prediction(call, toy_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    table = tmp_path / "toy.parquet"
    done = call("prepare", "synthetic", toy_folder, "--out", table)
    assert done.returncode == 0, done.stderr
    assert "left out: " in done.stderr
    assert call("prepare", "synthetic", toy_folder, "--out", table).returncode == 2  # exists

    done = call("audit", table, "--protocol", "group-3", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["passed"] is True
    assert call("audit", table, "--protocol", "random-3").returncode == 1

    for name, protocol in (("fair", "group-3"), ("leaky", "random-3")):
        done = call("run", "functionals", "--data", table, "--protocol", protocol, "--out", name)
        assert done.returncode == 0, done.stderr
        assert "SYNTHETIC" in done.stdout
        assert (tmp_path / name / "report.html").stat().st_size > 10_000

    done = call("premium", "fair", "leaky", "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout)["difference"], float)
    assert call("compare", "fair", "leaky").returncode == 2
    across = call("compare", "fair", "leaky", "--across")
    assert across.returncode == 0, across.stderr
    assert call("report", "fair", "leaky", "--out", "both.html").returncode == 0

    done = call("export", "fair", "--out", "bundle")
    assert done.returncode == 0, done.stderr
    clips = sorted(toy_folder.rglob("*.wav"))[:3]
    done = call("predict", *clips, "--model", "bundle", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["path"] for row in rows] == [str(clip) for clip in clips]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        likeliest = max(row["probabilities"], key=row["probabilities"].get)
        assert row["label"] == (None if "unsure" in row["flags"] else likeliest)

    # The same through standard input, a folder and a pattern; as CSV; with a file that is none.
    listed = call("predict", "-", "--model", "bundle", "--json", stdin="".join(f"{clip}\n" for clip in clips))
    assert json.loads(listed.stdout) == rows
    folder = call("predict", clips[0].parent, "--model", "bundle", "--csv")
    table_rows = list(csv.DictReader(io.StringIO(folder.stdout)))
    assert len(table_rows) == len(list(clips[0].parent.glob("*.wav")))
    assert float(table_rows[0][f"p_{rows[0]['label']}"]) == pytest.approx(
        rows[0]["probabilities"][rows[0]["label"]], abs=1e-6
    )
    pattern = call("predict", f"{toy_folder}/*/03-01-01*.wav", "--model", "bundle")
    assert len(pattern.stdout.splitlines()) == len(list(toy_folder.glob("*/03-01-01*.wav")))
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    mixed = call("predict", clips[0], "broken.wav", "--model", "bundle", "--json")
    assert mixed.returncode == 3
    assert "error" in json.loads(mixed.stdout)[1]
    assert "broken.wav" in mixed.stderr


def test_a_closed_pipe_ends_quietly(toy_folder: Path) -> None:
    command = f"{sys.executable} -m unheard recipes --json | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_recipes_are_listed_and_printed(call) -> None:  # type: ignore[no-untyped-def]
    done = call("recipes")
    assert "ravdess-egemaps" in done.stdout
    assert "\x1b[" not in done.stdout
    assert call("recipes", "functionals").stdout.startswith("recipe: functionals\n")
    assert json.loads(call("recipes", "functionals", "--json").stdout)["recipe"] == "functionals"


def test_the_cache_can_be_looked_at_and_emptied(call) -> None:  # type: ignore[no-untyped-def]
    assert "MB" in call("cache").stdout
    assert "0 damaged" in call("cache", "--verify").stdout


def test_a_recipe_file_may_leave_its_protocol_to_the_command(call, toy_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "recipe: mine\nabout: mine\nfeatures: {name: functionals}\nhead: {name: probe, grid: [0.01]}\n"
    )
    where = ("--data", toy_folder, "--out", tmp_path / "run")
    refused = call("run", mine, *where)
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("protocol: Field required")
    assert call("run", mine, *where, "--protocol", "group-3").returncode == 0
