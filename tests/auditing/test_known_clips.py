"""What a bundle keeps of its training clips knows them again as copies, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import soxr

from unheard import corpora
from unheard.audio.decode import load
from unheard.audio.fingerprint import HASHES
from unheard.bundle.default import default_model
from unheard.bundle.known_clips import FILE, LANDMARKS, NOTHING, TIME_BITS, KnownClips, marks, unpack
from unheard.bundle.runtime import load as load_bundle
from unheard.errors import BundleError
from unheard.exporting.known_clips import pack

RATE = 16_000


def opus(wave, rate=RATE, gain=1.0):
    """Through Opus of about 24 kbit/s at a rate."""
    file = io.BytesIO()
    sent = soxr.resample(gain * wave, RATE, rate)
    level = 0.88 if rate == RATE else 0.8
    soundfile.write(file, sent, rate, format="OGG", subtype="OPUS", compression_level=level)
    file.seek(0)
    again, found = soundfile.read(file, dtype="float32")
    return soxr.resample(again, found, RATE)


COPIES = {
    "as it is": lambda w: w,
    "gain": lambda w: 0.05 * w,
    "Opus of 24 kbit/s": opus,
    "8 kHz": lambda w: soxr.resample(soxr.resample(w, RATE, 8000), 8000, RATE),
    "8 kHz, gain, Opus": lambda w: opus(w, 8000, 0.1),
    "cut and padded": lambda w: np.concatenate([np.zeros(3333), w[:-6400]]).astype(np.float32),
}


@pytest.fixture(scope="module")
def trained(voice):
    return KnownClips(np.array([marks(voice(k, 2 + k % 3)) for k in range(24)]))


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_known(trained, voice, kind):
    assert all(trained.has(COPIES[kind](voice(k, 2 + k % 3))) for k in range(0, 24, 4))


def test_nothing_else_is_known(trained, voice):
    assert not any(trained.has(voice(k, 2 + k % 3)) for k in range(100, 130))
    for odd in (np.zeros(RATE), np.zeros(3), np.random.default_rng(0).normal(0, 0.1, RATE)):
        assert not trained.has(odd.astype(np.float32))


def test_a_clip_takes_at_most_200_bytes_and_its_order_is_not_kept(voice):
    kept = [marks(voice(k)) for k in range(20)]
    assert pack(kept) == pack(kept[::-1])
    assert len(pack(kept)) - len(pack([])) <= 200 * len(kept)
    assert (marks(np.zeros(RATE)) == NOTHING).all()


def test_a_clip_of_few_landmarks_needs_them_nearly_all(voice):
    short = voice(3, 0.35)
    kept = marks(short)
    assert 8 <= (kept != NOTHING).sum() < LANDMARKS
    assert KnownClips(kept[None]).has(short)
    assert not KnownClips(kept[None]).has(voice(4, 2))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"landmarks": np.zeros((2, 48), np.int64)}, "int64"),
        ({"landmarks": np.zeros((2, 47), np.uint32)}, r"\(2, 47\)"),
        ({"landmarks": np.zeros(48, np.uint32)}, r"\(48,\)"),
        ({"landmarks": np.full((1, 48), HASHES << TIME_BITS, np.uint32)}, f"from {HASHES} on"),
        ({"wave": np.zeros((1, 48), np.uint32)}, "'wave'"),
        ({}, "landmarks"),
    ],
)
def test_another_file_is_refused(arrays, said):
    file = io.BytesIO()
    np.savez(file, **arrays)
    with pytest.raises(BundleError, match=said):
        unpack({FILE: file.getvalue()})
    with pytest.raises(BundleError, match=FILE):
        unpack({FILE: b"no archive"})


def test_the_file_is_read_as_it_was_written(voice):
    kept = [marks(voice(k)) for k in range(3)]
    found = unpack({FILE: pack(kept)})
    assert found is not None and len(found) == 3 and found.has(voice(1))
    assert unpack({}) is None
    none = unpack({FILE: pack([])})
    assert none is not None and not none.has(voice(1))


@pytest.mark.data
@pytest.mark.slow
def test_the_default_model_knows_what_it_was_trained_on_and_no_other_clip(data_folder):
    trained = load_bundle(default_model()).known_clips
    assert trained is not None and len(trained) > 4300
    dice = np.random.default_rng(7)
    # Every third clip of nEMO, and no boredom (docs/default-model.md).
    taught = [
        path
        for name, every in (("ravdess", 1), ("nemo", 3), ("emodb", 1))
        for path, label in corpora.read(name, data_folder / name)
        .gather_every(every)
        .select("path", "label")
        .iter_rows()
        if label != "boredom"
    ]
    for path in dice.choice(taught, 20, replace=False):
        wave = load(path).wave
        for kind, copy in COPIES.items():
            assert trained.has(copy(wave)), f"{path}: {kind}"
    others = [
        path
        for name in ("ased", "emotale", "urdu", "baved")
        for path in corpora.read(name, data_folder / name)["path"]
    ]
    strangers = dice.choice(others, 500, replace=False)
    assert [path for path in strangers if trained.has(load(path).wave)] == []
