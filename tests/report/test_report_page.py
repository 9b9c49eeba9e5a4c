from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from reading import Node, figure, read, table
from sklearn.metrics import precision_recall_fscore_support

from unheard.cli.summary import brief_lines, score_lines
from unheard.errors import DataError
from unheard.predictions.table import predicted_classes, predictions, probabilities, truth
from unheard.report.page import html, page
from unheard.report.places import without_places
from unheard.report.published import references
from unheard.report.system import System

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

Make = Callable[..., System]


@pytest.fixture(scope="module")
def text(system: System) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return html([system])


@pytest.fixture(scope="module")
def shown(text: str) -> Node:
    return read(text)


@pytest.fixture(scope="module")
def mixed(make: Make) -> list[System]:
    """A recipe on two protocols, another recipe, and a control: stamps, hashes and settings differ."""
    fair = make("fair", clips=16, right=0.5, seed=1)
    leaky = make("fair-random", clips=16, right=0.8, seed=2, stamps=("LEAKY",), protocol="ravdess-random6")
    other = make("other", clips=16, right=0.7, seed=3, seeds=2)
    control = make("control", clips=16, right=0.2, seed=4, stamps=("RANDOM WEIGHTS",))
    strange = {**other.results, "settings_hash": "other settings"}
    return [leaky, fair, replace(other, results=strange), control]


@pytest.fixture(scope="module")
def mixed_page(mixed: list[System]) -> Node:
    return read(html(mixed))


def check_page(root: Node) -> None:
    """What holds for every page: nothing runs, nothing is loaded, every figure can be read without eyes."""
    assert not root.all("script", "img", "iframe", "object", "embed", "link", "base", "form", "image")
    ids = [n.attributes["id"] for n in root.all() if "id" in n.attributes]
    assert len(ids) == len(set(ids))
    for node in root.all():
        for name, value in node.attributes.items():
            assert not name.startswith("on"), f"{name} on <{node.tag}>"
            assert name not in ("src", "srcset", "action", "background", "poster", "data", "xlink:href")
            if name == "href":
                assert value.startswith("#") and value[1:] in ids, f"{value} leads nowhere"
            for inner in re.findall(r"url\(([^)]*)\)", value):
                assert inner.startswith("#") and inner[1:] in ids
    for style in root.all("style"):
        assert "url(" not in style.words and "@import" not in style.words
    drawings = root.all("svg")
    assert len(drawings) == len(root.all("figure")) > 0
    for one in root.all("figure"):
        (drawing,) = one.all("svg")
        assert drawing.attributes["role"] == "img"
        assert len(drawing.attributes["aria-label"].split()) > 5
        assert len(one.all("figcaption")[0].words) > 3
        head, *body = one.all("table")[0].rows
        assert body and all(len(row) == len(head) for row in body)


def test_an_ordinary_page_holds_together(shown: Node) -> None:
    check_page(shown)
    titles = [one.all("figcaption")[0].words for one in shown.all("figure")]
    assert len(titles) == 11 and len(set(titles)) == 11


def test_a_mixed_page_holds_together(mixed_page: Node) -> None:
    check_page(mixed_page)


def test_no_address_stands_in_the_page(text: str) -> None:
    assert "http:" not in text.replace('http-equiv="', "") and "https:" not in text and "//" not in text


def test_headline_and_scores_are_those_of_the_results(shown: Node, system: System) -> None:
    accuracy = system.results["metrics"]["accuracy"]
    card = shown.all("article")[0].words
    ends = f"[{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"
    assert card.startswith(f"made-up ravdess-balanced6 {100 * accuracy['pooled']:.1f} % accuracy")
    assert f"95 % interval {ends}" in card
    assert "trained on 16 speakers" in card and "AUDIT PASSED" in card
    rows = {row[0]: row[1:] for row in table(shown, "Scores of")}
    assert rows["accuracy %"] == [
        f"{100 * accuracy['pooled']:.1f}",
        ends,
        f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['sd']:.1f}",
    ]
    nll = system.results["metrics"]["nll"]
    assert rows["NLL"][:2] == [f"{nll['pooled']:.3f}", f"[{nll['low']:.3f}, {nll['high']:.3f}]"]


def test_the_terminal_the_page_and_the_card_name_one_accuracy_with_its_own_interval(
    text: str, system: System
) -> None:
    results = {"recipe": system.name, "refit": "none", "n_clips": 96, **system.results}
    accuracy = {"mean": 0.9, "sd": 0.05, "pooled": 0.5, "low": 0.4, "high": 0.6}
    results["metrics"] = {**results["metrics"], "accuracy": accuracy}
    for lines in (score_lines(results), brief_lines(results, "x")):
        (line,) = [line for line in lines if "accuracy" in line]
        assert re.search(r"accuracy +50.0 % \[40.0, 60.0\], over folds 90.0 ± 5.0", line) or (
            "accuracy 50.0 % [40.0, 60.0]" in line and "90.0" not in line
        )
    assert "chance 12.5 %, always the commonest class" in brief_lines(results, "x")[1]
    page = html([replace(system, results=results)])
    assert "50.0 <small>% accuracy</small>" in page and "95 % interval [40.0, 60.0]" in page


def test_a_run_with_other_weights_says_which_and_is_not_set_against_the_published_ones(
    system: System,
) -> None:
    figure = {"system": "Whisper", "protocol": system.protocol, "train_speakers": 16, "accuracy": 70.0,
              "source": "somebody"}  # fmt: skip

    def shown(model: str) -> System:
        config = {"about": "frozen Whisper-large-v3", "published": [figure],
                  "inputs": {"voice": {"encoder": {"model": model}}},
                  "changed": {"inputs.voice.encoder.model": "openai/whisper-large-v3"}}  # fmt: skip
        said = [f"inputs.voice.encoder.model={model} (the recipe has openai/whisper-large-v3)"]
        return replace(system, config=config, results={**system.results, "changed": said})

    assert references(shown("models/Whisper-Large-v3"))[0].verdict != "cannot be compared"
    other = shown("models/tiny")
    assert other.other_weights == ("tiny",)
    assert "ours ran with tiny in the place of its encoder" in references(other)[0].words
    assert "This run changed the recipe" in html([other])


def test_fold_table_is_that_of_the_results(shown: Node, system: System) -> None:
    rows = figure(shown, "s0-folds").all("table")[0].rows[1:]
    expected = [
        [str(f["fold"]), str(f["n_test"]), f"{100 * f['accuracy']:.1f}", f"{100 * f['uar']:.1f}"]
        for f in system.results["folds"]
    ]
    assert [[row[0], row[1], row[3], row[4]] for row in rows] == expected
    assert rows[0][2] == "01, 02, 03, 04"


def test_confusion_and_classes_agree_with_a_count_by_hand(shown: Node, system: System) -> None:
    frame = system.predictions.filter(pl.col("part") == "test")
    true, prediction = truth(frame), predicted_classes(frame)
    counts = Counter(zip(true.tolist(), prediction.tolist(), strict=True))
    rows = figure(shown, "s0-confusion").all("table")[0].rows[1:]
    totals = Counter(true.tolist())
    assert [row[1:] for row in rows] == [
        [f"{counts[(i, j)]} ({100 * counts[(i, j)] / totals[i]:.1f} %)" for j in range(8)] for i in range(8)
    ]
    precision, recall, f1, support = precision_recall_fscore_support(true, prediction)
    classes = figure(shown, "s0-classes").all("table")[0].rows[1:]
    assert [float(row[4]) for row in classes] == sorted((float(row[4]) for row in classes), reverse=True)
    for row in classes:
        i = CLASSES.index(row[0])
        values = [support[i], 100 * recall[i], 100 * precision[i], 100 * f1[i]]
        assert [float(cell) for cell in row[1:]] == [pytest.approx(v, abs=0.0501) for v in values]


def test_reliability_table_gives_the_ece_of_the_results(shown: Node, system: System) -> None:
    rows = figure(shown, "s0-reliability").all("table")[0].rows[1:]
    clips = np.array([float(row[2].replace(",", "")) for row in rows])
    gaps = np.array([abs(float(row[3]) - float(row[4])) / 100 for row in rows])
    ece = system.results["metrics"]["ece"]["pooled"]
    assert (clips * gaps).sum() / clips.sum() == pytest.approx(ece, abs=0.001)
    assert clips.sum() == 1440
    assert f"ECE {ece:.3f}" in figure(shown, "s0-reliability").all("svg")[0].words


def test_speaker_table_agrees_with_a_count_by_hand(shown: Node, system: System) -> None:
    frame = system.predictions
    right = (truth(frame) == predicted_classes(frame)).tolist()
    found: dict[str, list[bool]] = {}
    for speaker, hit in zip(frame["speaker"], right, strict=True):
        found.setdefault(speaker, []).append(hit)
    rows = figure(shown, "s0-speakers").all("table")[0].rows[1:]
    assert {row[0]: row[4] for row in rows} == {s: f"{100 * np.mean(hits):.1f}" for s, hits in found.items()}
    assert {row[1] for row in rows[:12]} == {"female"} and {row[1] for row in rows[12:]} == {"male"}


def test_worst_mistakes_are_the_most_confident_wrong_answers_with_their_paths(
    shown: Node, system: System
) -> None:
    frame = system.predictions
    true, prediction, p = truth(frame), predicted_classes(frame), probabilities(frame)
    wrong = [
        (p[i, prediction[i]], frame["id"][i], f"Actor_{frame['id'][i][-2:]}/{frame['id'][i]}.wav")
        for i in range(len(frame))
        if true[i] != prediction[i]
    ]
    rows = table(shown, "Worst mistakes")[1:]
    expected = sorted(wrong, reverse=True)[:20]
    assert [(row[0], row[1], row[6]) for row in rows] == [
        (i, path, f"{100 * v:.1f}") for v, i, path in expected
    ]


def test_worst_class_worst_speaker_and_commonest_confusion_are_named(shown: Node, system: System) -> None:
    (found,) = [li.all("p")[0].words for li in shown.all("li") if li.all("span")[0].words == "weakest"]
    frame = system.predictions.with_columns(
        right=pl.Series(truth(system.predictions) == predicted_classes(system.predictions))
    )
    recalls = frame.group_by("label").agg(pl.col("right").mean()).sort("right")
    assert (
        f"Recognised least: {recalls['label'][0]} ({100 * recalls['right'][0]:.1f} % of 192 clips)" in found
    )
    speakers = frame.group_by("speaker").agg(pl.col("right").mean()).sort("right", "speaker")
    assert f"speaker {speakers['speaker'][0]} ({100 * speakers['right'][0]:.1f} % of 60 clips)" in found
    assert re.search(r"The commonest confusion: \w+ is taken for \w+ in \d+ % of its clips", found)


def test_paths_of_the_machine_are_shown_on_demand_alone(make: Make) -> None:
    table = make(clips=16).table
    assert table is not None
    secret = "/home/somebody/private things"
    system = make(
        clips=16,
        table=table.with_columns(path=pl.concat_str([pl.lit(f"{secret}/"), pl.col("path")])),
        folder=f"{secret}/runs/a",
        provenance={
            "settings_hash": "a1" * 32,
            "weights": f"{secret}/models/tiny",
            "command": "--weights /home/somebody/x/tiny -o C:\\Users\\me\\r",
        },
    )
    shared, whole = html([system]), html([system], paths=True)
    assert "somebody" not in shared and "private" not in shared and "Users" not in shared
    assert "…/runs/a" in shared and "…/models/tiny" in shared and re.search(r"…/Actor_\d\d/03-", shared)
    assert f"{secret}/runs/a" in whole
    # A digest is told by its beginning, so that no line breaks inside it.
    (code,) = [c for c in read(shared).all("code") if c.attributes.get("title") == "a1" * 32]
    assert code.words == "a1" * 8 + "…"


@pytest.mark.parametrize(
    "text", ["women / men", "and/or", "a 1/2 of 3/4", "51.2 ± 3.0", "Actor_01/a.wav", "/", "~"]
)
def test_what_is_no_path_stays(text: str) -> None:
    assert without_places(text) == text


def test_sounds_stand_beside_the_worst_mistakes_when_asked(make: Make, text: str, tmp_path: Path) -> None:
    table = make(clips=16).table
    assert table is not None
    soundfile.write(tmp_path / "long.wav", 0.1 * np.sin(np.arange(16_000 * 30) / 20), 16_000)
    paths = [str(tmp_path / ("long.wav" if i % 2 else "none.wav")) for i in range(len(table))]
    system = make(clips=16, table=table.with_columns(path=pl.Series(paths)))
    assert "<audio" not in text and "media-src" not in text
    heard = html([system], audio=True)
    sounds = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', heard)
    assert 0 < len(sounds) <= 10 and "media-src data:" in heard
    for sound in sounds:
        inside = base64.b64decode(sound)
        assert len(inside) < 120_000
        wave, rate = soundfile.read(io.BytesIO(inside))
        assert abs(len(wave) / rate - 10) < 0.3


def test_the_page_has_a_list_of_contents_and_a_look_for_the_dark(shown: Node, text: str) -> None:
    (contents,) = [n for n in shown.all("nav") if n.attributes["aria-label"] == "Contents"]
    names = [a.words for a in contents.all("a")]
    assert names[:2] == ["Findings", "Scores"] and {"Worst mistakes", "Audit"} <= set(names)
    assert "@media screen and (prefers-color-scheme: dark)" in text
    drawn = " ".join(n.attributes.get("style", "") for n in shown.all("svg")[0].all())
    assert "var(--ink, #1f2328)" in drawn
    assert not re.search(r"(?<!, )#1f2328", drawn)


def test_the_same_input_gives_the_same_bytes_in_another_process(text: str, tmp_path: Path) -> None:
    here = Path(__file__).parent
    code = f"import sys; sys.path.insert(0, {str(here)!r})\nfrom conftest import made_up\n"
    code += f"from unheard.report.page import page\npage([made_up()], {str(tmp_path / 'p.html')!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "77"})
    assert (tmp_path / "p.html").read_text(encoding="utf-8") == text


def test_page_is_written_whole_and_its_input_stays_as_it_was(make: Make, tmp_path: Path) -> None:
    system = make(clips=8)
    before, results = system.predictions.clone(), repr(system.results)
    page([system], tmp_path / "deep" / "report.html")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]
    assert system.predictions.equals(before) and repr(system.results) == results


EVIL = "<script>alert('x')</script>"
QUOTED = "\"><img src=x onerror=alert(1)> & 'y' $\\frac{1}{0}$ {{ 7*7 }}"


def evil(make: Make) -> System:
    """A system in which every string that a user may write tries to break out."""
    system = make(QUOTED, classes=(EVIL, "b" * 60, "驚き", "]]>", "_x$", "--><b>"), clips=12)
    frame = system.predictions.with_columns(
        (pl.lit(EVIL) + pl.col("id")).alias("id"), (pl.lit(QUOTED) + pl.col("speaker")).alias("speaker")
    )
    assert system.table is not None and system.certificate is not None
    utterances = system.table.with_columns(
        (pl.lit(EVIL) + pl.col("id")).alias("id"), pl.lit("\u202e\x00\ud7ff/" + QUOTED).alias("path")
    )
    nasty: dict[str, Any] = {
        "code": EVIL,
        "severity": QUOTED,
        "message": EVIL,
        "count": 1,
        "examples": [EVIL],
    }
    results = {**system.results, "protocol": QUOTED, "stamps": [EVIL], "incomplete": [EVIL]}
    results["published"] = [
        {"system": EVIL, "protocol": QUOTED, "train_speakers": 16, "accuracy": 50.0, "source": EVIL}
    ]
    results["folds"] = [{**fold, "chosen": [{EVIL: QUOTED}]} for fold in system.results["folds"]]
    fits = [
        {**fit, "history": [{"epoch": e, f"loss {EVIL}": 1.0, f"uar {QUOTED}": 0.5} for e in range(3)]}
        for fit in system.fits
    ]
    return System(
        QUOTED,
        results,
        predictions(frame, system.rows.classes),
        {**system.certificate, "findings": [nasty]},
        {"about": EVIL, EVIL: {QUOTED: [EVIL]}},
        utterances,
        EVIL,
        fits,
        {EVIL: QUOTED},
    )


def test_no_string_of_a_table_or_recipe_becomes_html(make: Make) -> None:
    first = evil(make)
    second = replace(first, name=EVIL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = html([first, second])
    root = read(text)
    check_page(root)
    assert "\x00" not in text and "\u202e" not in text and "alert" in text
    assert not root.all("b", "em", "{{")
    # Nothing is lost either: what was written can be read.
    assert root.all("title")[0].words.startswith('"><img')
    assert EVIL in [row[0] for row in figure(root, "s0-classes").all("table")[0].rows]
    assert f"{EVIL}" in table(root, "Audit of")[1][3]
    assert table(root, "Worst mistakes")[1][1] == "\ufffd\ufffd\ud7ff/" + QUOTED
    assert "{{ 7*7 }}" in root.words and "49" not in root.all("h1")[0].words


def test_stamped_scores_have_tables_cards_and_axes_of_their_own(
    mixed: list[System], mixed_page: Node
) -> None:
    stamped = {s.name for s in mixed if s.stamps}
    by_label = {n.attributes.get("aria-label"): n.all("table")[0].rows for n in mixed_page.all("div")
                if n.attributes.get("aria-label", "").endswith("a stamp")}  # fmt: skip
    names = {"commonest class", "chance", "system"}
    with_stamp = {row[0] for row in by_label["Scores with a stamp"]} - names
    without = {row[0] for row in by_label["Scores without a stamp"]} - names
    assert with_stamp == stamped and without == {"fair", "other"}
    for row in by_label["Scores with a stamp"]:
        if row[0] in stamped:
            assert row[1] in ("LEAKY", "RANDOM WEIGHTS")
    for card in mixed_page.all("article"):
        name = card.all("a")[0].words
        assert ("stamped" in card.attributes["class"]) == (name in stamped)
    axes = {f.attributes["id"]: f for f in mixed_page.all("figure") if f.attributes["id"].startswith("axis")}
    assert set(axes) == {"axis-accuracy", "axis-uar"}
    for one in axes.values():
        for row in one.all("table")[0].rows[1:]:
            plain, score, stamps = row[3], row[5], row[7]
            assert (plain == "–") == (stamps != "–") == (score != "–")


def test_only_one_protocol_is_compared_and_the_leakage_gap_is_of_one_recipe(mixed_page: Node) -> None:
    pairs = [set(row[:2]) for row in figure(mixed_page, "pairs0").all("table")[0].rows[1:]]
    assert pairs == [{"fair", "other"}, {"fair", "control"}, {"other", "control"}]
    gaps = figure(mixed_page, "leakage").all("table")[0].rows[1:]
    # The control shares the settings in this made-up set; the system with other settings must be absent.
    assert [row[:2] for row in gaps] == [["fair-random", "fair"], ["fair-random", "control"]]
    assert float(gaps[0][2]) > 5
    kinds = Counter(li.all("span")[0].words for li in mixed_page.all("li"))
    assert kinds["leakage"] == 2 and kinds["comparison"] == 3 and kinds["note"] == 1 and kinds["stamp"] == 2


def bare(system: System) -> System:
    """What is left of a system when everything optional is missing."""
    kept = ("recipe", "protocol", "protocol_hash", "labels", "stamps", "metrics")
    results = {key: system.results[key] for key in kept}
    results["metrics"] = {k: results["metrics"][k] for k in ("accuracy", "uar")}
    return System(system.name, results, system.predictions, None, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"folds": 24, "clips": 16, "protocol": "ravdess-loso24"},
        {"known": False, "clips": 8, "stamps": ("UNVERIFIED",)},
        {"speakers": 3, "folds": 3, "stamps": ("FEW SPEAKERS", "SYNTHETIC"), "corpus": "synthetic"},
        {"clips": 8, "unanswered": 17, "certificate": None, "table": None},
        {"clips": 60, "classes": tuple(f"class {i}" for i in range(30)), "speakers": 8},
        {"clips": 8, "classes": ("yes", "no"), "speakers": 4, "folds": 2, "seeds": 3},
    ],
    ids=["loso", "unknown speakers", "few speakers", "unanswered", "many classes", "two classes"],
)
def test_unusual_systems(make: Make, changes: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root = read(html([make(**changes)]))
    check_page(root)
    words = root.words
    names = {f.attributes["id"] for f in root.all("figure")}
    assert ("s0-speakers" in names) == changes.get("known", True)
    for stamp in changes.get("stamps", ()):
        assert stamp in root.all("article")[0].words
    if changes.get("unanswered"):
        assert "17 clips got no prediction" in words and "NOT AUDITED" in words
        assert figure(root, "s0-confusion").all("table")[0].rows[0][-1] == "no prediction"
    if changes.get("speakers") == 3:
        assert "no interval" in root.all("article")[0].words


def test_a_bare_system_still_gives_a_page(make: Make) -> None:
    system = bare(make(clips=8))
    root = read(html([system]))
    check_page(root)
    assert "NOT AUDITED" in root.words and "an unknown number of speakers" in root.words
    assert {f.attributes["id"] for f in root.all("figure")} >= {"s0-classes", "s0-reliability"}


def test_what_cannot_be_shown_is_refused(make: Make) -> None:
    system = make(clips=8)
    with pytest.raises(DataError, match="at least one system"):
        html([])
    with pytest.raises(DataError, match="two systems are called 'made-up'"):
        html([system, system])
    with pytest.raises(DataError, match=r"hold no metrics\.accuracy"):
        html([replace(system, results={**system.results, "metrics": {}})])
    unlabelled = system.predictions.with_columns(
        pl.lit("val", system.predictions.schema["part"]).alias("part")
    )
    with pytest.raises(DataError, match="no test row"):
        html([replace(system, predictions=unlabelled)])
