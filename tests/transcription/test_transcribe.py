"""Recognised words: noted as they come, joined to the table, counted against the owner's text, read by a run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from unheard.corpora.table import clips, read_table, table_digest, utterances, write_table
from unheard.errors import DataError, UsageError
from unheard.recipes import recipe as recipes
from unheard.transcription.recognizers import Transcript, Word, load
from unheard.transcription.transcribe import errors, notebook_of, transcribe

TEXTS = {"a": "Kids are talking by the door", "b": "Dogs are sitting by the door.", "c": None}
HEARD = {"a": "kids ARE talking, by the door!", "b": "Dogs are hitting by a door", "c": ""}


class Parrot:
    """Says what belongs to a recording by its length; counts how often it was asked, and stops when told to."""

    name, key = "parrot", "k1"

    def __init__(self, last: int = 100) -> None:
        self.asked, self.last = 0, last

    def transcribe(self, wave: np.ndarray) -> Transcript:
        if self.asked == self.last:
            raise KeyboardInterrupt
        self.asked += 1
        text = HEARD["abc"[round(len(wave) / 16_000 * 10) - 1]]
        return Transcript(text, "en", tuple(Word(word, 0.1, 0.2, 0.9) for word in text.split()))


@pytest.fixture
def table(tmp_path: Path) -> pl.DataFrame:
    rows = []
    for number, (name, text) in enumerate(TEXTS.items(), 1):
        path = tmp_path / f"{name}.wav"
        noise = np.random.default_rng(number).normal(0, 0.1, number * 1600)
        soundfile.write(path, noise, 16_000)
        rows.append({"id": name, "path": str(path), "text": text, "label": "x"})
    rows.append({"id": "d", "path": str(tmp_path / "gone.wav"), "label": "x"})
    return utterances(rows, corpus="toy", labels=["x"])


def test_a_table_keeps_both_texts_words_and_who_recognised_them(table: pl.DataFrame, tmp_path: Path) -> None:
    made, bad = transcribe(table, Parrot(), tmp_path / "notes.jsonl")
    write_table(made, tmp_path / "made.parquet")
    found = read_table(tmp_path / "made.parquet")
    assert found["text"].to_list() == [*TEXTS.values(), None]
    assert found["recognized"].to_list() == [*HEARD.values(), None]
    assert found["recognizer"].to_list() == ["parrot"] * 3 + [None]
    assert found["language"].to_list() == ["en"] * 3 + [None]
    assert found["words"][1][2] == {"word": "hitting", "start": 0.1, "end": 0.2, "probability": 0.9}
    assert list(bad) == ["d"]
    assert [clip.turn and clip.turn.text for clip in clips(found)] == found["text"].to_list()
    heard = [clip.turn and clip.turn.text for clip in clips(found, transcript="recognized")]
    assert heard == found["recognized"].to_list()


def test_a_table_without_recognised_words_has_the_digest_that_it_had(
    table: pl.DataFrame, tmp_path: Path
) -> None:
    made, _ = transcribe(table, Parrot(), tmp_path / "notes.jsonl")
    dropped = made.drop("recognized", "words", "recognizer").with_columns(language=pl.lit(None, pl.String))
    assert table_digest(dropped) == table_digest(table)
    assert table_digest(made) != table_digest(table)


def test_what_was_recognised_before_a_kill_is_not_recognised_again(
    table: pl.DataFrame, tmp_path: Path
) -> None:
    notes = notebook_of(tmp_path / "out.parquet")
    with pytest.raises(KeyboardInterrupt):
        transcribe(table, Parrot(last=2), notes)
    with notes.open("ab") as file:
        file.write(b'{"key": "cut o')  # as a kill leaves it
    second = Parrot()
    made, _ = transcribe(table, second, notes)
    assert second.asked == 1
    assert made["recognized"].to_list() == [*HEARD.values(), None]
    other = Parrot()
    other.key = "k2"
    transcribe(table, other, notes)
    assert other.asked == 3
    notes.write_text('{"key": 1}\n' + notes.read_text())
    with pytest.raises(DataError, match="line 1 is no transcript"):
        transcribe(table, Parrot(), notes)


def test_errors_are_counted_over_all_words_of_the_owner(table: pl.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    found = errors(transcribe(table, Parrot(), tmp_path / "notes.jsonl")[0])
    assert found is not None
    # Twelve words of the owner, of which two are heard as others; case and punctuation count for nothing.
    assert found.words == pytest.approx(2 / 12)
    # "sitting" -> "hitting" is a letter, "the" -> "a" three of 28 + 28 characters.
    assert found.characters == pytest.approx(4 / 56)
    assert (found.clips, found.exact) == (2, 1)
    assert errors(table.with_columns(recognized=pl.lit(None, pl.String))) is None


def test_a_recipe_says_which_words_it_reads() -> None:
    recognized = recipes.load("meld-text", {"inputs.words.transcript": "recognized"})
    assert recognized.inputs["words"].transcript == "recognized"
    assert recognized.settings_hash != recipes.load("meld-text").settings_hash
    with pytest.raises(UsageError, match="transcript is for words"):
        recipes.load("functionals", {"inputs.voice.transcript": "recognized"})


def test_a_backend_or_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="faster-whisper, transformers"):
        load("base", "kaldi")
    pytest.importorskip("faster_whisper")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be opened as a recogniser"):
        load(str(tmp_path / "empty"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("backend", "model"), [("faster-whisper", "faster-whisper-tiny.en"), ("transformers", "whisper-tiny.en")]
)
def test_a_whole_whisper_hears_the_sentence(backend: str, model: str) -> None:
    folder = Path(os.environ.get("UNHEARD_TEST_MODELS", "models")) / model
    if not folder.is_dir():
        pytest.skip("no whole Whisper in UNHEARD_TEST_MODELS")
    with pytest.raises(UsageError, match=r"--language is 'xx', .* can be told"):
        load(str(folder), backend, "xx")
    data = Path(os.environ.get("UNHEARD_TEST_DATA", "../shared/data")) / "ravdess" / "speech"
    if not data.is_dir():
        pytest.skip("no real recordings in UNHEARD_TEST_DATA")
    (path,) = data.glob("Actor_01/03-01-01-01-01-01-01.*")
    wave, _ = soundfile.read(path, dtype="float32")
    heard = load(str(folder), backend).transcribe(wave)
    assert heard.text.strip(" .") == "Kids are talking by the door"
    if backend == "transformers":
        return  # the folder lacks what says how words are found in time
    assert [word.word.strip(".").lower() for word in heard.words] == heard.text.strip(" .").lower().split()
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times) and 0.3 < times[0] < times[-1] < 3
