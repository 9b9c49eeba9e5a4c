"""A fine-tuned model keeps what every head promises, on waveforms."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from training_toys import model, tones  # noqa: E402

from one_input import clips_of, examples, outputs_of  # noqa: E402
from unheard import encoders, tuning  # noqa: E402
from unheard.encoders import Encoder  # noqa: E402
from unheard.errors import DataError, MachineError, UsageError  # noqa: E402
from unheard.testing import toy_encoder  # noqa: E402
from unheard.tuning import FineTuned  # noqa: E402


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    return model(tmp_path_factory.mktemp("tuned"), tune="top 2", epochs=2).fit(tones(0), tones(1))


@pytest.mark.parametrize("tune", ["all", "top 1", "lora"])
def test_learns_what_can_be_told_apart(tmp_path: Path, tune: str) -> None:
    train, others = tones(0, n=16), tones(1)
    rate = {"all": 1e-3, "top 1": 3e-3, "lora": 1e-2}[tune]
    learned = model(tmp_path, tune=tune, epochs=14, patience=14, head={"name": "mean"}, lr_backbone=rate)
    learned.fit(train, train)
    assert_array_equal(outputs_of(learned, clips_of(train)).argmax(axis=1), train.labels)
    assert (outputs_of(learned, clips_of(others)).argmax(axis=1) == others.labels).mean() >= 0.75


@pytest.mark.parametrize(
    ("head", "layer"),
    [
        ({"name": "mean"}, "last"),
        ({"name": "emobox", "hidden": 8}, 2),
        ({"name": "weighted", "hidden": 8, "attention": 4}, "weighted"),
    ],
)
def test_any_network_head_goes_behind_an_encoder(
    tmp_path: Path, head: dict[str, Any], layer: str | int
) -> None:
    learned = model(tmp_path, "wavlm", head=head, layer=layer, epochs=1).fit(tones(0), tones(1))
    weights = learned.learned_.get("layer_weights", [])
    assert len(weights) == (4 if layer == "weighted" else 0)
    if weights:
        assert sum(weights) == pytest.approx(1)
        assert len(set(weights)) > 1
    batch = outputs_of(learned, clips_of(tones(2)))
    assert_allclose(np.concatenate([outputs_of(learned, [x]) for x in clips_of(tones(2))]), batch, atol=1e-5)
    assert_array_equal(outputs_of(FineTuned.from_state(learned.state()), clips_of(tones(2))), batch)


def test_an_encoder_without_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(tmp_path)
    without = encoders.load(made.encoder)
    monkeypatch.setattr(without, "module", partial(Encoder.module, without))
    monkeypatch.setattr("unheard.encoders.load", lambda settings: without)
    with pytest.raises(UsageError, match="no layers that can be tuned"):
        made.fit(tones(0), tones(1))


def test_low_rank_matrices_need_a_layer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no query and value projections"):
        model(tmp_path, head={"name": "mean"}, tune="lora", layer=0, epochs=1).fit(tones(0), tones(1))


def test_whisper_is_tuned_alike(tmp_path: Path) -> None:
    learned = model(tmp_path, "whisper", head={"name": "mean"}, tune="lora", epochs=1).fit(tones(0), tones(1))
    assert outputs_of(FineTuned.from_state(learned.state()), clips_of(tones(2))).shape == (12, 2)


@pytest.mark.parametrize("family", ["hubert", "wavlm", "wav2vec2"])
def test_a_clip_alone_and_in_any_batch_gives_the_same(tmp_path: Path, family: str) -> None:
    learned = model(tmp_path, family, epochs=1, longest=0.1).fit(tones(0), tones(1))
    features = clips_of(tones(2))
    batch = outputs_of(learned, features)
    alone = np.concatenate([outputs_of(learned, [wave]) for wave in features])
    order = np.random.default_rng(0).permutation(len(features))
    assert_allclose(alone, batch, atol=1e-5)
    assert_allclose(outputs_of(learned, [features[i] for i in order]), batch[order], atol=1e-5)
    assert outputs_of(learned, []).shape == (0, 2)
    # Beyond its longest length a clip is not heard: 0.1 s from the centre.
    longer = np.concatenate([np.ones(100, np.float32), features[0][:1600], -np.ones(100, np.float32)])
    assert len(features[0]) >= 1600
    assert_allclose(outputs_of(learned, [longer]), outputs_of(learned, [features[0][:1600]]), atol=1e-5)


def test_the_state_holds_what_was_trained_and_makes_the_model_again(tuned: FineTuned) -> None:
    state = tuned.state()
    assert all(array.dtype != object for array in state.values())
    names = {name.removeprefix("network.") for name in state if name.startswith("network.")}
    assert {name.split(".")[0] for name in names} == {"encoder", "head"}
    layers = {name.split(".")[2] for name in names if name.startswith("encoder.")}
    assert layers == {"1", "2"}
    again = FineTuned.from_state(state)
    assert_array_equal(outputs_of(again, clips_of(tones(2))), outputs_of(tuned, clips_of(tones(2))))
    assert again.chosen_ == tuned.chosen_
    assert again.settings() == tuned.settings()
    assert_array_equal(again.state()["network.head.output.weight"], state["network.head.output.weight"])


def test_low_rank_matrices_alone_are_stored(tmp_path: Path) -> None:
    learned = model(tmp_path, tune="lora", lora_rank=2, epochs=1).fit(tones(0), tones(1))
    state = learned.state()
    encoder = [name for name in state if name.startswith("network.encoder.")]
    assert len(encoder) == 12
    assert all(".lora_" in name for name in encoder)
    again = FineTuned.from_state(state)
    assert_array_equal(outputs_of(again, clips_of(tones(2))), outputs_of(learned, clips_of(tones(2))))


def test_a_moved_encoder_is_found_where_it_is_now_and_another_is_refused(tmp_path: Path) -> None:
    learned = model(tmp_path, tune="top 1", epochs=1).fit(tones(0), tones(1))
    state, expected = learned.state(), outputs_of(learned, clips_of(tones(2)))
    moved = tmp_path / "moved"
    (tmp_path / "hubert").rename(moved)
    again = FineTuned.from_state(state, {"model": str(moved)})
    assert_array_equal(outputs_of(again, clips_of(tones(2))), expected)
    other = toy_encoder(tmp_path / "other", "hubert", seed=1)
    with pytest.raises(DataError, match="sha256"):
        FineTuned.from_state(state, {"model": str(other)})


def test_what_is_no_state_is_refused(tuned: FineTuned) -> None:
    with pytest.raises(DataError, match="not the state of a fine-tuned model"):
        FineTuned.from_state({})
    state = {**tuned.state(), "settings": np.array('{"name": "probe"}')}
    with pytest.raises(DataError, match="state of a head 'probe'"):
        FineTuned.from_state(state)


def test_refit_runs_the_chosen_epochs_on_other_rows(tuned: FineTuned) -> None:
    before = outputs_of(tuned, clips_of(tones(2)))
    tuned.chosen_ = {"epochs": 1}
    again = tuned.refit(tones(0) + tones(1))
    assert len(again.history_) == 1
    assert set(again.history_[0]) == {"epoch", "train_loss"}
    assert again.chosen_ == {"epochs": 1}
    assert_array_equal(outputs_of(tuned, clips_of(tones(2))), before)
    assert np.abs(outputs_of(again, clips_of(tones(2))) - before).max() > 1e-4


def test_a_refit_on_the_same_rows_repeats_the_fit(tmp_path: Path) -> None:
    learned = model(tmp_path, epochs=3, patience=3, augment=True).fit(tones(0), tones(1))
    again = learned.refit(tones(0))
    assert_array_equal(outputs_of(again, clips_of(tones(2))), outputs_of(learned, clips_of(tones(2))))


def test_seed_and_only_the_seed_changes_the_model(tmp_path: Path) -> None:
    def logits(seed: int) -> np.ndarray:
        learned = model(tmp_path, seed=seed, epochs=1, augment=True, time_mask=[0.2, 2])
        return outputs_of(learned.fit(tones(0), tones(1)), clips_of(tones(1)))

    torch.manual_seed(123)
    drawn, threads = torch.get_rng_state(), torch.get_num_threads()
    one = logits(1)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.get_num_threads() == threads
    torch.manual_seed(321)
    assert_array_equal(one, logits(1))
    assert np.abs(one - logits(2)).max() > 1e-4


def test_plain_values_make_the_same_model(tuned: FineTuned) -> None:
    s = tuned.settings()
    made = tuning.build(s["training"], s["encoder"], s["head"], seed=s["seed"], threads=s["threads"])
    assert made.settings() == s


def test_bad_rows_are_refused(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"train": tones(0), "val": tones(1)}
    with pytest.raises(DataError, match="--val speakers"):
        model(tmp_path).fit(tones(0))
    with pytest.raises(UsageError, match="not fitted"):
        outputs_of(model(tmp_path), clips_of(rows["val"]))
    absent = examples(clips_of(rows["train"]), np.zeros(12, np.int64), rows["train"].speakers, 2)
    with pytest.raises(DataError, match="no training row of the class 1"):
        model(tmp_path).fit(absent, rows["val"])
    frames = examples([np.zeros((5, 3), np.float32)] * 12, rows["train"].labels, rows["train"].speakers, 2)
    with pytest.raises(DataError, match="have shape"):
        model(tmp_path).fit(frames, rows["val"])


def test_ccc_over_several_devices_is_refused(tmp_path: Path) -> None:
    head = {"name": "tcgru", "hidden": 8, "objective": {"classes": "ccc"}}
    with pytest.raises(UsageError, match=r"training\.devices is 2, and CCC is computed over all clips"):
        model(tmp_path, head=head, devices=2).fit(tones(0), tones(1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"training\.device is 'cuda'"):
        model(tmp_path, device="cuda").fit(tones(0), tones(1))
