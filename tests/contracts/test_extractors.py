"""What every extractor must hold, asked of every family of encoders and every feature that the package has.

A new family or feature is checked as soon as it is there; a family without a small model here fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from onnx_toys import write_onnx
from unheard import encoders, features
from unheard.encoders.contract import Encoder
from unheard.errors import DataError, UsageError
from unheard.features.spec import SPECS
from unheard.inputs import Turn
from unheard.testing import toy_encoder
from unheard.video.frames import Video

pytest.importorskip("torch")

DATA = Path(os.environ.get("UNHEARD_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def _toy(family: str, toy: str = "", **settings: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda folder: {"name": family, "model": str(toy_encoder(folder, toy or family)), **settings}


def _expression(folder: Path) -> dict[str, Any]:
    """The one network that is small as it is; it and faces are among the real data."""
    pytest.importorskip("mediapipe")
    weights = DATA / "weights"
    if not weights.is_dir():
        pytest.skip(f"no real data at {DATA} (set UNHEARD_TEST_DATA)")
    return {
        "name": "expression",
        "model": str(weights / "fer-mini-xception" / "fer2013_mini_xception.converted.onnx"),
        "landmarker": str(weights / "mediapipe-face-landmarker" / "face_landmarker.task"),
        "tensors": ["mean", "probs"],
        "fps": 2,
    }


#: A small encoder of each family, by what it is; the first word is the family.
SMALL: dict[str, Callable[[Path], dict[str, Any]]] = {
    "wav2vec2": _toy("wav2vec2"),
    "hubert": _toy("hubert"),
    "wavlm": _toy("wavlm"),
    "wav2vec": _toy("wav2vec"),
    "whisper": _toy("whisper"),
    "whisper trimmed": _toy("whisper", mode="trimmed"),
    "onnx": lambda folder: {"name": "onnx", "model": str(write_onnx(folder))},
    "transformers on audio": _toy("transformers", "hubert"),
    "transformers on text": _toy("transformers", "bert"),
    "expression": _expression,
}
#: Features that are computed from a waveform.
COMPUTED = [name for name in SPECS if name not in ("precomputed", "openface", "blendshapes", "terms")]


def wave(seconds: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.1
    return samples.astype(np.float32)


def clips(extractor: Any) -> list[Any]:
    """Clips of different lengths, two of them equally long."""
    if extractor.medium == "text":
        return [(Turn("a", text),) for text in ("yes", "what do you want", "no", "not")]
    if extractor.medium == "video":
        return [Video(str(DATA / "videos" / f"1001_DFA_{name}_XX.flv"), end=1.0) for name in ("ANG", "HAP")]
    return [wave(seconds, extractor.rate, k) for k, seconds in enumerate((0.9, 0.05, 0.31, 0.9))]


@pytest.fixture(scope="module", params=SMALL)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return SMALL[request.param](tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(settings: dict[str, Any]) -> Encoder:
    return encoders.load(settings)


@pytest.fixture(scope="module", params=COMPUTED)
def feature(request: pytest.FixtureRequest) -> Any:
    if request.param in ("egemaps", "compare", "egemaps_lld", "compare_lld"):
        pytest.importorskip("opensmile")
    return features.build({"name": request.param})


def test_every_family_is_asked() -> None:
    assert {name.split()[0] for name in SMALL} == set(encoders.ENCODERS)


def test_naming_the_families_imports_no_network() -> None:
    code = "import sys; from unheard import encoders; print(*encoders.tunable(), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [*encoders.tunable(), "False"]


def test_layers_are_what_is_given(encoder: Encoder) -> None:
    check_layers(encoder, encoder.extract(clips(encoder), range(len(encoder.layers))))


def test_features_are_what_is_said_of_them(feature: Any) -> None:
    check_layers(feature, feature.extract(clips(feature)[:1], [0]))


def check_layers(extractor: Any, found: Iterable[tuple[np.ndarray, ...]]) -> None:
    for states in found:
        assert len(states) == len(extractor.layers)
        for layer, state in zip(extractor.layers, states, strict=True):
            assert state.dtype == np.float32 and np.isfinite(state).all()
            assert state.shape[-1] == layer.dims
            assert state.ndim == (1 if layer.rate is None else 2)
    assert len({layer.name for layer in extractor.layers}) == len(extractor.layers)
    assert extractor.source.licence


def test_frames_are_counted_and_come_at_their_rate(encoder: Encoder) -> None:
    last = len(encoder.layers) - 1
    if encoder.medium == "video":
        assert [len(states[last]) for states in encoder.extract(clips(encoder), [0, last])] == [2, 2]
        assert encoder.layers[last].rate == 2
        return
    if encoder.medium == "text":
        counts = [len(states[0]) for states in encoder.extract(clips(encoder), [last])]
        assert counts == [encoder.frames(count)[last] for count in counts]
        return
    for seconds in (0.01, 0.3, 1.013):
        samples = wave(seconds, encoder.rate)
        (states,) = encoder.extract([samples], range(last + 1))
        assert tuple(map(len, states)) == encoder.frames(len(samples))
    ten, eleven = (encoder.frames(seconds * encoder.rate)[last] for seconds in (10, 11))
    assert encoder.layers[last].rate == pytest.approx(eleven - ten, abs=1)


def test_a_clip_alone_is_the_same_in_any_batch_and_order(encoder: Encoder) -> None:
    check_batches(encoder)


def test_features_of_a_clip_do_not_depend_on_others(feature: Any) -> None:
    check_batches(feature)


def check_batches(extractor: Any) -> None:
    given, last = clips(extractor), len(extractor.layers) - 1
    if extractor.medium == "audio":
        given = [clip for clip in given if len(clip) > 1600]
    together = extractor.extract(given, [last])
    backwards = extractor.extract(given[::-1], [last])[::-1]
    for clip, one, other in zip(given, together, backwards, strict=True):
        (alone,) = extractor.extract([clip], [last])[0]
        scale = np.abs(alone).max()
        assert_allclose(one[0], alone, rtol=1e-4, atol=1e-5 * scale)
        assert_allclose(other[0], alone, rtol=1e-4, atol=1e-5 * scale)


def test_layers_come_as_they_are_asked_for(encoder: Encoder) -> None:
    given, last = clips(encoder)[:2], len(encoder.layers) - 1
    for forth, back in zip(encoder.extract(given, [0, last]), encoder.extract(given, [last, 0]), strict=True):
        assert_array_equal(forth[0], back[1])
        assert_array_equal(forth[1], back[0])
    assert encoder.extract(given, []) == [(), ()]
    assert encoder.extract([], [last]) == []
    for bad in (-1, last + 1):
        with pytest.raises(UsageError, match="is asked for; there are 0"):
            encoder.extract(given, [bad])


def test_a_cut_gives_the_layers_up_to_it(settings: dict[str, Any], encoder: Encoder) -> None:
    top = min(1, len(encoder.layers) - 1)
    cut = encoders.load({**settings, "cut": top})
    assert cut.layers == encoder.layers[: top + 1]
    for one, other in zip(
        cut.extract(clips(cut), [0, top]), encoder.extract(clips(cut), [0, top]), strict=True
    ):
        assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
        assert_allclose(one[1], other[1], rtol=1e-5, atol=1e-6)
    same = len(cut.layers) == len(encoder.layers)
    assert (encoders.key(cut.settings) == encoders.key(encoder.settings)) is same
    with pytest.raises(UsageError, match=r"encoder\.cut is 99"):
        encoders.load({**settings, "cut": 99})


def test_settings_make_the_same_encoder_again(settings: dict[str, Any], encoder: Encoder) -> None:
    again = encoders.load(encoder.settings)
    assert again.settings == encoder.settings
    assert encoders.key(again.settings) == encoders.key(encoder.settings)
    assert_array_equal(
        again.extract(clips(encoder)[:1], [0])[0][0], encoder.extract(clips(encoder)[:1], [0])[0][0]
    )
    with pytest.raises(DataError, match="sha256"):
        encoders.load({**settings, "sha256": "0" * 64})


def test_shuffled_weights_follow_their_seed_and_are_stamped(
    settings: dict[str, Any], encoder: Encoder
) -> None:
    def last(**changes: Any) -> np.ndarray:
        made = encoders.load({**settings, "weights": "shuffled", **changes})
        assert encoders.is_random(made.settings)
        return made.extract(clips(made)[:1], [len(made.layers) - 1])[0][0]

    trained = encoder.extract(clips(encoder)[:1], [len(encoder.layers) - 1])[0][0]
    assert_array_equal(last(), last())
    assert np.abs(last() - trained).max() > 1e-4
    assert np.abs(last() - last(seed=1)).max() > 1e-4


def test_what_is_not_finite_is_refused(encoder: Encoder) -> None:
    if encoder.medium == "text":
        with pytest.raises(DataError, match="without any turn"):
            encoder.extract([()], [0])
    elif encoder.medium == "audio":
        check_refusal(encoder)


def test_features_of_what_is_not_finite_are_refused(feature: Any) -> None:
    check_refusal(feature)


def check_refusal(extractor: Any) -> None:
    for value in (np.nan, np.inf):
        bad = wave(0.9, extractor.rate)
        bad[100] = value
        with pytest.raises(DataError):
            extractor.extract([wave(0.9, extractor.rate), bad], [0])


def test_features_are_made_again_of_their_settings(feature: Any) -> None:
    again = features.build(feature.settings)
    assert again == feature and again.settings == feature.settings and again.key == feature.key
    with pytest.raises(UsageError, match="unknown"):
        features.build({**feature.settings, "no such key": 1})


def test_precomputed_features_are_looked_up_by_id(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.ones(3), two=np.arange(3.0))
    made = features.build({"name": "precomputed", "path": str(tmp_path / "a.npz")})
    assert made.medium == "id" and (made.layers[0].dims, made.layers[0].rate) == (3, None)
    ((two,), (one,)) = made.extract(["two", "one"], [0])
    assert_array_equal(two, [0, 1, 2])
    assert_array_equal(one, [1, 1, 1])
    with pytest.raises(DataError, match="no array named 'three'"):
        made.extract(["three"], [0])
