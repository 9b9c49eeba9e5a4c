"""The card says what must be said, and no text of a table can break it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bundle_parts import SCORES
from unheard.bundle.schema import Description, Input
from unheard.exporting.card import card
from unheard.inputs import Form
from unheard.targets import Target

DESCRIPTION = Description(
    name="toy",
    inputs={"voice": Input({"name": "functionals"}, None, Form.ROW, 88, 1, "2")},
    target=Target(("angry", "happy", "sad")),
    temperature=1.25,
    thresholds={},
    training={"corpus": "toy corpus", "speakers": [f"s{i}" for i in range(12)]},
    score=SCORES,
    recipe={},
    licences={"code": "Apache-2.0", "weights": ["CC BY-NC-SA 4.0", "CC0"]},
    versions={"unheard": "0.1.0"},
)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "must",
    [
        "angry, happy, sad",
        "Corpus: toy corpus",
        "trained on: 12 (s0, s1, s2, s3, s4 and 7 more",
        "Protocol loso (hash a1b2c3d4e5f6), refit: none",
        "trained on 3 speakers",
        "**FEW SPEAKERS**, **SYNTHETIC**",
        "| accuracy | 52.0 % | 40.0 % … 60.0 % | 50.0 % | 10.0 % |",
        "| female | 20 | 61.0 % |",
        "Scores by emotion: unknown",
        "perceived expression",
        "not inner state",
        "Article 5(1)(f) of Regulation (EU) 2024/1689",
        "since 2 February 2025",
        "workplace and education institutions, except for medical or safety reasons",
        "weights: CC BY-NC-SA 4.0; CC0",
        "Temperature: 1.25",
    ],
)
def test_says(must: str) -> None:
    assert must in flat(card(DESCRIPTION))


def test_scores_by_emotion_are_shown_where_known() -> None:
    by_class = {"angry": {"recall": 0.75, "f1": 0.5, "n": 12}, "sad": {"recall": 0.25, "f1": None, "n": 3}}
    text = flat(card(replace(DESCRIPTION, score={**SCORES, "per_class": by_class})))
    assert "### By emotion | emotion | recall | F1 | clips |" in text
    assert "| angry | 75.0 % | 50.0 % | 12 |" in text
    assert "| sad | 25.0 % | - | 3 |" in text
    assert "Scores by emotion: unknown" not in text


def test_other_corpora_a_threshold_and_small_weights_are_told() -> None:
    text = flat(
        card(
            replace(
                DESCRIPTION,
                training={**DESCRIPTION.training, "others": {"emodb": ["03", "08"]}},
                thresholds={"confidence": 0.3125, "coverage": 0.9},
                weights="float16",
            )
        )
    )
    assert "Of emodb too, 2 speakers (03, 08)" in text
    assert (
        "withheld unless its probability reaches 31.2 %: 90 % of the clips that it was calibrated on did"
        in text
    )
    assert "stored as float16" in text
    plain = flat(card(DESCRIPTION))
    assert "Predictions are given however unsure" in plain
    assert "too, " not in plain


def test_tables_of_whatever_groups_the_score_has() -> None:
    row = {"accuracy": 0.625, "uar": 0.5, "n_clips": 60}
    groups = {
        "gender": {"female": row},
        "speaker": {"17": row},
        "intensity": {"strong": row},
        "noise": {"babble 20 dB": row},
        "corpus": {"emodb, left out": row},
    }
    text = flat(card(replace(DESCRIPTION, score={**SCORES, "groups": groups})))
    for name, group in groups.items():
        (first,) = group
        assert f"### By {name} | {name} | accuracy | UAR | clips |" in text
        assert f"| {first} | 62.5 % | 50.0 % | 60 |" in text


def test_the_recipe_s_teacher_and_command_are_told_and_whose_reading_the_licences_are() -> None:
    recipe = {"about": "small and fast", "teacher": "FSMN-VAD 16k common", "command": "make model"}
    text = flat(card(replace(DESCRIPTION, recipe=recipe)))
    assert "Recipe: small and fast" in text
    assert "Teacher of the encoder: FSMN-VAD 16k common" in text
    assert "Made by the command: make model" in text
    assert "is our reading, and no legal advice" in text
    assert "Teacher" not in card(DESCRIPTION)


def test_what_is_answered_is_told() -> None:
    both = replace(DESCRIPTION, target=Target(("calm", "tense"), "votes", ("activation", "valence")))
    text = flat(card(both))
    assert "Labels, in the order of probabilities: calm, tense." in text
    assert "Also values on [0, 1] of: activation, valence." in text
    assert "shares of listeners" in text
    alone = flat(card(replace(DESCRIPTION, target=Target((), dimensions=("valence",)))))
    assert "Speech emotion recognition: values on [0, 1] of: valence." in alone
    assert "Temperature" not in alone and "withheld" not in alone


def test_each_input_is_told() -> None:
    more = {**DESCRIPTION.inputs, "rhythm": Input({"name": "mfbf0"}, None, Form.FRAMES, 44, 1, "1")}
    text = flat(card(replace(DESCRIPTION, inputs=more)))
    assert "Input voice, features: functionals, 88 dims, one row a recording, from 16000 Hz mono" in text
    assert "Input rhythm, features: mfbf0, 44 dims, frames" in text


def test_an_unscored_model_says_so() -> None:
    text = flat(card(replace(DESCRIPTION, score=None)))
    assert "Not scored: nothing is known about how often this model is right." in text


def test_nothing_given_can_break_the_tables_or_become_markup() -> None:
    evil = "x | y\n\n# Heading\n<script>alert(1)</script> [a](http://b) `code`"
    score = {**SCORES, "groups": {"gender": {evil: {"n": 1, "uar": 0.5}}}, "protocol": evil, "stamps": [evil]}
    text = card(
        replace(
            DESCRIPTION,
            name=evil,
            score=score,
            target=Target((evil, "b")),
            licences={evil: evil},
            versions={evil: evil},
        )
    )
    assert "<script>" not in text
    assert "\n# Heading" not in text
    assert "`" not in text
    assert not re.search(r"(?<!\\)\[a", text)
    rows = [line for line in text.splitlines() if "0.5" in line or "50.0 %" in line]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (4, 5, 6) for row in rows)


def test_probabilities_that_were_calibrated_on_corpora_left_out_are_said_to_be() -> None:
    left_out = replace(DESCRIPTION, score={**SCORES, "protocol": "leave-corpus"})
    assert "calibrated on corpora from which the models of the folds had learned nothing" in flat(
        card(left_out)
    )
    assert "calibrated on validation speakers of its corpus" in flat(card(DESCRIPTION))
