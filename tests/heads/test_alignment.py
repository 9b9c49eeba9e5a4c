"""Attention over time finds the word that carries the emotion, which a mean over time drowns in the others.

A constructed corpus: six spoken words a clip, each with a sound of its own and a colour, which is a class. The
class of a clip is the colour of its keyword, one of three; the colours of the other words are drawn at random.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from one_input import examples
from unheard import heads
from unheard.metrics.categorical import confusion, uar
from unheard.training.examples import Examples

torch = pytest.importorskip("torch")

CLASSES, VOCABULARY, KEYWORDS, WORDS = 4, 12, 3, 6
HOP = 0.02  # seconds from frame to frame


class Corpus(NamedTuple):
    rows: Examples
    #: Which word of each clip is the keyword, and the middle of each word's time in seconds.
    keywords: np.ndarray
    middles: list[np.ndarray]


def corpus(seed: int, n: int) -> Corpus:
    """Clips of words of 140 to 400 ms with pauses between them; voice (frames, dims), words (6, dims)."""
    rng = np.random.default_rng(seed)
    sounds = np.linalg.qr(np.random.default_rng(9).standard_normal((VOCABULARY, VOCABULARY)))[0]
    meanings = np.random.default_rng(10).standard_normal((VOCABULARY, VOCABULARY))
    inputs: dict[str, list[np.ndarray]] = {"words": [], "voice": []}
    labels, keywords, middles = np.arange(n) % CLASSES, rng.integers(WORDS, size=n), []
    for label, which in zip(labels, keywords, strict=True):
        said = KEYWORDS + rng.permutation(VOCABULARY - KEYWORDS)[:WORDS]
        said[which] = rng.integers(KEYWORDS)
        colours = rng.integers(CLASSES, size=WORDS)
        colours[which] = label
        frames, centres, at = [], [], 0
        for word, colour in zip(said, colours, strict=True):
            pause, length = int(rng.integers(1, 8)), int(rng.integers(7, 21))
            silence = np.zeros((pause, VOCABULARY + CLASSES))
            sound = np.concatenate([3 * sounds[word], 2 * np.eye(CLASSES)[colour]])
            frames += [silence, np.repeat(sound[None], length, axis=0)]
            centres.append((at + pause + length / 2) * HOP)
            at += pause + length
        noisy = np.concatenate(frames) + rng.normal(0, 0.5, (at, VOCABULARY + CLASSES))
        text = meanings[said] + rng.normal(0, 0.1, (WORDS, VOCABULARY))
        inputs["voice"].append(noisy.astype(np.float32))
        inputs["words"].append(text.astype(np.float32))
        middles.append(np.array(centres))
    speakers = np.array([f"{seed}-{i % 8}" for i in range(n)])
    rows = replace(examples(inputs["voice"], labels, speakers, CLASSES), inputs=inputs)
    return Corpus(rows, keywords, middles)


def score(head: Any, rows: Examples) -> float:
    answered = head.outputs(rows.inputs).argmax(axis=1)
    return float(uar(confusion(rows.labels, answered, CLASSES)))


def time_of(attention: np.ndarray) -> float:
    """The mean time in seconds of what a word attends to, of shares for each frame."""
    return float(attention @ ((np.arange(len(attention)) + 0.5) * HOP))


@pytest.mark.slow
def test_the_word_that_carries_the_emotion_is_found_in_time() -> None:
    train, val, test = corpus(0, 500), corpus(1, 160), corpus(2, 200)
    settings = {"inputs": ["words", "voice"], "hidden": 32, "recurrent": 16, "dropout": 0.1}
    aligned = heads.build({"name": "alignment", **settings, "epochs": 8, "learning_rate": 5e-3})
    pooled = heads.build({"name": "mean", "input": "voice", "epochs": 25, "learning_rate": 1e-2})
    aligned, pooled = aligned.fit(train.rows, val.rows), pooled.fit(train.rows, val.rows)
    assert score(aligned, test.rows) > score(pooled, test.rows) + 0.10
    assert score(pooled, test.rows) > 0.35, "the mean holds a little of it, so that the comparison is fair"
    shares = aligned.shares(test.rows.inputs)
    for attention in shares:
        assert_allclose(attention.sum(axis=1), 1, rtol=1e-4)
    found = zip(shares, test.keywords, test.middles, strict=True)
    errors = [abs(time_of(attention[which]) - middles[which]) for attention, which, middles in found]
    assert np.mean(errors) < 0.060
    by_chance = [
        abs(middles - middles[which]).mean()
        for which, middles in zip(test.keywords, test.middles, strict=True)
    ]
    assert np.mean(by_chance) > 0.5, "the words lie far apart, so that to find one is something"
