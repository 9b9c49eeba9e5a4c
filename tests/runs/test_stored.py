"""A figure in a text is what the stored predictions give, or the check ends with 1."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import unheard as ut
from unheard.analysis.stored_comparisons import drift
from unheard.analysis.stored_results import COLUMNS, _column, _of_corpus, check, recomputed, store
from unheard.comparison.compare import compare
from unheard.errors import DataError, UsageError
from unheard.files import write_json
from unheard.predictions.table import predictions, read_predictions, write_predictions
from unheard.runs.folder import Run
from unheard.runs.scoring import scores


@pytest.fixture
def kept(toy_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stored results with one entry, predictions among it."""
    recomputed.cache_clear()
    monkeypatch.setattr("unheard.analysis.stored_results.KEPT", ("synthetic",))
    assert store(toy_run, tmp_path / "results") == tmp_path / "results" / "functionals" / "group-3"
    return tmp_path / "results"


def text_of(folder: Path, headings: list[str]) -> str:
    found = recomputed(folder / "functionals" / "group-3")
    cells = [COLUMNS[heading](found) for heading in headings]
    lines = [
        ["recipe", "protocol", *headings],
        ["---"] * (len(headings) + 2),
        ["`functionals`", "`group-3`", *cells],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


HEADINGS = [name for name in COLUMNS if name not in ("actors 17-24", "normal / strong")]


def test_true_figures_pass_and_a_changed_digit_is_found(kept: Path, tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    text.write_text(f"Words.\n\n{text_of(kept, HEADINGS)}\n\nMore.\n")
    assert check(text, kept) == (len(HEADINGS), [])
    accuracy = COLUMNS["mean accuracy"](recomputed(kept / "functionals" / "group-3"))
    wrong = f"{float(accuracy) + 0.1:.1f}"
    text.write_text(text.read_text().replace(f"| {accuracy} |", f"| {wrong} |"))
    seen, problems = check(text, kept)
    assert seen == len(HEADINGS)
    assert problems
    assert f"says '{wrong}', is '{accuracy}'" in problems[0]


def test_intensity_is_told_by_the_ids_of_ravdess_and_actors_by_the_worst_and_the_best(kept: Path) -> None:
    found = dict(recomputed(kept / "functionals" / "group-3"))
    rows = found["rows"].with_row_index("n")
    # Every third clip strong, in the place where RAVDESS says so.
    named = rows.with_columns(
        id=pl.format("Actor_01/03-01-05-0{}-01-01-{}", (pl.col("n") % 3 == 0).cast(pl.Int8) + 1, "n")
    ).drop("n")
    answered = named.with_columns(
        right=pl.col("probabilities").list.arg_max() == pl.col("label").to_physical()
    )
    shares = [
        answered.filter(pl.col("id").str.contains(f"03-01-05-{kind}"))["right"].mean()
        for kind in ("01", "02")
    ]
    assert COLUMNS["normal / strong"]({"rows": named}) == " / ".join(f"{100 * share:.1f}" for share in shares)
    each = answered.group_by("speaker").agg(pl.col("right").mean())["right"]
    assert COLUMNS["worst / best actor"](found) == f"{100 * each.min():.1f} / {100 * each.max():.1f}"


def test_recalls_and_conditions_of_noise_are_checked(kept: Path, tmp_path: Path) -> None:
    place = kept / "functionals" / "group-3"
    found = json.loads((place / "results.json").read_text())
    name = found["labels"][0]
    recall = f"{100 * found['per_class'][name]['recall']:.1f}"
    accuracy = {"pooled": 0.5, "mean": 0.7, "sd": 0.1, "low": 0.4, "high": 0.6}
    conditions = [{"condition": "white_20dB", "accuracy": accuracy}]
    (place / "noise.json").write_text(json.dumps({"conditions": conditions}))
    recomputed.cache_clear()
    text = tmp_path / "text.md"
    head = "| recipe | protocol | recall of {} | white {} dB |\n|---|---|---|---|\n"
    table = head + "| `functionals` | `group-3` | {} | {} |"
    text.write_text(table.format(name, 20, recall, "50.0 [40.0, 60.0]"))
    assert check(text, kept) == (2, [])
    text.write_text(table.format(name, 20, recall, "51.0 [40.0, 60.0]"))
    assert "is '50.0 [40.0, 60.0]'" in check(text, kept)[1][0]
    text.write_text(table.format(name, 5, recall, "50.0"))
    with pytest.raises(DataError, match="white_5dB"):
        check(text, kept)


def test_figures_of_runs_that_know_clips_are_checked(kept: Path, tmp_path: Path) -> None:
    place = kept / "functionals" / "group-3" / "results.json"
    accuracy = {"pooled": 0.5, "mean": 0.7, "sd": 0.1, "low": 0.4, "high": 0.6}
    gain = {"value": 0.034, "low": 0.01, "high": 0.05, "p": 0.02}
    scored = [
        {"kind": "clips", "clips": 8, "accuracy": accuracy, "difference": gain},
        {"kind": "neutral", "clips": 8, "accuracy": accuracy | {"pooled": 0.4}},
        {"kind": "all", "clips": None, "accuracy": accuracy | {"pooled": 0.6}},
    ]
    place.write_text(json.dumps(json.loads(place.read_text()) | {"enrolment": scored}))
    recomputed.cache_clear()
    text = tmp_path / "text.md"
    headings = ["knowing 8 clips", "gain of 8 clips", "knowing 8 neutral clips", "knowing all"]
    cells = ["50.0 [40.0, 60.0]", "+3.4 [+1.0, +5.0]", "40.0 [40.0, 60.0]", "60.0 [40.0, 60.0]"]

    def table(cells: list[str]) -> str:
        rows = ["recipe", "protocol", *headings], ["---"] * 6, ["`functionals`", "`group-3`", *cells]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    text.write_text(table(cells))
    assert check(text, kept) == (4, [])
    text.write_text(table([*cells[:3], "61.0"]))
    assert "is '60.0 [40.0, 60.0]'" in check(text, kept)[1][0]
    text.write_text(table(cells).replace("8 neutral", "4 neutral"))
    with pytest.raises(DataError, match="knowing 4 neutral clips"):
        check(text, kept)


def test_one_corpus_of_several_is_scored_among_its_own_classes() -> None:
    classes = pl.Enum(["happy", "sad", "angry"])
    labels = ["happy", "sad", "happy", "sad", "angry"]
    # The third is answered angry, which the corpus x does not have; sad comes next.
    shares = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0]]
    rows = pl.DataFrame(
        {"id": ["x/1", "x/2", "x/3", "x/4", "y/1"], "speaker": ["x/a", "x/b", "x/c", "x/d", "y/a"]}
    ).with_columns(
        system=pl.lit("m"), corpus=pl.lit("x+y"), gender=pl.lit("female"), label=pl.Series(labels, dtype=classes),
        probabilities=pl.Series(shares),
    )  # fmt: skip
    cell = _of_corpus("accuracy on x")
    assert cell is not None
    assert cell({"rows": predictions(rows, classes.categories.to_list())}).startswith("75.0 ")
    assert _of_corpus("accuracy of x") is None


def test_a_figure_in_a_sentence_is_checked(kept: Path, tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    accuracy = COLUMNS["mean accuracy"](recomputed(kept / "functionals" / "group-3"))
    text.write_text(f"It reaches **{accuracy}** <!-- functionals/group-3 mean accuracy --> percent.")
    assert check(text, kept) == (1, [])
    text.write_text("It reaches 99.9 <!-- functionals/group-3 mean accuracy --> percent.")
    assert len(check(text, kept)[1]) == 1


def test_predictions_that_no_longer_give_the_stored_score_are_found(kept: Path, tmp_path: Path) -> None:
    path = kept / "functionals" / "group-3" / "predictions.parquet"
    table = read_predictions(path)
    write_predictions(table.with_columns(pl.col("probabilities").list.reverse()), path)
    recomputed.cache_clear()
    text = tmp_path / "README.md"
    text.write_text("No table.")
    _, problems = check(text, kept)
    assert any("accuracy.pooled is stored as" in problem for problem in problems)


def test_premiums_and_comparisons_are_recomputed(
    kept: Path, toy: pl.DataFrame, toy_run: Run, tmp_path: Path
) -> None:
    leaky = ut.run("functionals", toy, ut.protocol("random-3", toy), out=tmp_path / "leaky", jobs=2)
    made = store(leaky, tmp_path / "elsewhere")
    (kept / "functionals-random").mkdir()
    made.rename(kept / "functionals-random" / "random-3")
    found = ut.premium(leaky, toy_run)
    due = f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"  # type: ignore[operator]
    text = tmp_path / "README.md"
    head = "| recipe | leaky | independent | premium |\n|---|---|---|---|\n"
    text.write_text(f"{head}| `functionals` | `random-3` | `group-3` | {due} |\n")
    assert check(text, kept) == (1, [])
    text.write_text(f"{head}| `functionals` | `random-3` | `group-3` | +0.0 [-1.0, +1.0] |\n")
    assert len(check(text, kept)[1]) == 1


def test_what_cannot_be_checked_is_said(kept: Path, tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    text.write_text("| recipe | protocol | acuracy |\n|---|---|---|\n| functionals | group-3 | 1 |\n")
    with pytest.raises(DataError, match="no figure is called 'acuracy'"):
        check(text, kept)
    text.write_text("| recipe | protocol | UAR |\n|---|---|---|\n| nothing | group-3 | 1 |\n")
    with pytest.raises(DataError, match="no stored result"):
        check(text, kept)
    with pytest.raises(UsageError, match="no such file"):
        check(tmp_path / "absent.md", kept)


def test_only_complete_runs_are_stored_and_only_results_of_other_corpora(
    toy_run: Run, tmp_path: Path
) -> None:
    target = store(toy_run, tmp_path)
    assert sorted(p.name for p in target.iterdir()) == ["config.yaml", "provenance.json", "results.json"]
    partial = Run(tmp_path / "partial")
    partial.folder.mkdir()
    (partial.folder / "results.json").write_text(
        json.dumps({**toy_run.scores, "incomplete": ["fold 1: not asked for"]})
    )
    with pytest.raises(UsageError, match="only complete runs"):
        store(partial, tmp_path)


def test_scores_of_people_and_speakers_have_headings() -> None:
    one = {"pooled": 0.7, "low": 0.6, "high": 0.8}
    row = {"above": 50, "k": 1, "group": "all", "share": 0.4, "low": 0.2, "high": 0.6}
    found = {
        "graders": {"accuracy": one, "uar": one, "valence.ccc": one},
        "speakers_above": [{**row, "k": 2, "share": 0.9}, {**row, "group": "female"}, row],
        "n_without_agreement": 51,
    }
    due = {
        "a person's accuracy": "70.0 [60.0, 80.0]",
        "a person's UAR": "70.0 [60.0, 80.0]",
        "a person's CCC of valence": "0.700 [0.600, 0.800]",
        "speakers above 50 %": "40.0 [20.0, 60.0]",
        "without agreement": "51",
    }
    assert {heading: _column(heading)(found) for heading in due} == due
    with pytest.raises(DataError, match="speakers above 75 %"):
        _column("speakers above 75 %")(found)


def test_comparisons_are_kept_where_predictions_may_not_be(toy_run: Run, tmp_path: Path) -> None:
    rows = toy_run.predictions
    turned = rows.with_columns(pl.col("probabilities").list.reverse())
    other = SimpleNamespace(predictions=turned, scores={**toy_run.scores, "recipe": "turned"})
    kept = tmp_path / "results"
    write_json(kept / "turned" / "group-3" / "results.json", scores(turned.filter(pl.col("part") == "test")))
    target = store(toy_run, kept, [other])  # type: ignore[list-item]
    found = compare(rows, turned)
    due = f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"  # type: ignore[operator]
    text = tmp_path / "text.md"
    head = "| recipe | against | protocol | {} | p |\n|---|---|---|---|---|\n"
    head += "| functionals | {} | group-3 | {} | {} |"
    text.write_text(head.format("difference", "turned", due, f"{found.p:.4f}"))
    assert check(text, kept) == (2, [])
    text.write_text(head.format("difference", "turned", due, "0.1111"))
    assert len(check(text, kept)[1]) == 1
    for heading, against, said in (
        ("KL", "turned", "nothing compared is called 'KL'"),
        ("p", "other", "neither"),
    ):
        text.write_text(head.format(heading, against, due, "0"))
        with pytest.raises(DataError, match=said):
            check(text, kept)
    path = target / "against" / "turned.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "difference": plain["difference"] + 0.01}))
    text.write_text("No table.")
    assert "the results differ by" in check(text, kept)[1][0]


def test_a_kept_comparison_is_the_difference_of_the_kept_results(kept: Path, toy_run: Run) -> None:
    with pytest.raises(UsageError, match="comparisons are computed from them"):
        store(toy_run, kept, [toy_run])
    results = Path(__file__).parents[2] / "results"
    if not results.is_dir():
        pytest.skip("the stored results are in the repository alone")
    assert len([*results.rglob("against/*.json")]) == 9 and not drift(results)
