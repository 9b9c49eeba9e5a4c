"""The store: what was extracted is what is read, whatever breaks, whoever else writes, and however it is kept."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_encoder
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unheard import encoders, files, temporary
from unheard.audio.decode import load
from unheard.audio.trim import trim
from unheard.errors import DataError, MachineError, UsageError
from unheard.extraction import maintenance as stores
from unheard.extraction import missing_clips as filling
from unheard.extraction import shard as shards
from unheard.extraction.extract import extract
from unheard.extraction.extracted import Extracted
from unheard.extraction.storage import Storage, averaged, pack, shape_of, size_of, statistics, unpack
from unheard.extraction.store import remove_least_recently_used
from unheard.inputs import Clip, Form, Layer, Piece
from unheard.temporary import held

RATE = 16_000
FRAMES = Storage(Form.LAYERS, (1, 2))


@pytest.fixture(autouse=True)
def _fake() -> None:
    fake_encoder.register()


def recording(
    path: Path, *, loud: float = 0.5, seconds: float = 0.3, seed: int = 0, rate: int = RATE
) -> Path:
    noise = np.random.default_rng(seed).uniform(-1, 1, round(seconds * rate))
    soundfile.write(path, loud * noise / np.abs(noise).max(), rate, format="WAV", subtype="FLOAT")
    return path


def corpus(folder: Path, count: int = 20) -> list[Clip]:
    return [
        Clip(f"c{n:02d}", Piece(str(recording(folder / f"{n}.wav", seconds=0.2 + 0.02 * (n % 7), seed=n))))
        for n in range(count)
    ]


def settings_of(**more: object) -> dict[str, object]:
    return {"name": "fake", "model": "a", **more}


def directly(clip: Clip, storage: Storage, **more: object) -> np.ndarray:
    """What must be stored, by the shortest way."""
    encoder = encoders.load(settings_of(**more))
    numbers = range(len(encoder.layers)) if storage.layers is None else storage.layers
    wave = load(clip.audio.path, clip.audio.start, clip.audio.end, rate=encoder.rate).wave
    (layers,) = encoder.extract([wave], list(numbers))
    packed = pack(layers, storage)
    return unpack(
        np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8), packed.shape, storage
    )


def same(first: Extracted, second: Extracted) -> None:
    assert list(first.features) == list(second.features)
    for name in first.features:
        np.testing.assert_array_equal(first.features[name], second.features[name], strict=True)
    assert first.errors == second.errors


def calls(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def shard_files(stored: Extracted) -> list[Path]:
    return sorted(stored.folder.glob("*.shard"))


def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of few clips, and a shard for each."""
    monkeypatch.setattr(filling, "MAX_CLIPS", 4)
    monkeypatch.setattr(filling, "SHARD", 1)


# --- what is stored --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "storage",
    [
        Storage(),
        Storage(layers=(0, 3)),
        Storage(Form.FRAMES, (2,)),
        FRAMES,
        Storage(Form.LAYERS, None, "float16"),
        Storage(Form.LAYERS, None, "int8"),
        Storage(Form.FRAMES, (3,), "int8", 2),
        Storage(Form.LAYERS, None, "float32", 3),
    ],
)
def test_what_is_stored_is_what_the_encoder_gives(tmp_path: Path, storage: Storage) -> None:
    clips = corpus(tmp_path)[::-1]
    stored = extract(clips, settings_of(), storage, folder=tmp_path / "store")
    assert list(stored.features) == [clip.id for clip in clips]
    assert stored.errors == ()
    chosen = storage.layers or (0, 1, 2, 3)
    assert stored.layers == tuple(Layer(str(layer), 6, 50.0) for layer in chosen)
    for clip in clips:
        array = stored.features[clip.id]
        np.testing.assert_array_equal(array, directly(clip, storage), strict=True)
        assert array.dtype == np.float32
        assert stored.features.shape(clip.id) == array.shape
        array[:] = 0  # it is the caller's
        assert stored.features[clip.id].any()
    assert (stored.cosines is None) == (storage.type == "float32")


def test_forms_have_the_shapes_that_heads_take(tmp_path: Path) -> None:
    (clip,) = corpus(tmp_path, 1)  # 0.2 s: 10 frames

    def shape(storage: Storage, **more: object) -> tuple[int, ...]:
        return extract([clip], settings_of(**more), storage, folder=tmp_path / "store").features["c00"].shape

    assert shape(Storage()) == (4, 2, 6)
    assert shape(Storage(layers=(3,))) == (1, 2, 6)
    assert shape(Storage(Form.FRAMES, (1,))) == (10, 6)
    assert shape(Storage(Form.LAYERS, None)) == (4, 10, 6)
    assert shape(Storage(Form.LAYERS, (1, 2), average=4)) == (2, 3, 6)
    assert shape(Storage(), cut=1) == (2, 2, 6)
    assert shape(Storage(), widening=True) == (4, 2, 9)


def test_pooled_are_mean_and_population_sd_with_zeros_beyond_an_entrys_width() -> None:
    rng = np.random.default_rng(0)
    layers = [rng.normal(100, 0.1, (50, dims)).astype(np.float32) for dims in (3, 5)]
    pooled = statistics(layers)
    for place, layer in enumerate(layers):
        dims = layer.shape[1]
        np.testing.assert_allclose(pooled[place, 0, :dims], layer.mean(axis=0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_allclose(pooled[place, 1, :dims], layer.std(axis=0, dtype=np.float64), rtol=1e-6)
    assert not pooled[0, :, 3:].any()


def test_averaging_takes_neighbours_and_the_rest() -> None:
    frames = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_array_equal(averaged(frames, 2), [[1, 2], [5, 6], [8, 9]])
    np.testing.assert_array_equal(averaged(frames, 1), frames)
    np.testing.assert_array_equal(averaged(frames, 100), [[4, 5]])


def hidden_states(seed: int = 0) -> np.ndarray:
    """Like those of large networks: most dims small, few a hundred times larger and far from zero."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(3, 200, 256))
    states[:, :, :3] = states[:, :, :3] * 5 + [300, -200, 100]
    return states.astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "loss", "cosine"), [("float16", 2**-10, 0.9999999), ("int8", 1 / 254, 0.9999)]
)
def test_the_loss_is_bounded_and_measured(kind: str, loss: float, cosine: float) -> None:
    states, storage = hidden_states(), Storage(Form.LAYERS, None, kind)
    packed = pack(list(states), storage)
    raw = np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8)
    assert len(raw) == size_of(storage, packed.shape)
    restored = unpack(raw, packed.shape, storage)
    spread = np.ptp(states, axis=1, keepdims=True) if kind == "int8" else np.abs(states)
    assert (np.abs(restored - states) <= spread * loss * 0.51 + np.abs(states) * 1e-6 + 1e-7).all()
    assert packed.cosines is not None
    assert min(packed.cosines) > cosine
    # Without the large dims, which alone would make any cosine high.
    small, back = states[:, :, 3:], restored[:, :, 3:]
    between = (small * back).sum(2) / np.linalg.norm(small, axis=2) / np.linalg.norm(back, axis=2)
    assert between.min() > 0.9999


def test_the_measured_cosine_is_that_of_the_frames() -> None:
    states = hidden_states()
    packed = pack(list(states), Storage(Form.LAYERS, None, "int8"))
    raw = np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8)
    back = unpack(raw, packed.shape, Storage(Form.LAYERS, None, "int8"))[:, ::8].astype(np.float64)
    there = states[:, ::8].astype(np.float64)
    expected = (there * back).sum(2) / np.linalg.norm(there, axis=2) / np.linalg.norm(back, axis=2)
    np.testing.assert_allclose(packed.cosines, expected.mean(axis=1), atol=1e-7)  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=9),
        elements=st.floats(-1e4, 1e4, width=32),
    ),
    st.sampled_from(["float32", "float16", "int8"]),
    st.integers(1, 4),
)
def test_any_frames_survive_packing(states: np.ndarray, kind: str, average: int) -> None:
    storage = Storage(Form.LAYERS, None, kind, average)
    packed = pack(list(states), storage)
    assert packed.shape == shape_of(storage, [states.shape[1]] * len(states), [states.shape[2]] * len(states))
    raw = np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8)
    assert len(raw) == size_of(storage, packed.shape)
    restored = unpack(raw, packed.shape, storage).reshape(len(states), -1, states.shape[2])
    exact = np.stack([averaged(layer, average) for layer in states])
    step = {"float32": 0.0, "float16": 2**-11, "int8": 1 / 254}[kind]
    allowed = np.ptp(exact, axis=1, keepdims=True) if kind == "int8" else np.abs(exact)
    assert (np.abs(restored - exact) <= allowed * step + np.abs(exact) * 1e-5 + 1e-7).all()


# --- extracted once --------------------------------------------------------------------------------------------


def test_a_second_run_computes_nothing_and_gives_the_same(tmp_path: Path) -> None:
    clips, log = corpus(tmp_path), tmp_path / "log"
    first = extract(clips, settings_of(log=str(log)), FRAMES, folder=tmp_path / "store")
    assert calls(log) == len(clips)
    same(first, extract(clips, settings_of(log=str(log)), FRAMES, folder=tmp_path / "store"))
    assert calls(log) == len(clips)


def test_with_the_digest_said_no_weights_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = corpus(tmp_path, 3)
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    clips.append(Clip("silent", Piece(str(silent))))
    first = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    monkeypatch.setattr(encoders, "load", lambda _: pytest.fail("the encoder was loaded"))
    again = extract(clips, {**first.settings, "model": ""}, FRAMES, folder=tmp_path / "store")
    same(first, again)
    assert ([layer.name for layer in again.layers], again.errors[0].id) == (["1", "2"], "silent")


def test_settings_what_is_kept_content_piece_and_versions_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    path = recording(tmp_path / "a.wav", seconds=1.0)

    def new_calls(clip: Clip, storage: Storage = FRAMES, **more: object) -> int:
        before = calls(log)
        extract([clip], settings_of(log=str(log), **more), storage, folder=tmp_path / "store")
        return calls(log) - before

    assert new_calls(Clip("a", Piece(str(path)))) == 1
    assert new_calls(Clip("b", Piece(str(path), 0.0, None))) == 0
    moved = path.rename(tmp_path / "moved.wav")
    assert new_calls(Clip("a", Piece(str(moved)))) == 0
    assert new_calls(Clip("a", Piece(str(moved), 0.0, 0.5))) == 1
    assert new_calls(Clip("a", Piece(str(moved), channel=0))) == 1
    assert new_calls(Clip("a", Piece(str(moved))), Storage()) == 1
    assert new_calls(Clip("a", Piece(str(moved))), trim=30.0) == 1
    assert new_calls(Clip("a", Piece(str(moved))), model="b") == 1
    assert new_calls(Clip("a", Piece(str(moved))), model="a") == 0
    monkeypatch.setattr(fake_encoder, "VERSION", 2)
    assert new_calls(Clip("a", Piece(str(moved)))) == 1
    monkeypatch.setattr("unheard.audio.decode.VERSIONS", {"decode": "another"})
    assert new_calls(Clip("a", Piece(str(moved)))) == 1


def test_one_content_under_several_ids_is_computed_once(tmp_path: Path) -> None:
    log, path = tmp_path / "log", recording(tmp_path / "a.wav")
    steps: list[tuple[int, int]] = []
    stored = extract(
        [Clip(name, Piece(str(path))) for name in "abc"],
        settings_of(log=str(log)),
        Storage(),
        folder=tmp_path / "store",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (len(stored.features), calls(log), steps[-1]) == (3, 1, (3, 3))


def test_it_travels_to_other_processes(tmp_path: Path) -> None:
    stored = extract(corpus(tmp_path), settings_of(), FRAMES, folder=tmp_path / "store")
    _ = stored.features["c00"]
    sent = pickle.dumps(stored)
    assert len(sent) < 20_000
    same(stored, pickle.loads(sent))
    assert "c00" in stored.features
    assert "x" not in stored.features
    with pytest.raises(KeyError):
        stored.features["x"]


def test_more_shards_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)
    monkeypatch.setattr("unheard.extraction.extracted.OPEN", 2)
    clips = corpus(tmp_path)
    stored = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    assert len(shard_files(stored)) == 5
    for _ in range(2):
        for clip in clips:
            np.testing.assert_array_equal(stored.features[clip.id], directly(clip, FRAMES))
    assert len(stored.features._maps) == 2
    shard_files(stored)[0].unlink()
    with pytest.raises(MachineError, match=r"is gone .*; run again"):
        for clip in clips:
            stored.features[clip.id]


# --- damage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["flip a clip", "flip the index", "cut", "empty", "foreign", "another store's"]
)
def test_a_damaged_shard_is_dropped_said_once_and_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    small_shards(monkeypatch)
    clips, log = corpus(tmp_path), tmp_path / "log"
    given = settings_of(log=str(log))
    first = extract(clips, given, FRAMES, folder=tmp_path / "store")
    kept = {name: np.array(first.features[name]) for name in first.features}
    other = extract(clips, settings_of(model="b"), FRAMES, folder=tmp_path / "store")
    for path in shard_files(first)[:2]:
        data = bytearray(path.read_bytes())
        if damage.startswith("flip"):
            data[100 if "clip" in damage else len(data) - 100] ^= 1
        path.write_bytes(
            {
                "cut": data[:-50],
                "empty": b"",
                "foreign": b"hello",
                "another store's": (other.folder / path.name).read_bytes(),
            }.get(damage, data)
        )
    with caplog.at_level(logging.WARNING):
        again = extract(clips, given, FRAMES, folder=tmp_path / "store")
    assert calls(log) == len(clips) + 8
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "damaged shard dropped" in caplog.text
    for name, array in kept.items():
        np.testing.assert_array_equal(again.features[name], array)
    assert len(shard_files(again)) == 5
    extract(clips, given, FRAMES, folder=tmp_path / "store")
    assert calls(log) == len(clips) + 8


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_shard_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    packed = pack([np.arange(12, dtype=np.float32).reshape(4, 3)] * 2, Storage(Form.LAYERS, None, "int8"))
    path = shards.write(folder, "a", {"k1": packed, "k2": packed}, {"k3": "silent"})
    data = bytearray(path.read_bytes())
    written = shards.read_index(path, "a")
    assert written is not None
    assert shards.intact(path, list(written.clips.values()))
    at = int(place * len(data))
    data[at] ^= 1 << bit
    path.write_bytes(data)
    index = shards.read_index(path, "a")
    used = range(8), *(range(p.first, p.first + p.length) for p in written.clips.values())
    padding = at < max(p.first + p.length for p in written.clips.values()) and not any(
        at in part for part in used
    )
    assert padding or index is None or not shards.intact(path, list(index.clips.values()))


def test_a_damaged_description_is_written_again(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 2)
    first = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    said = first.folder / "store.json"
    whole = said.read_text()
    for text in ("", "{}", "[]", whole.replace('"average": 1', '"average": 2'), whole[:-20]):
        said.write_text(text)
        same(first, extract(clips, first.settings, FRAMES, folder=tmp_path / "store"))
    extract([*clips, *corpus(tmp_path, 3)[2:]], first.settings, FRAMES, folder=tmp_path / "store")
    assert said.read_text() == whole
    assert json.loads(whole)["storage"]["layers"] == [1, 2]


def test_all_stores_are_measured_verified_and_cleared(tmp_path: Path) -> None:
    root = tmp_path / "store"
    assert (stores.sizes(root), stores.verify(root)) == ({}, 0)
    stored = [
        extract(corpus(tmp_path), settings_of(), storage, folder=root) for storage in (Storage(), FRAMES)
    ]
    sizes = stores.sizes(root)
    assert {words for words, _ in sizes.values()} == {
        "fake (a), pooled statistics, 0 … 3",
        "fake (a), frames as float32, 1 … 2",
    }
    assert sizes[stored[1].folder][1] == sum(path.stat().st_size for path in stored[1].folder.iterdir())
    (path,) = shard_files(stored[0])
    path.write_bytes(path.read_bytes()[:-1])
    assert (stores.verify(root), stores.verify(root)) == (1, 0)
    notes = [root / "notes.txt", stored[1].folder / "notes.txt"]
    for note in notes:
        note.write_text("mine")
    stores.clear(root)
    assert sorted(path for path in root.rglob("*") if path.is_file()) == sorted(notes)


# --- broken off, side by side, full, read-only ---------------------------------------------------------------

SCRIPT = """
import json, sys
import fake_encoder
from unheard.extraction import missing_clips as fill
from unheard.extraction.extract import Storage, extract
from unheard.inputs import Clip, Form, Layer, Piece
fake_encoder.register()
fill.MAX_CLIPS = 4
fill.SHARD = 1
clips, settings, folder = json.loads(sys.argv[1])
storage = Storage(Form.LAYERS, (1, 2))
done = extract([Clip(name, Piece(path)) for name, path in clips], settings, storage, folder=folder)
print(len(done.features))
"""


def process(clips: list[Clip], given: dict[str, object], folder: Path) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    what = json.dumps([[[clip.id, clip.audio.path] for clip in clips], given, str(folder)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, what],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_loses_the_shard_in_hand_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)
    clips, log, root = corpus(tmp_path, 40), tmp_path / "log", tmp_path / "store"
    unbroken = extract(clips, settings_of(), FRAMES, folder=tmp_path / "other")
    running = process(clips, settings_of(log=str(log), pause=0.05), root)
    while calls(log) < 18:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = calls(log)
    assert done < 40
    stored = extract(clips, settings_of(log=str(log)), FRAMES, folder=root)
    lost = calls(log) - 40
    assert 0 <= lost <= 8  # a group that was being encoded, and one that was being written
    same(unbroken, stored)
    assert {path.name: path.read_bytes() for path in shard_files(unbroken)} == {
        path.name: path.read_bytes() for path in shard_files(stored)
    }


def test_two_processes_on_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)
    clips, root = corpus(tmp_path, 30), tmp_path / "store"
    both = [process(clips[first:], settings_of(pause=0.005), root) for first in (0, 5)]
    for running, count in zip(both, (30, 25), strict=True):
        out, err = running.communicate(timeout=60)
        assert (out, err) == (f"{count}\n", "")
    log = tmp_path / "log"
    stored = extract(clips, settings_of(log=str(log)), FRAMES, folder=root)
    assert calls(log) == 0
    same(stored, extract(clips, settings_of(), FRAMES, folder=tmp_path / "other"))
    assert stores.verify(root) == 0


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    stored = extract(corpus(tmp_path, 2), settings_of(), FRAMES, folder=tmp_path / "store")
    left, in_hand = (stored.folder / f".{'0' * 32}.shard.{name}.unheard.part" for name in ("left", "in_hand"))
    for path in (left, in_hand):
        path.write_bytes(b"half")
    with held(in_hand):
        extract(corpus(tmp_path, 2), settings_of(), FRAMES, folder=tmp_path / "store")
        assert not left.exists()
        assert in_hand.exists()
    extract(corpus(tmp_path, 2), settings_of(), FRAMES, folder=tmp_path / "store")
    assert not in_hand.exists()


def refuse_writing(monkeypatch: pytest.MonkeyPatch, number: int, after: int) -> None:
    """The system refuses to sync a file, from the n-th on."""
    synced, sync = [], os.fsync

    def fsync(file: int) -> None:
        synced.append(file)
        if len(synced) > after:
            raise OSError(number, os.strerror(number))
        sync(file)

    monkeypatch.setattr(files.os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_ends_in_an_error_and_a_usable_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    small_shards(monkeypatch)
    clips, log = corpus(tmp_path), tmp_path / "log"
    with monkeypatch.context() as patch:
        refuse_writing(patch, number, after=3)  # store.json and two shards
        with pytest.raises(
            MachineError, match=r"the disk is full.*: could not write .*\.shard; what was written to .* stays"
        ):
            extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    stored = extract(clips, settings_of(log=str(log)), FRAMES, folder=tmp_path / "store")
    assert calls(log) == len(clips) - 8
    assert len(list(stored.folder.iterdir())) == 6  # nothing half written among them


def test_a_store_that_may_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = corpus(tmp_path)
    first = extract(clips[:10], settings_of(), FRAMES, folder=tmp_path / "store")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(temporary.tempfile, "mkstemp", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    same(first, extract(clips[:10], settings_of(), FRAMES, folder=tmp_path / "store"))
    with pytest.raises(
        MachineError, match=r"clips are missing in the store .* \(Read-only file system\); set UNHEARD"
    ):
        extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")


# --- bad clips and calls that are off --------------------------------------------------------------------------


def test_bad_clips_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    good = corpus(tmp_path, 3)
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    bad = [Clip(name, Piece(str(tmp_path / f"{name}.wav"))) for name in ("absent", "empty", "silent")]
    steps: list[tuple[int, int]] = []
    stored = extract(
        [bad[0], good[0], *bad[1:], *good[1:]],
        settings_of(),
        Storage(),
        folder=tmp_path / "store",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert list(stored.features) == ["c00", "c01", "c02"]
    reasons = {clip.id: clip.reason for clip in stored.errors}
    assert list(reasons) == ["absent", "empty", "silent"]
    for name, part in {"absent": "no such file", "empty": "zero bytes", "silent": "is silent"}.items():
        assert part in reasons[name]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (6, 6)


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("nan", "float32", "not finite"),
        ("large", "float16", "beyond what float16 holds; take int8 or float32"),
        ("refuse", "float32", "too loud for this encoder"),
    ],
)
def test_what_the_encoder_cannot_do_is_an_error_of_that_clip(
    tmp_path: Path, fault: str, kind: str, reason: str
) -> None:
    clips = [*corpus(tmp_path, 5), Clip("loud", Piece(str(recording(tmp_path / "loud.wav", loud=0.95))))]
    storage = Storage(Form.FRAMES, (1,), kind)
    stored = extract(clips, settings_of(fault=fault), storage, folder=tmp_path / "store")
    assert len(stored.features) == 5
    assert [clip.id for clip in stored.errors] == ["loud"]
    assert reason in stored.errors[0].reason
    same(stored, extract(clips, settings_of(fault=fault), storage, folder=tmp_path / "store"))


def test_large_values_fit_int8(tmp_path: Path) -> None:
    clip = Clip("loud", Piece(str(recording(tmp_path / "loud.wav", loud=0.95))))
    stored = extract(
        [clip], settings_of(fault="large"), Storage(Form.FRAMES, (1,), "int8"), folder=tmp_path / "store"
    )
    assert np.abs(stored.features["loud"]).max() > 65_504


def test_a_file_that_changes_meanwhile_is_an_error_this_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shards(monkeypatch)
    clips = corpus(tmp_path)
    last = min(clips, key=lambda clip: (Path(clip.audio.path).stat().st_size, clip.id))

    def meddle(done: int, _: int) -> None:
        if done == 4:
            recording(Path(last.audio.path), seconds=0.2, seed=99)

    monkeypatch.setattr(filling, "AHEAD", 0)
    stored = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store", progress=meddle)
    assert [clip.id for clip in stored.errors] == [last.id]
    assert "changed during the run" in stored.errors[0].reason
    again = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    assert again.errors == ()
    np.testing.assert_array_equal(again.features[last.id], directly(last, FRAMES))


def test_silence_is_cut_off_before_encoding_at_the_encoders_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100).astype(np.float32)
    wave[:20_000] *= 1e-4
    soundfile.write(path, wave, 44_100, subtype="FLOAT")
    given = settings_of(trim=30.0, rate=32_000)
    stored = extract(
        [Clip("a", Piece(str(path)))], given, Storage(Form.FRAMES, (1,)), folder=tmp_path / "store"
    )
    heard = trim(load(path, rate=32_000).wave, 30.0, 32_000)
    ((expected,),) = encoders.load(given).extract([heard], [1])
    np.testing.assert_array_equal(stored.features["a"], expected)


def test_calls_that_are_off(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 2)
    for storage in ({"form": "pool"}, {"form": "frames", "type": "int4"}, {"form": "frames", "average": 0}):
        with pytest.raises(UsageError, match="storage"):
            Storage(**storage)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="belong to the forms frames and layers"):
        Storage(type="int8")
    for layers in ((), (2, 1), (1, 1), (-1,)):
        with pytest.raises(UsageError, match="increasing"):
            Storage(layers=layers)
    with pytest.raises(UsageError, match=r"layers 0 to 3, found 4"):
        extract(clips, settings_of(), Storage(layers=(4,)), folder=tmp_path)
    with pytest.raises(UsageError, match=r"must agree in dims .* 6 dims at 50 Hz, 7 dims"):
        extract(clips, settings_of(widening=True), Storage(Form.LAYERS), folder=tmp_path)
    with pytest.raises(DataError, match="same id"):
        extract([clips[0], clips[0]], settings_of(), Storage(), folder=tmp_path)
    with pytest.raises(UsageError, match="0 processes"):
        extract(clips, settings_of(), Storage(), folder=tmp_path, jobs=0)
    empty = extract([], settings_of(), Storage(), folder=tmp_path / "store")
    assert (len(empty.features), empty.errors, len(empty.layers)) == (0, (), 4)
    assert not (tmp_path / "store").exists()


# --- removal and the index -------------------------------------------------------------------------------------


def test_shards_that_were_not_used_for_longest_go_and_those_in_use_stay(tmp_path: Path) -> None:
    root = tmp_path / "store"
    paths = [
        shard_files(extract(corpus(tmp_path, 4), settings_of(model=name), FRAMES, folder=root))[0]
        for name in "abc"
    ]
    size = sum(path.stat().st_size for path in paths)
    os.utime(paths[1], (1, 1))
    os.utime(paths[0], (2, 2))
    remove_least_recently_used(root, size)
    assert all(path.exists() for path in paths)
    remove_least_recently_used(root, size - 1)
    assert [path.exists() for path in paths] == [True, False, True]
    remove_least_recently_used(root, 1)
    assert [path.exists() for path in paths] == [False, False, True]  # the last was used by this process
    extract(corpus(tmp_path, 4), settings_of(model="c"), FRAMES, folder=root)


def test_the_users_cache_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    clips = corpus(tmp_path, 4)
    old = shard_files(extract(clips, settings_of(model="a"), FRAMES))[0]
    os.utime(old, (1, 1))
    monkeypatch.setenv("UNHEARD_CACHE_MAX", "1e-6")
    new = extract(clips, settings_of(model="b"), FRAMES)
    assert not old.exists() and len(new.features) == 4
    for wrong in ("much", "-1", "0"):
        monkeypatch.setenv("UNHEARD_CACHE_MAX", wrong)
        with pytest.raises(UsageError, match="UNHEARD_CACHE_MAX"):
            extract(clips, settings_of(), FRAMES)


def test_an_index_opens_what_was_extracted_without_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [*corpus(tmp_path), Clip("absent", Piece(str(tmp_path / "absent.wav")))]
    first = extract(clips, settings_of(), FRAMES, folder=tmp_path / "store")
    first.write(tmp_path / "index.json")
    monkeypatch.setattr(encoders, "load", lambda _: pytest.fail("the encoder was loaded"))
    for clip in clips:
        Path(clip.audio.path).unlink(missing_ok=True)
    again = Extracted.read(tmp_path / "index.json")
    same(first, again)
    assert (again.layers, again.settings, again.folder) == (first.layers, first.settings, first.folder)


def test_the_same_clips_in_another_order_make_the_same_shard(tmp_path: Path) -> None:
    from unheard.extraction import shard

    storage = Storage(Form.ROW, (0,))
    clips = {name: pack([np.full(3, k, np.float32)], storage) for k, name in enumerate("abc")}
    path = shard.write(tmp_path, "store", clips, {})
    before = path.read_bytes()
    assert shard.write(tmp_path, "store", dict(reversed(clips.items())), {}) == path
    assert path.read_bytes() == before
