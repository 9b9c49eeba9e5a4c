"""Extraction with a network: equal to encoding directly whatever the batches, and in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tool_modules import tool
from unheard import encoders
from unheard.audio.decode import load
from unheard.extraction import missing_clips as filling
from unheard.extraction.extract import Storage, extract
from unheard.extraction.storage import pack, statistics, unpack
from unheard.inputs import Clip, Form, Piece
from unheard.testing import toy_encoder

RATE = 16_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for n in range(12):
        rng = np.random.default_rng(n)
        soundfile.write(folder / f"{n}.flac", rng.uniform(-0.5, 0.5, 3_000 + 1_777 * (n % 5)), RATE)
        made.append(Clip(f"c{n}", Piece(str(folder / f"{n}.flac"))))
    return made


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = toy_encoder(tmp_path_factory.mktemp("toy"), "wavlm")
    return {"name": "wavlm", "model": str(folder)}


def test_stored_is_what_the_network_gives_for_a_clip_alone(
    tmp_path: Path, clips: list[Clip], given: dict[str, object]
) -> None:
    encoder = encoders.load(given)
    every = list(range(len(encoder.layers)))
    pooled = extract(clips, given, Storage(), folder=tmp_path)
    frames = extract(clips, given, Storage(Form.LAYERS, None), folder=tmp_path)
    assert pooled.layers == frames.layers == encoder.layers
    for clip in clips:
        (alone,) = encoder.extract([load(clip.audio.path).wave], every)
        scale = np.abs(np.stack(alone)).max()
        np.testing.assert_allclose(frames.features[clip.id], np.stack(alone), atol=1e-4 * scale)
        np.testing.assert_allclose(pooled.features[clip.id], statistics(alone), atol=1e-4 * scale)


def test_the_bytes_do_not_depend_on_jobs_order_or_what_was_there(
    tmp_path: Path, clips: list[Clip], given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MAX_CLIPS", 5)
    storage = Storage(Form.LAYERS, None)
    once = extract(clips, given, storage, folder=tmp_path / "once", jobs=1)
    turned = extract(clips[::-1], given, storage, folder=tmp_path / "turned", jobs=3)
    assert list(turned.features) == list(once.features)[::-1]
    # Broken off after the first group, and gone on with.
    monkeypatch.setattr(filling, "SHARD", 1)

    def stop(done: int, _: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, given, storage, folder=tmp_path / "broken", progress=stop)
    broken = extract(clips, given, storage, folder=tmp_path / "broken")
    for name, array in once.features.items():
        np.testing.assert_array_equal(array, turned.features[name])
        np.testing.assert_array_equal(array, broken.features[name])


def test_a_cut_encoder_finds_what_the_whole_one_stored(
    tmp_path: Path, clips: list[Clip], given: dict[str, object]
) -> None:
    whole = extract(clips, given, Storage(Form.FRAMES, (1,)), folder=tmp_path)
    cut = extract(clips, {**given, "cut": 1}, Storage(Form.FRAMES, (1,)), folder=tmp_path)
    assert whole.folder == cut.folder
    for name, array in whole.features.items():
        np.testing.assert_allclose(array, cut.features[name], rtol=1e-5, atol=1e-6)


@pytest.mark.data
@pytest.mark.parametrize("network", ["fsmn-vad", "efficientat-mn04"])
def test_int8_loses_next_to_nothing_of_real_networks(data_folder: Path, network: str, tmp_path: Path) -> None:
    """Also where every dimension counts the same, as heads see them: there one scale a frame would lose much."""
    model, description = data_folder / "weights" / network, network
    if network == "efficientat-mn04":
        tool("convert_efficientat").convert(model / "mn04_as_mAP_432.pt", tmp_path)
        model, description = tmp_path, ""
    encoder = encoders.load({"name": "onnx", "model": str(model), "description": description})
    files = sorted((data_folder / "ravdess").rglob("03-01-*.*"))[::300]
    waves = [load(path, rate=encoder.rate).wave for path in files]
    ours, others = [], []
    for entry in range(len(encoder.layers)):
        storage = Storage(Form.FRAMES, (entry,), "int8")
        own, spread, scaled = [], [], []
        for (frames,) in encoder.extract(waves, [entry]):
            packed = pack([frames], storage)
            raw = np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8)
            restored = unpack(raw, packed.shape, storage)
            step = np.abs(frames).max(axis=1, keepdims=True) / 127
            own.append(frames)
            spread.append(restored)
            scaled.append(np.rint(frames / np.where(step > 0, step, 1)) * step)
            assert packed.cosines is not None
            assert packed.cosines[0] > 0.9998
        frames = np.concatenate(own)
        mean, sd = frames.mean(axis=0), np.maximum(frames.std(axis=0), 1e-6)
        for kept, back in ((ours, spread), (others, scaled)):
            kept.append(cosine((frames - mean) / sd, (np.concatenate(back) - mean) / sd))
    assert min(ours) > 0.998
    assert min(ours) > min(others) + 0.01
    assert np.mean(ours) > np.mean(others)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / np.maximum(lengths, 1e-30)).mean())


# --- memory ----------------------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
from pathlib import Path
import fake_encoder
from unheard.extraction import missing_clips as fill
from unheard.extraction.extract import Storage, extract
from unheard.inputs import Clip, Form, Layer, Piece
fake_encoder.register()
path, count, seconds, step, settings, storage, limits, folder = json.loads(sys.argv[1])
for name, value in limits.items():
    setattr(fill, name, value)
clips = [Clip(f"c{n}", Piece(path, n * step, n * step + seconds)) for n in range(count)]
done = extract(clips, settings, Storage(**storage), folder=folder)
assert len(done.features) == count, done.errors[:1]
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def peak(folder: Path, *what: object) -> int:
    """Kilobytes that a process of its own has in memory at most."""
    places = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([*what, str(folder)])],
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def long_recording(path: Path, seconds: float) -> str:
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)
    return str(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("form", "shard"), [("layers", 2**20), ("pooled", 2**15)])
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, form: str, shard: int) -> None:
    """The groups and shards are small, so that the smaller corpus fills several of them too."""
    path = long_recording(tmp_path / "a.wav", 101)
    given = {"name": "fake", "model": "a", "dims": 16}
    limits = {"GROUP": {"cpu": 2**17}, "SHARD": shard}
    few, many = (
        peak(tmp_path / str(count), path, count, 1.0, 100 / count, given, {"form": form}, limits)
        for count in (100, 1000)
    )
    assert many <= 1.1 * few


@pytest.mark.slow
@pytest.mark.parametrize("storage", [{"form": "pooled"}, {"form": "layers", "type": "int8"}])
def test_ten_hours_take_no_more_memory_than_one(
    tmp_path: Path, given: dict[str, object], storage: dict[str, str]
) -> None:
    path = long_recording(tmp_path / "a.wav", 604)
    one, ten = (
        peak(tmp_path / str(count), path, count, 3.7, 600 / count, given, storage, {})
        for count in (973, 9730)
    )
    assert ten <= 1.1 * one
