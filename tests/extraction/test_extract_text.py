"""Texts go the way of recordings: stored once by their words, left out where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from unheard import encoders
from unheard.extraction.extract import Storage, extract
from unheard.inputs import Clip, Form, Turn
from unheard.testing import toy_encoder

TEXTS = ("what do you want", "no", "nothing", "no", "")


@pytest.fixture
def clips() -> list[Clip]:
    turns = [Turn("a", text) for text in TEXTS]
    return [Clip(f"c{k}", turn=turn, context=tuple(turns[:k])) for k, turn in enumerate(turns)]


def test_tokens_of_a_layer_are_stored_and_found_again(clips: list[Clip], tmp_path: Path) -> None:
    model = toy_encoder(tmp_path / "bert", "bert")
    settings = {"name": "transformers", "model": str(model), "cut": 2}
    encoder = encoders.load(settings)
    storage = Storage(Form.FRAMES, (2,))
    found = extract(clips, settings, storage, folder=tmp_path / "store")
    for clip in clips[:4]:
        assert clip.turn is not None
        # Alone, a turn does not say who speaks.
        expected = encoder.extract([(Turn(None, clip.turn.text),)], [2])[0][0]
        np.testing.assert_allclose(found.features[clip.id], expected, atol=1e-5)
    assert [(bad.id, "no text" in bad.reason) for bad in found.errors] == [("c4", True)]

    (model / "model.safetensors").unlink()
    (model / "config.json").unlink()
    again = extract(clips, encoder.settings, storage, folder=tmp_path / "store")
    np.testing.assert_array_equal(again.features["c1"], found.features["c1"])


def test_context_enters_with_the_turns_before(clips: list[Clip], tmp_path: Path) -> None:
    settings = {"name": "transformers", "model": str(toy_encoder(tmp_path / "bert", "bert"))}
    found = extract(clips[:3], settings, Storage(Form.FRAMES, (3,)), folder=tmp_path / "store", context=1)
    encoder = encoders.load(settings)
    expected = encoder.extract([(Turn("a", TEXTS[0]), Turn("a", TEXTS[1]))], [3])[0][0]
    np.testing.assert_allclose(found.features["c1"], expected, atol=1e-5)
