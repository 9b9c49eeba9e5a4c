"""Given pieces: the answers of the pieces alone, voices known from their own, and files of pieces."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.pieces import Piece, read_pieces
from unheard.bundle.runtime import Bundle, load
from unheard.errors import AudioError, DataError, UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, noise, voice


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("segments") / "adapting", Priors()))


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Ann from 1 to 3 and 9 to 11 s, Bob from 4 to 8 s, nobody after 11 s."""
    gap = np.zeros(RATE, np.float32)
    parts = [gap, voice(2.0, 220), gap, voice(4.0, 110), gap, voice(2.0, 240), gap, gap]
    return (np.concatenate(parts) + 0.005 * noise(13.0)).astype(np.float32)


@pytest.fixture(scope="module")
def call(wave: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    return path


PIECES = [
    (9.0, 11.0, "Ann", "second"), (1.0, 3.0, "Ann", "first"), (4.0, 6.0, "Bob"), (6.0, 8.0, "Bob"),
    (11.5, 12.5, "Ann", "[music]"),
]  # fmt: skip


def of(wave: np.ndarray, start: float, end: float) -> tuple[np.ndarray, int]:
    return wave[round(start * RATE) : round(end * RATE)], RATE


def test_each_piece_is_answered_as_if_it_stood_alone(bundle: Bundle, wave: np.ndarray, call: Path) -> None:
    found = bundle.segments(call, PIECES, adapt=False)
    assert [(each.start, each.speaker, each.text) for each in found] == [
        (1.0, "Ann", "first"), (4.0, "Bob", ""), (6.0, "Bob", ""), (9.0, "Ann", "second"), (11.5, "Ann", "[music]")
    ]  # fmt: skip
    for each in found.segments[:4]:
        alone = bundle.predict(*of(wave, each.start, each.end))
        assert each.label == alone.label
        assert list(each.probabilities.values()) == pytest.approx(
            list(alone.probabilities.values()), abs=1e-6
        )
    last = found.segments[-1]
    assert (last.label, last.probabilities, last.flags) == (None, {}, ("no_speech",))


def test_each_speaker_is_known_from_their_own_pieces(bundle: Bundle, wave: np.ndarray, call: Path) -> None:
    found = bundle.segments(call, PIECES)
    for name, times in {"Ann": [(1, 3), (9, 11)], "Bob": [(4, 6), (6, 8)]}.items():
        profile = bundle.enrol([of(wave, *each) for each in times])
        own = found.speakers[name]
        assert (own.enrol_k, own.enrol_kind) == (2, "recording")
        for (start, end), step in zip(times, own.steps, strict=False):
            known = bundle.predict(*of(wave, start, end), profile=profile)
            assert list(step.probabilities.values()) == pytest.approx(
                list(known.probabilities.values()), abs=1e-6
            )
    unknown = bundle.segments(call, [(1.0, 3.0), (4.0, 6.0)])
    assert unknown.speakers == {} and unknown.whole.enrol_k == 0
    profile = bundle.enrol([of(wave, 4, 6)])
    assert bundle.segments(call, PIECES, profile=profile).speakers["Ann"].enrol_kind == "clips"


def test_speakers_are_summed_up_alone_and_together(bundle: Bundle, call: Path) -> None:
    plain = json.loads(json.dumps(bundle.segments(call, PIECES).as_dict()))
    assert [each["speaker"] for each in plain["segments"]] == ["Ann", "Bob", "Bob", "Ann", "Ann"]
    assert list(plain["speakers"]) == ["Ann", "Bob"]
    assert plain["speakers"]["Ann"]["answered"] == plain["speakers"]["Bob"]["answered"] == 4
    assert plain["summary"]["answered"] == 8 and plain["summary"]["heard"] == 9
    for name, share in plain["summary"]["shares"].items():
        parts = [plain["speakers"][who]["shares"][name] for who in ("Ann", "Bob")]
        assert share == pytest.approx(np.mean(parts), abs=1e-6)


def test_both_channels_of_a_call(bundle: Bundle, wave: np.ndarray, tmp_path: Path) -> None:
    mute = np.zeros_like(wave)
    ann, bob = mute.copy(), mute.copy()
    ann[: 3 * RATE], bob[4 * RATE : 8 * RATE] = wave[: 3 * RATE], wave[4 * RATE : 8 * RATE]
    soundfile.write(tmp_path / "two.wav", np.stack([ann, bob], axis=1), RATE, subtype="FLOAT")
    found = bundle.channels(tmp_path / "two.wav")
    assert list(found.speakers) == ["channel 0", "channel 1"]
    for number, own in enumerate(found.speakers.values()):
        assert own.steps == bundle.timeline(tmp_path / "two.wav", channel=number, adapt=True).steps
    assert [each.speaker for each in found] == ["channel 0"] + ["channel 1"] * len(
        found.speakers["channel 1"]
    )


@pytest.mark.parametrize(
    ("pieces", "why"),
    [([], "0 pieces"), ([(2.0, 1.0)], "piece 1 reaches from 2.0 to 1.0"), ([(-1.0, 1.0)], "-1"),
     ([(0.0, float("nan"))], "nan"), ([(1.0, 14.0)], "the recording lasts 13.000 s")],
)  # fmt: skip
def test_what_is_no_piece_of_this_recording_is_refused(
    bundle: Bundle, call: Path, pieces: list, why: str
) -> None:
    with pytest.raises(DataError, match=why):
        bundle.segments(call, pieces)


def test_other_faults(bundle: Bundle, call: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        bundle.segments(tmp_path / "none.wav", PIECES)
    plain = load(make_bundle(tmp_path / "plain"))
    with pytest.raises(UsageError, match="does not adapt"):
        plain.segments(call, PIECES, adapt=True)
    assert plain.segments(call, PIECES).speakers["Ann"].enrol_k == 0


FILES = {
    "a.csv": "Start,end,speaker,text\n1.5,3,Ann,hello\n0,1,Bob,\n",
    "semicolons.csv": "start;end;speaker;text\n1.5;3;Ann;hello\n0;1;Bob;\n",
    "a.rttm": "SPKR-INFO call 1 <NA> <NA> <NA> unknown Ann <NA> <NA>\n"
    "SPEAKER call 1 1.5 1.5 <NA> <NA> Ann <NA> <NA>\nSPEAKER call 1 0.0 1.0 <NA> <NA> Bob <NA> <NA>\n",
    "whisperx.srt": "1\n00:00:00,000 --> 00:00:01,000\n[Bob]: \n\n2\r\n"
    "00:00:01,500 --> 00:00:03,000\n[Ann]: hello\n",
    "names.srt": "1\n00:00:00,000 --> 00:00:01,000\n\n\n2\n00:00:01,500 --> 00:00:03,000\nAnn: hello\n",
    "a.vtt": "WEBVTT\n\nNOTE made\nby hand\n\n00:00.000 --> 00:01.000 align:start\n<v Bob></v>\n\nb\n"
    "00:01.500 --> 00:00:03.000\n<v.loud Ann>hello</v>\n",
    "a.json": '{"language": "en", "segments": [{"start": 1.5, "end": 3, "text": " hello", "speaker": "Ann", '
    '"words": []},'
    '{"start": 0, "end": 1.0, "text": "", "speaker": "Bob"}]}',
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_of_pieces(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name].encode("utf-8-sig"))
    bob = "" if name == "names.srt" else "Bob"
    text = "" if name == "a.rttm" else "hello"
    assert read_pieces(tmp_path / name) == [Piece(0.0, 1.0, bob), Piece(1.5, 3.0, "Ann", text)]


def test_words_with_a_colon_are_no_speaker(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nNote: <i>this</i>\n\n2\n00:00:01,000 --> 00:00:02,000\nis &amp; was\n"
    )
    assert read_pieces(tmp_path / "a.srt") == [Piece(0, 1, "", "Note: this"), Piece(1, 2, "", "is & was")]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [("a.csv", "from,to\n1,2\n", "columns 'from, to'"), ("a.csv", "start,end\n1,x\n", "row 2, end: is 'x'"),
     ("a.csv", "start,end\n", "holds no piece"), ("a.csv", "start,end\n3,2\n", "piece 1 reaches from 3"),
     ("a.rttm", "SPEAKER call 1 1.0\n", "line 1: has 4 fields"),
     ("a.rttm", "SPEAKER a 1 0 1 <NA> <NA> x\nSPEAKER b 1 2 1 <NA> <NA> x\n", "2 recordings, .* one of a, b"),
     ("a.rttm", "SPEAKER a 1 3 -1 <NA> <NA> x\n", "from 3.0 to 2.0"),
     ("a.srt", "1\n00:03 --> 00:03\nx\n", "holds no piece"),
     ("a.srt", "1\n00:03 --> 00:01\nx\n", "from 3.0 to 1.0"),
     ("a.vtt", "00:0x --> 00:01\nx\n", "line 1: is '00:0x'"),
     ("a.srt", "1\n0.1 --> 0:03\nx\n", "line 2: is '0.1'"), ("a.json", "{}", "no list of segments"),
     ("a.json", '[{"start": 1}]', "segment 1, end: is None"), ("a.json", "[1]", "segment 1 is int"),
     ("a.json", '[{"start": 1, "end": 2, "text": []}]', "text is"), ("a.doc", "", "no pieces are read from .doc")],
)  # fmt: skip
def test_broken_files_are_named_with_the_place(name: str, content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=why) as raised:
        read_pieces(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_a_damaged_file_gives_pieces_or_an_error_that_says_why(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    content = bytearray(FILES[name].encode())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        assert read_pieces(tmp_path / name)
    except DataError as error:
        assert name in str(error)
