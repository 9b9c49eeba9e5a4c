"""Bundles that take what was said: as the head in training, without torch, with inputs missing, hostile ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from encoder_parts import CLASSES, MadeWithEncoder, write
from numpy.testing import assert_allclose

from bundle_parts import change, sound
from unheard import encoders, heads
from unheard.bundle.default import default_model
from unheard.bundle.runtime import load
from unheard.bundle.schema import parse, to_plain
from unheard.cli import main
from unheard.errors import BundleError, UsageError
from unheard.exporting.compact import compact
from unheard.exporting.export import ExportInput
from unheard.inputs import Form, Turn
from unheard.testing import toy_encoder
from unheard.training.examples import labelled

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

TEXTS = ("Oh no!", "It is fine.", "Who are you?", "Ärger, naß – 12 °C", "[SEP] or <pad>?", "a" * 500)


def made_of(folder: Path, head: dict[str, Any], *, alone: bool = False, model: Path | None = None) -> Any:
    """Fit a head on the sounds and words of 24 clips, and export it."""
    words = encoders.load(
        {"name": "transformers", "model": str(model or toy_encoder(folder / "bert", "bert"))}
    )
    form = heads.build(head).form
    top = (len(words.layers) - 1,) if form is Form.FRAMES else None
    given = {"words": ExportInput(words, form, top, context=1)}
    if not alone:
        voice = encoders.load({"name": "hubert", "model": str(toy_encoder(folder / "hubert")), "trim": 40})
        given["voice"] = ExportInput(voice, form, (len(voice.layers) - 1,), 2)
    clips = [(sound(i), (Turn("A", "Well?"), Turn("B", TEXTS[i % 3]))) for i in range(24)]
    rows = labelled(
        {name: [each.compute(*clip) for clip in clips] for name, each in given.items()},
        np.arange(24) % 3,
        np.array([f"s{i % 4}" for i in range(24)]),
        CLASSES,
    )
    fitted = heads.build(head).fit(rows, rows)
    return MadeWithEncoder(write(folder / "bundle", fitted, given), fitted, words, words.settings, given)


BOTH = {
    "name": "cross_attention",
    "inputs": ["words", "voice"],
    "hidden": 16,
    "attention_heads": 2,
    "epochs": 2,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MadeWithEncoder]:
    kinds: dict[str, Callable[[Path], MadeWithEncoder]] = {
        "missing": lambda folder: made_of(folder, {**BOTH, "missing": True}),
        "needed": lambda folder: made_of(folder, BOTH),
        "words": lambda folder: made_of(folder, {"name": "probe", "grid": [0.01]}, alone=True),
    }
    kept: dict[str, MadeWithEncoder] = {}

    def one(kind: str) -> MadeWithEncoder:
        if kind not in kept:
            kept[kind] = kinds[kind](tmp_path_factory.mktemp(kind))
        return kept[kind]

    return one


def expected(one: MadeWithEncoder, clips: list[tuple[Any, Any]]) -> np.ndarray:
    return one.head.outputs({n: [e.compute(*clip) for clip in clips] for n, e in one.given.items()})


@pytest.mark.parametrize("kind", ["missing", "words"])
def test_the_bundle_answers_as_its_head(made: Callable[[str], MadeWithEncoder], kind: str) -> None:
    one = made(kind)
    bundle = load(one.folder)
    clips = [(sound(70 + k, 0.5 + 0.3 * k), (Turn("A", "Eh?"), Turn(None, t))) for k, t in enumerate(TEXTS)]
    right = expected(one, clips)
    inputs = bundle.inputs([wave for wave, _ in clips], [turns for _, turns in clips])
    assert_allclose(bundle.outputs(inputs), right, rtol=1e-4, atol=1e-4)
    assert_allclose(np.concatenate([bundle.outputs([each]) for each in inputs]), right, rtol=1e-4, atol=1e-4)


def test_words_change_the_answer_and_nothing_but_the_turns_that_are_read_does(
    made: Callable[[str], MadeWithEncoder],
) -> None:
    bundle, wave = load(made("missing").folder), sound(3)
    alone = bundle.predict(wave, 16_000, text="Oh no!")
    other = bundle.predict(wave, 16_000, text="It is fine.")
    assert alone.label in CLASSES and alone.probabilities != other.probabilities
    # One turn before the clip's own is read, and who speaks with it.
    turns = [("C", "Earlier."), ("A", "Well?"), ("B", "Oh no!")]
    assert bundle.predict(wave, 16_000, text=turns) == bundle.predict(wave, 16_000, text=turns[1:])
    assert bundle.predict(wave, 16_000, text=turns).probabilities != alone.probabilities


def test_a_missing_input_is_answered_where_the_head_allows_it_and_said(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path
) -> None:
    one = made("missing")
    bundle, wave = load(one.folder), sound(5)
    nothing = np.zeros((0, 32), dtype=np.float32)
    whole = {name: each.compute(wave, (Turn(None, "Oh no!"),)) for name, each in one.given.items()}
    without = {"without_text": {**whole, "words": nothing}, "without_sound": {**whole, "voice": nothing}}
    found = {"without_text": bundle.predict(wave, 16_000), "without_sound": bundle.predict_text("Oh no!")}
    for flag, inputs in without.items():
        (scores,) = one.head.outputs({name: [value] for name, value in inputs.items()}) / 1.5
        right = np.exp(scores) / np.exp(scores).sum()
        assert_allclose(list(found[flag].probabilities.values()), right, atol=1e-4)
        assert flag in found[flag].flags
    path = tmp_path / "clip.wav"
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    many = list(bundle.predict_many([path] * 3, texts=["Oh no!", None, "  "]))
    assert ["without_text" in each.flags for each in many] == [False, True, True]
    assert_allclose(
        list(many[0].probabilities.values()),
        list(bundle.predict_file(path, text="Oh no!").probabilities.values()),
        atol=1e-6,
    )


def test_a_missing_input_is_refused_where_the_head_does_not_allow_it(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path
) -> None:
    bundle, wave = load(made("needed").folder), sound(5)
    path = tmp_path / "clip.wav"
    soundfile.write(path, wave, 16_000)
    assert bundle.predict_file(path, text="Oh no!").answered
    for ask in (
        lambda: bundle.predict(wave, 16_000),
        lambda: bundle.predict(wave, 16_000, text=" "),
        lambda: bundle.predict_file(path),
        lambda: bundle.timeline(path),
        lambda: bundle.stream(16_000),
        lambda: list(bundle.predict_many([path])),
    ):
        with pytest.raises(UsageError, match="takes what was said, and does not answer without"):
            ask()
    with pytest.raises(UsageError, match="takes the sound besides"):
        bundle.predict_text("Oh no!")
    known, unknown = bundle.predict_many([path] * 2, texts=["Oh no!", None])
    assert known.answered and (unknown.answered, unknown.flags[-1]) == (False, "no_text")
    with pytest.raises(UsageError, match="not equally many"):
        list(bundle.predict_many([path] * 2, texts=["Oh no!"]))


def test_pieces_are_answered_with_their_own_text(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path
) -> None:
    bundle = load(made("needed").folder)
    path = tmp_path / "long.wav"
    wave = np.concatenate([sound(k, 2.0) for k in range(3)])
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    pieces = [(0.0, 2.0, "A", "Well?"), (2.0, 4.0, "B", "Oh no!"), (4.0, 6.0, "A", "")]
    first, second, third = bundle.segments(path, pieces)
    turns = [("A", "Well?"), ("B", "Oh no!")]
    right = bundle.predict(wave[32_000:64_000], 16_000, text=turns)
    assert_allclose(list(second.probabilities.values()), list(right.probabilities.values()), atol=1e-4)
    assert first.label and third.label is None and "no_text" in third.flags


def test_words_alone_need_no_recording_and_no_torch(made: Callable[[str], MadeWithEncoder]) -> None:
    one = made("words")
    code = (
        "import sys, unheard\n"
        f"bundle = unheard.load({str(one.folder)!r})\n"
        "print(list(bundle.predict_text('Oh no!').probabilities.values()))\n"
        "assert not {'torch', 'transformers', 'polars', 'onnx'} & set(sys.modules), sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    (scores,) = expected(one, [(None, (Turn(None, "Oh no!"),))]) / 1.5
    assert_allclose(json.loads(done.stdout), np.exp(scores) / np.exp(scores).sum(), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (b"Oh no!", "expected a text"),
        ([("A", 3)], "expected a text, or turns"),
        ("x" * 100_001, "at most 100000"),
        ("\ud800", "half a character"),
        ("", "is empty"),
        ([], "is empty"),
    ],
)
def test_what_is_no_text_is_refused(made: Callable[[str], MadeWithEncoder], words: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(made("words").folder).predict_text(words)


def test_a_text_for_a_model_of_sounds_is_refused() -> None:
    with pytest.raises(UsageError, match="takes the sound alone"):
        load(default_model()).predict(sound(1), 16_000, text="Oh no!")


def test_a_compact_copy_keeps_its_tokenizer(made: Callable[[str], MadeWithEncoder], tmp_path: Path) -> None:
    one = made("missing")
    small = compact(one.folder, tmp_path / "small", "float16")
    assert small.after < small.before and small.difference < 0.05
    assert load(small.folder).predict_text("Oh no!").answered


TOKENIZER = "words.tokenizer.json"


def _with(plain: dict[str, Any], **parts: Any) -> bytes:
    return json.dumps(plain | parts).encode()


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        (lambda p: b"not JSON", "tokenizer.json"),
        (lambda p: _with(p, normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "aa"}),
         "normalizer is of type Replace"),
        (lambda p: _with(p, pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Split"}]}),
         "pre_tokenizer is of type Split"),
        (lambda p: _with(p, pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Sequence"}] * 99}),
         "pre_tokenizer is of type Sequence"),
        (lambda p: _with(p, model=p["model"] | {"dropout": 0.5}), "dropout"),
        (lambda p: _with(p, model=p["model"] | {"max_input_chars_per_word": 10**9}), "at most 1000"),
        (lambda p: _with(p, post_processor={"type": "BertProcessing"}), "post_processor"),
        (lambda p: _with(p, model={"type": "WordPiece"}), "no tokenizer"),
        # Other tokens than those of the golden outputs.
        (lambda p: _with(p, model=p["model"] | {"vocab": {k: (v + 7) % len(p["model"]["vocab"])
                                                          for k, v in p["model"]["vocab"].items()}}),
         "features computed here change the outputs"),
        (lambda p: _with(p, model=p["model"] | {"vocab": {k: v + 10**6 for k, v in p["model"]["vocab"].items()}}),
         "cannot be run"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_asks_for_more_or_is_another_one_is_refused(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path, altered: Callable[[Any], bytes], said: str
) -> None:
    folder = Path(shutil.copytree(made("words").folder, tmp_path / "copy"))
    path = folder / TOKENIZER
    path.write_bytes(altered(json.loads(path.read_text())))
    with pytest.raises(BundleError, match="was altered"):
        load(folder)
    change(folder)
    with pytest.raises(BundleError, match=said):
        load(folder)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("longest", 0, "longest"),
        ("longest", 2, "more than the tokens of before and after"),
        ("context", 101, "context"),
        ("between", [-1], "between"),
        ("before", [1] * 17, "at most 16"),
        ("after", "[SEP]", "a list"),
    ],
)
def test_a_description_of_words_out_of_bounds_is_refused(
    made: Callable[[str], MadeWithEncoder], field: str, value: Any, said: str
) -> None:
    plain = json.loads((made("missing").folder / "bundle.json").read_text())
    assert json.loads(json.dumps(to_plain(parse(plain)))) == plain
    plain["inputs"]["words"]["extractor"]["encoder"][field] = value
    with pytest.raises(BundleError, match=said):
        parse(plain)


def test_the_command_takes_a_text_or_a_table_of_them(
    made: Callable[[str], MadeWithEncoder],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Signals are the test runner's own.
    monkeypatch.setattr("unheard.cli.stop_on_signals", lambda: None)

    def answers(*arguments: object, kind: str = "needed") -> tuple[int, list[dict[str, Any]], str]:
        command = ["unheard", "predict", *map(str, arguments), "--model", str(made(kind).folder), "--jsonl"]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), [json.loads(line) for line in out.splitlines()], err

    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", sound(3), 16_000, subtype="FLOAT")
    table = tmp_path / "said.csv"
    table.write_text("path,text\na.wav,Oh no!\nb.wav,\n")
    right = load(made("needed").folder).predict_file(tmp_path / "a.wav", text="Oh no!")
    code, rows, err = answers(tmp_path, "--texts", table)
    assert (code, rows[0]["probabilities"]) == (3, right.probabilities)
    assert "b.wav: the table of --texts has no text of it" in err and "error" in rows[1]
    code, rows, _ = answers(tmp_path / "a.wav", "--text", "Oh no!")
    assert (code, rows[0]["probabilities"]) == (0, right.probabilities)
    # Where an input may be missing, both clips are answered, and words alone.
    code, rows, _ = answers(tmp_path, "--texts", table, kind="missing")
    assert (code, ["without_text" in row["flags"] for row in rows]) == (0, [False, True])
    code, rows, _ = answers("--text", "Oh no!", kind="missing")
    assert code == 0 and rows[0]["flags"] == ["without_sound"]
    for arguments, words in (
        ((tmp_path, "--text", "Oh no!"), "of one recording, and 2 are given"),
        ((tmp_path / "a.wav",), "does not answer without"),
        ((), "name a recording"),
        ((tmp_path / "a.wav", "--text", "x", "--texts", table), "exclude each other"),
        ((tmp_path / "a.wav", "--text", "x", "--timeline"), "--segments takes a transcript"),
    ):
        code, _, err = answers(*arguments)
        assert (code, words in " ".join(err.split())) == (2, True), err
    table.write_text("path,words\na.wav,Oh no!\n")
    code, _, err = answers(tmp_path, "--texts", table)
    assert code == 3 and "no column 'text'" in err


@pytest.mark.skipif(not os.environ.get("UNHEARD_TEST_MODELS"), reason="UNHEARD_TEST_MODELS names no folder")
def test_a_whole_sentence_encoder_is_in_a_bundle_as_it_was_in_training(tmp_path: Path) -> None:
    model = Path(os.environ["UNHEARD_TEST_MODELS"]) / "all-MiniLM-L6-v2"
    one = made_of(tmp_path, {"name": "probe", "grid": [0.01]}, alone=True, model=model)
    bundle = load(one.folder)
    turns = [(Turn("A", "Why?"), Turn("B", text)) for text in TEXTS]
    right = expected(one, [(None, each) for each in turns])
    found = np.concatenate([bundle.outputs([bundle._extractors.compute(None, each)]) for each in turns])
    assert_allclose(found, right, rtol=1e-4, atol=1e-4)
