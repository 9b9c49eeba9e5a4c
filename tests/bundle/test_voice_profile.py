"""Voice profiles of a bundle: what they change, what keeps them, and which are refused."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adapting import make_adapting
from encoder_parts import MadeWithEncoder
from numpy.testing import assert_allclose, assert_array_equal

from bundle_parts import sound
from unheard.adaptation.draws import Known
from unheard.audio.quality import quality
from unheard.bundle.enrolment import Enrolment
from unheard.bundle.runtime import Bundle, load
from unheard.bundle.voice import VoiceProfile, read_voice
from unheard.decide.calibration import apply_temperature
from unheard.errors import DataError, UsageError
from unheard.exporting.golden import synthetic_waves
from unheard.formats import sealed_json

pytest.importorskip("torch")
WAVES = [sound(seed) for seed in range(70, 76)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeWithEncoder:
    return make_adapting("layers and rows", tmp_path_factory.mktemp("adapting"))


@pytest.fixture(scope="module")
def bundle(made: MadeWithEncoder) -> Bundle:
    return load(made.folder)


@pytest.fixture(scope="module")
def profile(bundle: Bundle) -> VoiceProfile:
    return bundle.enrol([(wave, 16_000) for wave in WAVES])


def probabilities(bundle: Bundle, profile: VoiceProfile | None) -> np.ndarray:
    found = [bundle.predict(wave, 16_000, profile=profile) for wave in WAVES]
    return np.array([list(each.probabilities.values()) for each in found])


def test_a_profile_gives_what_the_head_gives_knowing_the_clips(
    made: MadeWithEncoder, bundle: Bundle, profile: VoiceProfile
) -> None:
    known = {"": Known(tuple(range(6)), None)}
    outputs = made.head.outputs_knowing(made.inputs(WAVES), [""] * 6, known)
    expected = [apply_temperature(each, bundle.description.temperature) for each in outputs]
    found = probabilities(bundle, profile)
    assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found - probabilities(bundle, None)).max() > 1e-3
    assert profile.clips == 6 and bundle.predict(WAVES[0], 16_000, profile=profile).enrol_k == 6
    assert "enrol_k" not in bundle.predict(WAVES[0], 16_000).as_dict()


def test_the_order_of_clips_does_not_matter(bundle: Bundle, profile: VoiceProfile) -> None:
    other = bundle.enrol([(wave, 16_000) for wave in WAVES[::-1]])
    assert_allclose(probabilities(bundle, other), probabilities(bundle, profile), atol=1e-9)


def test_profiles_of_one_voice_add_up(bundle: Bundle, profile: VoiceProfile) -> None:
    clips = [(wave, 16_000) for wave in WAVES]
    grown = bundle.enrol(clips[:1])
    for clip in clips[1:]:
        grown += bundle.enrol([clip])
    assert (grown.clips, grown.flags) == (profile.clips, profile.flags)
    assert grown.speech == pytest.approx(profile.speech) and grown.seconds == pytest.approx(profile.seconds)
    assert_allclose(probabilities(bundle, grown), probabilities(bundle, profile), atol=1e-9)
    with pytest.raises(DataError, match="different models"):
        grown + replace(profile, fingerprint="another")


def test_a_file_gives_back_the_profile_exactly(bundle: Bundle, profile: VoiceProfile, tmp_path: Path) -> None:
    path = profile.save(tmp_path / "anna.voice")
    again = read_voice(path)
    assert again.as_dict() == profile.as_dict()
    for name, each in profile.sums.items():
        assert_array_equal(again.sums[name].total, each.total)
        assert_array_equal(again.sums[name].squares, each.squares)
        assert (again.sums[name].clips, again.sums[name].values) == (each.clips, each.values)
    assert_array_equal(probabilities(bundle, again), probabilities(bundle, profile))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match="exists"):
        profile.save(path)
    assert again.save(path, force=True).read_bytes() == profile.save(tmp_path / "other.voice").read_bytes()


def test_files_and_samples_give_the_same_profile(
    bundle: Bundle, profile: VoiceProfile, tmp_path: Path
) -> None:
    import soundfile

    paths = [tmp_path / f"{number}.wav" for number in range(6)]
    for path, wave in zip(paths, WAVES, strict=True):
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    found = bundle.enrol([*paths, tmp_path / "silent.wav", tmp_path / "none.wav"])
    assert found.clips == 6 and len(found.left_out) == 2
    assert "silent" in found.left_out[0] and "none.wav" in found.left_out[1]
    for name, each in profile.sums.items():
        assert_allclose(found.sums[name].total, each.total, rtol=1e-9, atol=1e-9)
    many = bundle.predict_many(paths, profile=found)
    assert_allclose(
        [list(each.probabilities.values()) for each in many], probabilities(bundle, profile), atol=1e-6
    )
    with pytest.raises(DataError, match=r"no clip .*silent"):
        bundle.enrol([tmp_path / "silent.wav"])


def test_another_bundle_refuses_it(
    bundle: Bundle, profile: VoiceProfile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from unheard import load as load_default

    other = load(make_adapting("rows", tmp_path_factory.mktemp("other")).folder)
    with pytest.raises(DataError, match=r"other weights .* enrol the speaker's clips again"):
        other.predict(WAVES[0], 16_000, profile=profile)
    plain = load_default()
    if not plain.adapts:
        with pytest.raises(UsageError, match="does not adapt"):
            plain.enrol([(WAVES[0], 16_000)])
        with pytest.raises(UsageError, match="does not adapt"):
            plain.predict_many(["never-read.wav"], profile=profile)


def test_clips_that_all_sound_like_one_expression_are_flagged(bundle: Bundle) -> None:
    # Seeds 1, 4, 7 … are the sounds that the head was taught to call happy.
    happy = [(sound(seed), 16_000) for seed in range(1, 13, 3)]
    assert {bundle.predict(*clip).best(1)[0][0] for clip in happy} == {"happy"}
    assert "one_expression" in bundle.enrol(happy).flags
    assert "one_expression" not in bundle.enrol([*happy, (sound(0), 16_000), (sound(2), 16_000)]).flags
    other = Enrolment(bundle._adaptation)
    for wave in WAVES[:4]:
        (inputs,) = bundle.inputs([wave])
        other.add(inputs, quality(wave), {"calm": 0.9, "happy": 0.1})
    assert "one_expression" not in other.profile("x").flags


def test_few_and_short_clips_are_flagged(bundle: Bundle) -> None:
    assert bundle.enrol([(sound(1, 0.6), 16_000)]).flags == ("few_clips", "short_clips")
    long = [(np.tile(wave, 2), 16_000) for wave in (*synthetic_waves(), synthetic_waves()[0][::-1])]
    assert bundle.enrol(long).flags == ()


#: A field of the file (a__b is b inside a), what stands in it, and what the refusal says.
FAULTS = {
    "another format": ("format", "x", "not a voice profile"),
    "a newer version": ("version", "2.0", "update unheard"),
    "no clips": ("clips", 0, "clips is 0"),
    "half a clip": ("clips", 1.5, "clips is 1.5"),
    "fewer values than clips": ("inputs__rows__values", 2, "values is 2"),
    "no inputs": ("inputs", {}, "inputs is"),
    "a flag of nothing": ("flags", ["loud"], "flags is"),
    "an endless shape": ("inputs__rows__shape", [2**40], "shape is"),
    "another shape": ("inputs__rows__shape", [3], "a list of 3 numbers"),
    "text for numbers": ("inputs__rows__total", "abc", "total is 'str'"),
    "squares below 0": ("inputs__rows__squares", [-1.0] * 590, "squares is"),
    "a truth for a number": ("speech", True, "speech is True"),
    "a line in a name": ("model", "a\nb", "model is"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_profile_is_refused(profile: VoiceProfile, tmp_path: Path, fault: str) -> None:
    field, value, said = FAULTS[fault]
    path = profile.save(tmp_path / "anna.voice")
    plain = sealed_json.read(path)
    *outer, last = field.split("__")
    inside = plain
    for key in outer:
        inside = inside[key]
    inside[last] = value
    sealed_json.write(path, plain)
    with pytest.raises(DataError, match=f"anna.voice.*{said}"):
        read_voice(path)


def test_a_changed_digit_is_noticed_and_another_shape_is_refused(
    bundle: Bundle, profile: VoiceProfile, tmp_path: Path
) -> None:
    path = profile.save(tmp_path / "anna.voice")
    plain = json.loads(path.read_text())
    plain["content"]["inputs"]["rows"]["total"][3] += 1
    path.write_text(json.dumps(plain))
    with pytest.raises(DataError, match="damaged"):
        read_voice(path)
    del plain["content"]["inputs"]["rows"]
    sealed_json.write(path, plain["content"])
    with pytest.raises(DataError, match="the model adapts"):
        bundle.predict(WAVES[0], 16_000, profile=read_voice(path))


def test_a_long_recording_is_taken_in_windows_of_speech(bundle: Bundle, tmp_path: Path) -> None:
    import soundfile

    pause = np.zeros(16_000, np.float32)
    talk = np.concatenate([each for _ in range(8) for wave in synthetic_waves() for each in (wave, pause)])
    assert len(talk) > 30 * 16_000
    soundfile.write(tmp_path / "talk.wav", talk, 16_000)
    from_file, from_samples = bundle.enrol([tmp_path / "talk.wav"]), bundle.enrol([(talk, 16_000)])
    assert from_file.clips == from_samples.clips > 8 and not from_file.left_out
    assert from_file.seconds < len(talk) / 16_000
    for name, each in from_file.sums.items():
        assert_allclose(each.total, from_samples.sums[name].total, rtol=0.02, atol=0.2 * from_file.clips)
    soundfile.write(tmp_path / "hiss.wav", 0.001 * np.random.default_rng(0).normal(size=31 * 16_000), 16_000)
    with pytest.raises(DataError, match=r"no clip .*hiss\.wav: nobody speaks"):
        bundle.enrol([tmp_path / "hiss.wav"])
    with pytest.raises(UsageError, match="several clips"):
        bundle.enrol("talk.wav")
