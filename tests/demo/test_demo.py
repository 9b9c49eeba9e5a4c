"""What is written on the page of a bundle, and what becomes of recordings that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from bundle_parts import sound
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.prediction import prediction
from unheard.bundle.runtime import Bundle, load

pytest.importorskip("gradio", reason="the extra demo is not installed")

from unheard.demo import answers, page


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("shown") / "toy", Priors()))


@pytest.fixture
def clip(tmp_path: Path) -> str:
    soundfile.write(tmp_path / "clip.wav", sound(3, 1.5), 16_000)
    return str(tmp_path / "clip.wav")


def test_the_answer_says_its_label_every_share_and_its_warnings() -> None:
    sure = prediction(("narrowband",), 2.0, probabilities={"happy": 0.8, "sad": 0.2}, threshold=0.5)
    said = answers.whole(sure, "Answer")
    assert "Answer: happy" in said
    assert "80 %" in said
    assert "width:80.0%" in said
    assert "above 4 kHz" in said
    unsure = prediction((), 2.0, probabilities={"happy": 0.4, "<b>": 0.6}, threshold=0.7)
    assert "unsure (&lt;b&gt; is likeliest)" in answers.whole(unsure, "Answer")
    assert "no answer" in answers.whole(prediction(("silent",), 2.0), "Answer")
    assert "0.25" in answers.whole(prediction((), 2.0, dimensions={"valence": 0.25}), "Answer")


def test_a_recording_is_answered_as_the_library_does_with_its_timeline(bundle: Bundle, clip: str) -> None:
    said, line = page.answer_to(bundle, clip, None)
    found = bundle.predict_file(clip)
    for name, share in found.probabilities.items():
        assert name in said
        assert f"{100 * share:.0f} %" in said
    assert "<svg" in line
    assert clip not in said + line
    profile, told = page.enrol(bundle, [clip] * 3)
    assert profile is not None
    assert "3 clips" in told
    both, _ = page.answer_to(bundle, clip, profile)
    assert "Knowing nobody" in both
    assert "Knowing the voice (3 clips)" in both


def test_what_cannot_be_used_is_said_in_a_sentence(bundle: Bundle, clip: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF<script>")
    for path in (None, str(broken)):
        said, line = page.answer_to(bundle, path, None)
        assert "role='alert'" in said
        assert "<script>" not in said
        assert str(tmp_path) not in said
        assert line == ""
    for paths in (None, [], [str(broken)], [clip] * (page.CLIPS + 1)):
        profile, said = page.enrol(bundle, paths)
        assert profile is None
        assert "role='alert'" in said
        assert str(tmp_path) not in said


def test_the_page_says_what_the_model_is_worth_and_under_which_licence(bundle: Bundle) -> None:
    said = answers.about(bundle.description, knows=True)
    assert "52 % right (95 %: 40 to 60)" in said
    assert "4 people" in said
    assert "CC0-1.0" in said
    assert "perceive" in said


def test_nothing_on_the_page_is_fetched_from_elsewhere_or_offered_to_programs(bundle: Bundle) -> None:
    made = page.build(bundle)
    assert made.analytics_enabled is False
    assert all(each.api_visibility == "private" for each in made.fns.values())
    fonts = page._theme()
    assert fonts._stylesheets == []
