"""TC-GRU: the network against one written in numpy, and the training's promises."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from one_input import clips_of, examples, outputs_of
from unheard import heads
from unheard.errors import DataError, MachineError, UsageError
from unheard.heads import Examples
from unheard.heads.networks.tcgru import TCGRU
from unheard.training.divergence import DivergenceError

torch = pytest.importorskip("torch")

from unheard.heads.networks.tcgru_network import TCGRUNetwork  # noqa: E402
from unheard.training.augmentation import Augmentation, augmented  # noqa: E402
from unheard.training.batches import buckets, padded  # noqa: E402

PLAIN: dict[str, Any] = {"level": 0.0, "noise": 0.0, "time_mask": 0.0, "frequency_mask": 0.0, "dropout": 0.0}

#: Of the fit below, noted when TC-GRU had a training loop of its own.
LOSSES = [1.093520164489746, 1.0839907725652058, 1.0372651020685832]
LOGITS = [
    [-0.037525475025177, -0.08071620017290115, -0.10373872518539429],
    [-0.24513253569602966, -0.04037594795227051, -0.01781204342842102],
]


def clips(seed: int, n: int = 24, dims: int = 4, classes: int = 3, longest: int = 12) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = [
        (rng.normal(0, 1, (int(rng.integers(1, longest + 1)), dims)) + 0.7 * label).astype(np.float32)
        for label in labels
    ]
    return examples(features, labels, np.array([f"s{i % 4}" for i in range(n)]), classes)


def test_has_the_published_number_of_parameters() -> None:
    network = TCGRUNetwork(dims=1024, classes=12)
    assert sum(p.numel() for p in network.parameters()) == 1_645_068


def test_equals_the_equations_written_in_numpy() -> None:
    torch.manual_seed(0)
    network = TCGRUNetwork(dims=3, classes=2, hidden=5).eval()
    network.mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    network.scale.copy_(torch.tensor([2.0, 0.5, 1.0]))
    frames = np.random.default_rng(0).normal(0, 1, (7, 3))
    w = {name: value.numpy().astype(float) for name, value in network.state_dict().items()}
    x = (frames - w["mean"]) / w["scale"]
    x = np.vstack([np.zeros(3), x, np.zeros(3)])
    kernel, bias = w["convolution.weight"], w["convolution.bias"]
    steps = [np.maximum(0, sum(kernel[:, :, k] @ x[t + k] for k in range(3)) + bias) for t in range(7)]
    for layer in (0, 1):
        Wi, Wh = w[f"gru.weight_ih_l{layer}"], w[f"gru.weight_hh_l{layer}"]
        bi, bh = w[f"gru.bias_ih_l{layer}"], w[f"gru.bias_hh_l{layer}"]
        h, out = np.zeros(5), []
        for step in steps:
            (ri, zi, ni), (rh, zh, nh) = np.split(Wi @ step + bi, 3), np.split(Wh @ h + bh, 3)
            r, z = 1 / (1 + np.exp(-(ri + rh))), 1 / (1 + np.exp(-(zi + zh)))
            h = (1 - z) * np.tanh(ni + r * nh) + z * h
            out.append(h)
        steps = out
    embedded = np.tanh(w["embedding.weight"] @ steps[-1] + w["embedding.bias"])
    expected = w["output.weight"] @ embedded + w["output.bias"]
    with torch.no_grad():
        found = network.score(torch.tensor(frames[None], dtype=torch.float32), torch.tensor([7]))[0]
    assert_allclose(found.numpy(), expected, atol=1e-6)


def test_padding_never_leaks_whatever_it_holds() -> None:
    torch.manual_seed(1)
    network = TCGRUNetwork(dims=4, classes=3, hidden=16).eval()
    network.mean.fill_(5.0)
    features = clips_of(clips(0))
    frames, lengths = padded(features)
    beyond = torch.arange(frames.shape[1])[None, :, None] >= lengths[:, None, None]
    with torch.no_grad():
        alone = torch.cat([network.score(*padded([clip])) for clip in features])
        for garbage in (0.0, 1e4, float("nan"), float("inf")):
            spoiled = torch.where(beyond, torch.full_like(frames, garbage), frames)
            assert_allclose(network.score(spoiled, lengths).numpy(), alone.numpy(), atol=1e-5)
        longer = torch.nn.functional.pad(frames, (0, 0, 0, 9))
        assert_allclose(network.score(longer, lengths).numpy(), alone.numpy(), atol=1e-5)


def test_batches_hold_every_clip_once_and_similar_lengths_together() -> None:
    lengths = np.random.default_rng(0).integers(10, 200, 103).tolist()
    for rng in (None, np.random.default_rng(0)):
        batches = buckets(lengths, 16, rng)
        assert sorted(i for batch in batches for i in batch) == list(range(103))
        assert max(len(batch) for batch in batches) == 16
        padding = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches) / sum(lengths)
        assert padding < 1.25
    rng = np.random.default_rng(0)
    first, second = buckets(lengths, 16, rng), buckets(lengths, 16, rng)
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    assert first == buckets(lengths, 16, np.random.default_rng(0))


def test_the_best_epoch_is_kept_and_training_stops_after_patience() -> None:
    train, val = clips(0), clips(1)
    head = TCGRU(hidden=8, epochs=60, patience=4, batch=8, learning_rate=0.02).fit(train, val)
    best = head.chosen_["epochs"] - 1
    record = head.history_[best]
    assert [r["epoch"] for r in head.history_] == list(range(len(head.history_)))
    assert len(head.history_) - 1 == best + 4 < 59
    others = [(r["val_uar"], -r["val_loss"]) for r in head.history_]
    assert others[best] == max(others)
    # The kept network gives that epoch's figures: neither dropout nor augmentation touches a prediction.
    logits = outputs_of(head, clips_of(val))
    predicted = logits.argmax(axis=1)
    assert record["val_uar"] == pytest.approx(
        np.mean([(predicted[val.labels == c] == c).mean() for c in range(3)])
    )
    weights = torch.tensor(len(train) / (3 * np.bincount(train.labels)), dtype=torch.float32)
    loss = torch.nn.functional.cross_entropy(
        torch.tensor(logits, dtype=torch.float32), torch.tensor(val.labels), weights
    )
    assert record["val_loss"] == pytest.approx(float(loss), abs=1e-5)


def test_among_epochs_of_equal_uar_the_lower_loss_wins() -> None:
    # A single validation class that is soon always right: UAR stays at 1 while the loss falls.
    train = clips(0)
    val = examples([clips_of(train)[0]], np.array([0]), np.array(["v"]), 3)
    head = TCGRU(hidden=8, epochs=12, patience=12, batch=8, learning_rate=0.01, **PLAIN).fit(train, val)
    perfect = [r for r in head.history_ if r["val_uar"] == 1.0]
    assert len(perfect) > 2
    chosen = head.history_[head.chosen_["epochs"] - 1]
    assert chosen["val_loss"] == min(r["val_loss"] for r in perfect)


def test_a_seed_gives_what_it_always_gave() -> None:
    # Equal to the bit on the machine of the numbers; another processor may sum in another order.
    rows = clips(0)
    settings: dict[str, Any] = {"hidden": 8, "epochs": 3, "batch": 8, "learning_rate": 1e-2, "seed": 5}
    head = TCGRU(**settings).fit(rows, clips(1))
    assert [r["train_loss"] for r in head.history_] == pytest.approx(LOSSES, rel=1e-5)
    assert_allclose(outputs_of(head, clips_of(clips(2)))[:2], LOGITS, rtol=1e-4)


def test_refit_runs_the_chosen_epochs_without_validation() -> None:
    rows = clips(0)
    head = TCGRU(hidden=8, epochs=9, patience=9, batch=8)
    head.chosen_ = {"epochs": 3}
    new = head.refit(rows)
    assert len(new.history_) == 3
    assert all(set(record) == {"epoch", "train_loss"} for record in new.history_)


def test_seed_and_only_the_seed_changes_the_model() -> None:
    train, val = clips(0), clips(1)

    def logits(**settings: Any) -> np.ndarray:
        return outputs_of(TCGRU(hidden=8, epochs=2, batch=8, **settings).fit(train, val), clips_of(val))

    torch.manual_seed(123)
    one = logits(seed=1)
    torch.manual_seed(321)
    assert_array_equal(one, logits(seed=1))
    assert np.abs(one - logits(seed=2)).max() > 1e-4


def test_training_loss_weighs_classes_evenly() -> None:
    rows = clips(0, n=12)
    labels = np.array([0] * 8 + [1] * 3 + [2])
    train = examples(clips_of(rows), labels, rows.speakers, 3)
    head = TCGRU(hidden=8, epochs=1, batch=12, learning_rate=1e-8, **PLAIN).fit(train, rows)
    z = outputs_of(head, clips_of(train))
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    by_class = [-log_p[labels == c, c].mean() for c in range(3)]
    assert head.history_[0]["train_loss"] == pytest.approx(np.mean(by_class), abs=1e-4)


def test_inputs_are_standardised_on_training_frames() -> None:
    train, val = clips(0), clips(1)
    head = TCGRU(hidden=8, epochs=1).fit(train, val)
    frames = np.concatenate(clips_of(train))
    assert_allclose(head.network_.mean.numpy(), frames.mean(axis=0), atol=1e-5)
    assert_allclose(head.network_.scale.numpy(), frames.std(axis=0), atol=1e-5)
    flat = examples([np.full_like(c, 0.1) for c in clips_of(train)], train.labels, train.speakers, 3)
    assert_array_equal(TCGRU(hidden=8, epochs=1).fit(flat, val).network_.scale.numpy(), 1.0)


OFF = {"level": 0.0, "noise": 0.0, "time_mask": 0.0, "frequency_mask": 0.0}


def test_augmentation_does_what_its_fields_say() -> None:
    frames, lengths = torch.randn(6, 40, 20), torch.tensor([40, 30, 20, 10, 5, 40])

    def changed(**fields: float) -> Any:
        return augmented(frames, lengths, Augmentation(**{**OFF, **fields}), np.random.default_rng(0))

    assert torch.equal(changed(), frames)
    shift = changed(level=0.5) - frames
    assert_allclose(shift.numpy(), np.broadcast_to(shift[:, :1, :1].numpy(), shift.shape), atol=1e-5)
    assert len(np.unique(shift[:, 0, 0].numpy().round(4))) == 6
    assert float((changed(noise=0.2) - frames).std()) == pytest.approx(0.2, rel=0.05)
    gone = (changed(time_mask=0.5) == 0).all(dim=2)
    assert (gone.sum(dim=1) <= lengths * 0.5 + 0.5).all()
    assert gone.any()
    assert not gone[2, 20:].any()
    bands = (changed(frequency_mask=0.3) == 0).all(dim=1)
    assert 0 < int(bands.sum(dim=1).max()) <= 6
    assert torch.equal(changed(noise=0.1, time_mask=0.2), changed(noise=0.1, time_mask=0.2))


def planted(monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    """Let ``fault(standardised)`` act before the network's scores are made, in training."""
    real = TCGRUNetwork.classify

    def classify(self: Any, standardised: Any, lengths: Any) -> Any:
        return real(self, fault(standardised) if self.training else standardised, lengths)

    monkeypatch.setattr(TCGRUNetwork, "classify", classify)


def test_a_loss_that_is_not_finite_stops_the_fit_and_names_the_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    train = clips(0)
    clips_of(train)[9] = np.zeros((30, 4), np.float32)
    planted(monkeypatch, lambda x: x * float("nan") if x.shape[1] == 30 else x)
    with pytest.raises(
        DivergenceError, match="not finite in epoch 0, in the batch of training clips number"
    ) as e:
        TCGRU(hidden=8, batch=4, **PLAIN).fit(train, clips(1))
    assert 9 in e.value.rows
    assert len(e.value.rows) == 4
    assert isinstance(e.value, DataError)


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_a_batch_that_the_memory_does_not_hold_is_done_in_parts(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    train, val = clips(0), clips(1)
    settings: dict[str, Any] = {"hidden": 8, "epochs": 3, "batch": 12, **PLAIN}
    whole = TCGRU(**settings).fit(train, val)
    errors = {
        "gpu": torch.OutOfMemoryError("CUDA out of memory"),
        "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    }

    def fault(x: Any, most: int = 3) -> Any:
        if len(x) > most:
            raise errors[kind]
        return x

    planted(monkeypatch, fault)
    with pytest.warns(RuntimeWarning, match="out of memory: going on with") as said:
        parts = TCGRU(**settings).fit(train, val)
    assert [str(warning.message)[-17:] for warning in said] == ["6 clips at a time", "3 clips at a time"]
    assert_allclose(outputs_of(parts, clips_of(val)), outputs_of(whole, clips_of(val)), atol=1e-4)
    planted(monkeypatch, lambda x: fault(x, 0))
    with (
        pytest.warns(RuntimeWarning, match="out of memory"),
        pytest.raises(MachineError, match="one clip at a time"),
    ):
        TCGRU(**settings).fit(train, val)


def test_other_errors_are_not_taken_for_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(_: Any) -> Any:
        raise RuntimeError("something else")

    planted(monkeypatch, fault)
    with pytest.raises(RuntimeError, match="something else"):
        TCGRU(hidden=8).fit(clips(0), clips(1))


def test_an_interrupt_reaches_the_caller_and_signals_stay_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fault(_: Any) -> Any:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    planted(monkeypatch, fault)
    with pytest.raises(KeyboardInterrupt):
        TCGRU(hidden=8).fit(clips(0), clips(1))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_faults_of_use_are_named() -> None:
    with pytest.raises(DataError, match="--val speakers"):
        TCGRU().fit(clips(0), None)
    flat = examples([clip.mean(axis=0) for clip in clips_of(clips(0))], clips(0).labels, clips(0).speakers, 3)
    with pytest.raises(UsageError, match="needs frame features"):
        TCGRU().fit(flat, clips(1))
    with pytest.raises(UsageError, match=r"head\.dropout must be in 0 … 0\.95"):
        TCGRU(dropout=1.5)
    with pytest.raises(UsageError, match=r"unknown head\.device 'gpu'"):
        TCGRU(device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(MachineError, match="finds no GPU"):
            TCGRU(device="cuda").fit(clips(0), clips(1))


def test_training_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    TCGRU(hidden=8, epochs=1).fit(clips(0), clips(1))
    assert not list(tmp_path.iterdir())


def test_settings_are_read_without_torch() -> None:
    code = (
        "import sys; from unheard import heads\n"
        "heads.build({'name': 'tcgru', 'epochs': 5}).settings()\n"
        "assert not {'torch', 'lightning', 'sklearn', 'scipy'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert heads.build({"name": "tcgru", "epochs": 5}).settings()["epochs"] == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_a_model_that_answers_on_the_cpu() -> None:
    train, val = clips(0), clips(1)
    head = TCGRU(hidden=8, epochs=5, device="cuda").fit(train, val)
    assert next(head.network_.parameters()).device.type == "cpu"
    assert np.isfinite(outputs_of(head, clips_of(val))).all()
