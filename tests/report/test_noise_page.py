from __future__ import annotations

from typing import Any

from reading import figure, read

from unheard.report.noise import noise_html


def score(value: float, wide: float | None = 0.05) -> dict[str, float | None]:
    ends = (None, None) if wide is None else (value - wide, value + wide)
    return {"mean": value, "sd": 0.01, "pooled": value, "low": ends[0], "high": ends[1]}


def heard(name: str, value: float, wide: float | None, **more: Any) -> dict[str, Any]:
    women = {"n_speakers": 12, "n_clips": 720, "accuracy": score(value + 0.1), "uar": score(value + 0.1)}
    scores = {"accuracy": score(value, wide), "uar": score(value - 0.02, wide)}
    return {"condition": name, **scores, "gender": {"female": women}, "n_unanswered": 0, **more}


def known(wide: float | None = 0.05, **changes: Any) -> dict[str, Any]:
    """What a run of 24 speakers might store."""
    conditions = [heard("clean", 0.7, wide)]
    for kind, snr, value in (
        ("white", 20.0, 0.5),
        ("white", 5.0, 0.2),
        ("babble", 20.0, 0.66),
        ("babble", 5.0, 0.4),
    ):
        lost = {"accuracy": {"value": value - 0.7, "low": None, "high": None}}
        measured = {"realised_snr": {"min": snr, "max": snr + 0.01}, "clipped": {"clips": 7, "samples": 70}}
        row = heard(f"{kind}_{snr:g}dB", value, wide, kind=kind, snr=snr, difference=lost, **measured)
        conditions.append(row)
    babble = {"corpus": "ravdess", "voices": {"min": 3, "max": 4}, "folds": [{"fold": 0, "speakers": ["01"]}]}
    return {
        "recipe": "probe", "refit": "val", "corpus": "ravdess", "protocol": "ravdess-balanced6", "stamps": [],
        "n_speakers": 24, "n_clips": 1440, "chance": {"accuracy": 0.125, "uar": 0.125}, "conditions": conditions,
        "noise": {"seed": 0, "agreement": 0.0, "babble": babble}, **changes,
    }  # fmt: skip


def test_the_page_says_who_was_heard_in_what() -> None:
    text = noise_html(known())
    assert text == noise_html(known())
    root = read(text)
    assert root.all("h1")[0].words == "probe+val"
    assert "1,440 test clips of 24 speakers on ravdess-balanced6" in root.words
    assert "Babble: 3 to 4 other speakers of the same corpus at a time" in root.words
    shown = figure(root, "noise")
    head, clean, *rest = shown.all("table")[0].rows
    assert head[:2] == ["condition", "accuracy %"] and "accuracy of women %" in head
    assert clean[:3] == ["clean", "70.0", "[65.0, 75.0]"]
    assert [row[0] for row in rest] == ["white_20dB", "white_5dB", "babble_20dB", "babble_5dB"]
    assert rest[1][-4:] == ["−50.0", "–", "5.0 to 5.0", "7"]
    drawn = shown.all("svg")[0]
    assert "With babble: 66.0 % at 20 dB, 40.0 % at 5 dB." in drawn.attributes["aria-label"]
    words = [element.words for element in drawn.all("text")]
    assert [word for word in words if word.endswith(" dB") or word == "clean"][:3] == [
        "5 dB",
        "20 dB",
        "clean",
    ]


def test_few_speakers_have_no_intervals_and_missing_answers_are_told() -> None:
    found = known(None, stamps=["FEW SPEAKERS"], n_speakers=3, incomplete=["fold 1: not asked for"])
    found["conditions"][2]["n_unanswered"] = 5
    found["noise"] = {"seed": 0, "agreement": 0.0}
    root = read(noise_html(found))
    assert "too few test speakers" in root.words
    assert "Clips without a prediction under white_5dB count as errors." in root.words
    assert "Incomplete: fold 1: not asked for." in root.words
    assert "Babble:" not in root.words
    assert figure(root, "noise").all("table")[0].rows[1][2] == "–"


def test_conditions_without_a_ratio_stand_beside_the_clean_recordings() -> None:
    found = known()
    lost = {"accuracy": {"value": -0.1, "low": -0.15, "high": -0.05}}
    room = heard(
        "room_0.6s", 0.6, 0.05, kind="room", level=0.6, snr=None, difference=lost,
        realised_snr={"min": None, "max": None}, clipped={"clips": 0, "samples": 0},
    )  # fmt: skip
    found["conditions"].append(room)
    for conditions in (found["conditions"], [found["conditions"][0], room]):
        shown = figure(read(noise_html({**found, "conditions": conditions})), "noise")
        assert shown.all("table")[0].rows[-1][-4:] == ["−10.0", "[−15.0, −5.0]", "–", "0"]
        assert "room 0.6s" in [element.words for element in shown.all("svg")[0].all("text")]
        assert "Under room_0.6s: 60.0 %." in shown.all("svg")[0].attributes["aria-label"]
