"""The training: gradients, the best epoch, resuming, memory, divergence, several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from training_toys import STILL, model, tones  # noqa: E402

from one_input import clips_of, outputs_of  # noqa: E402
from unheard.errors import DataError, MachineError  # noqa: E402
from unheard.metrics import categorical  # noqa: E402
from unheard.training import checkpoint  # noqa: E402
from unheard.training.divergence import DivergenceError  # noqa: E402
from unheard.tuning.network import TunedNetwork  # noqa: E402

PLAIN_HEAD = {"name": "tcgru", "hidden": 8, "dropout": 0.0}


class SeenError(Exception):
    """Ends a training once its first step's gradients are there."""


def gradients(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def look(values: Any, most: float) -> None:
        found.extend(value.grad.numpy().copy() for value in values)
        raise SeenError

    with monkeypatch.context() as patched:
        patched.setattr("torch.nn.utils.clip_grad_norm_", look)
        with pytest.raises(SeenError):
            model(folder, **settings).fit(tones(0), tones(1))
    assert any(np.abs(gradient).max() > 1e-4 for gradient in found)
    return found


def test_accumulation_gives_the_gradient_of_the_whole_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still: dict[str, Any] = {"config": STILL, "head": PLAIN_HEAD}
    whole = gradients(tmp_path, monkeypatch, batch=10, **still)
    for batch, accumulate in ((5, 2), (2, 5), (1, 10)):
        parts = gradients(tmp_path, monkeypatch, batch=batch, accumulate=accumulate, **still)
        for one, other in zip(whole, parts, strict=True):
            assert_allclose(other, one, atol=1e-6)


def test_the_gradient_is_that_of_the_balanced_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    still: dict[str, Any] = {"config": STILL, "head": PLAIN_HEAD}
    found = gradients(tmp_path, monkeypatch, batch=12, **still)
    tuned = model(tmp_path, batch=12, **still)
    torch.manual_seed(0)
    network = tuned._network(2)
    rows = tones(0)
    from unheard.tuning.parameters import groups

    total = 0.0
    for wave, label in zip(clips_of(rows), rows.labels, strict=True):
        # Classes are equally frequent: every clip weighs the same.
        logits = network(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor([label])) / len(rows)
    total.backward()  # type: ignore[attr-defined]
    moving = [value for group in groups(network, tuned.training) for value in group["params"]]
    for gradient, value in zip(found, moving, strict=True):
        assert_allclose(gradient, value.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("tune", ["all", "top 2", "lora"])
def test_checkpointed_layers_give_the_same_gradient_dropout_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tune: str
) -> None:
    kept = gradients(tmp_path, monkeypatch, tune=tune)
    again = gradients(tmp_path, monkeypatch, tune=tune, checkpointing=True)
    for one, other in zip(kept, again, strict=True):
        assert_allclose(other, one, atol=1e-6)


def test_mixed_precision_is_close_to_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    still: dict[str, Any] = {"config": STILL, "head": PLAIN_HEAD}
    exact = np.concatenate([g.ravel() for g in gradients(tmp_path, monkeypatch, **still)])
    mixed = np.concatenate(
        [g.ravel() for g in gradients(tmp_path, monkeypatch, precision="bfloat16", **still)]
    )
    assert np.abs(mixed - exact).max() > 0
    cosine = exact @ mixed / np.linalg.norm(exact) / np.linalg.norm(mixed)
    assert cosine > 0.999


@pytest.mark.parametrize("metric", ["uar", "macro_f1", "weighted_f1", "accuracy"])
def test_the_best_epoch_is_kept_and_training_stops_after_patience(tmp_path: Path, metric: str) -> None:
    train, val = tones(0, n=10, classes=3), tones(1, n=10, classes=3)
    tuned = model(tmp_path, metric=metric, epochs=30, patience=2, lr_backbone=3e-3).fit(train, val)
    history, key = tuned.history_, f"val_{metric}"
    best = tuned.chosen_["epochs"] - 1
    order = [(record[key], -record["val_loss"]) for record in history]
    assert order[best] == max(order)
    assert len(history) == best + 3 <= 30
    assert [record["epoch"] for record in history] == list(range(len(history)))
    logits = outputs_of(tuned, clips_of(val))
    counts = categorical.confusion(val.labels, logits.argmax(axis=1), 3)
    assert history[best][key] == pytest.approx(float(getattr(categorical, metric)(counts)))
    weights = torch.tensor(len(train) / (3 * np.bincount(train.labels)))
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(val.labels), weights)
    assert history[best]["val_loss"] == pytest.approx(float(loss), abs=1e-5)


PLACES = ["during the second epoch", "before progress is noted", "while old files are removed"]


@pytest.mark.parametrize("place", PLACES)
def test_a_training_that_broke_off_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    settings: dict[str, Any] = {"epochs": 4, "augment": True, "crop": "random", "longest": 0.2, "patience": 2}
    whole = model(tmp_path, **settings).fit(tones(0), tones(1))
    calls = 0

    def breaking(real: Any, after: int) -> Any:
        def act(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                raise SystemExit("killed")
            return real(*args, **more)

        return act

    with monkeypatch.context() as patched:
        if place == PLACES[0]:
            patched.setattr("unheard.tuning.loop.training_batch", _late(calls_before=4))
        elif place == PLACES[1]:
            patched.setattr(checkpoint, "note", breaking(checkpoint.note, 1))
        else:
            real = Path.unlink
            killed = breaking(real, 1)

            def unlink(path: Path, **more: Any) -> None:
                """Break off at the second file of the training, not at a temporary one."""
                (real if path.name.startswith(".") else killed)(path, **more)

            patched.setattr(Path, "unlink", unlink)
        with pytest.raises(SystemExit):
            model(tmp_path, state=tmp_path / "state", **settings).fit(tones(0), tones(1))
    left = sorted(path.suffix for path in (tmp_path / "state" / "fit").iterdir())
    assert set(left) == {".json", ".pt", ".safetensors"}
    resumed = model(tmp_path, state=tmp_path / "state", **settings).fit(tones(0), tones(1))
    assert resumed.history_ == whole.history_
    assert_array_equal(outputs_of(resumed, clips_of(tones(2))), outputs_of(whole, clips_of(tones(2))))
    # What is finished is not trained again.
    monkeypatch.setattr("unheard.tuning.loop.training_batch", _late(calls_before=0))
    again = model(tmp_path, state=tmp_path / "state", **settings).fit(tones(0), tones(1))
    assert again.history_ == whole.history_
    assert_array_equal(outputs_of(again, clips_of(tones(2))), outputs_of(whole, clips_of(tones(2))))


def _late(calls_before: int) -> Any:
    from unheard.tuning.batches import training_batch

    left = calls_before

    def act(*args: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise SystemExit("killed")
        return training_batch(*args)

    return act


def test_a_killed_process_loses_the_epoch_in_hand_alone(tmp_path: Path) -> None:
    code = f"""
        import os, sys
        sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
        from pathlib import Path
        from training_toys import model, tones
        from unheard.tuning import loop as course
        real, left = course.training_batch, 7
        def deadly(*args):
            global left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
            return real(*args)
        course.training_batch = deadly
        folder = Path({str(tmp_path)!r})
        model(folder, state=folder / "state", epochs=4).fit(tones(0), tones(1))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    folder = tmp_path / "state" / "fit"
    assert len(json.loads((folder / "progress.json").read_text())["history"]) == 2
    resumed = model(tmp_path, state=tmp_path / "state", epochs=4).fit(tones(0), tones(1))
    whole = model(tmp_path, epochs=4).fit(tones(0), tones(1))
    assert resumed.history_ == whole.history_
    assert_array_equal(outputs_of(resumed, clips_of(tones(2))), outputs_of(whole, clips_of(tones(2))))


def test_the_state_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    model(tmp_path, state=state).fit(tones(0), tones(1))
    with pytest.raises(DataError, match="other settings, rows or weights; remove it"):
        model(tmp_path, state=state, lr_head=0.02).fit(tones(0), tones(1))
    with pytest.raises(DataError, match="other settings, rows or weights; remove it"):
        model(tmp_path, state=state).fit(tones(0, n=10), tones(1))
    best = next((state / "fit").glob("best-*.safetensors"))
    best.write_bytes(best.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        model(tmp_path, state=state).fit(tones(0), tones(1))
    (state / "fit" / "progress.json").write_text("{}")
    with pytest.raises(DataError, match=r"progress\.json is damaged"):
        model(tmp_path, state=state).fit(tones(0), tones(1))


def test_an_optimiser_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.write_text, (tmp_path / "harmed", "x"))

    path = tmp_path / "optimizer-00001.pt"
    torch.save(Harm(), path)
    progress = checkpoint.Progress("", 1, [{"epoch": 0}])
    with pytest.raises(DataError, match="cannot be read"):
        checkpoint.optimizer_in(tmp_path, progress)
    assert not (tmp_path / "harmed").exists()


def planted(monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    """Let ``fault(waves, logits)`` act on the scores in training."""
    real = TunedNetwork.forward

    def forward(self: TunedNetwork, waves: Any, lengths: Any) -> Any:
        logits = real(self, waves, lengths)
        return fault(waves, logits) if self.training else logits

    monkeypatch.setattr(TunedNetwork, "forward", forward)


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_a_batch_that_the_memory_does_not_hold_is_done_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings: dict[str, Any] = {"config": STILL, "head": PLAIN_HEAD, "batch": 8, "lr_backbone": 1e-4}
    whole = model(tmp_path, **settings).fit(tones(0), tones(1))
    error = {
        "gpu": torch.OutOfMemoryError("CUDA out of memory"),
        "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    }[kind]

    def fault(waves: Any, logits: Any, most: int = 2) -> Any:
        if len(waves) > most:
            raise error
        return logits

    planted(monkeypatch, fault)
    with pytest.warns(RuntimeWarning, match="out of memory") as said:
        parts = model(tmp_path, **settings).fit(tones(0), tones(1))
    assert [str(warning.message)[-17:] for warning in said] == ["4 clips at a time", "2 clips at a time"]
    assert_allclose(outputs_of(parts, clips_of(tones(1))), outputs_of(whole, clips_of(tones(1))), atol=1e-3)
    planted(monkeypatch, lambda waves, logits: fault(waves, logits, 0))
    with (
        pytest.warns(RuntimeWarning, match="out of memory"),
        pytest.raises(MachineError, match="one clip at a time"),
    ):
        model(tmp_path, **settings).fit(tones(0), tones(1))


def test_another_error_is_not_taken_for_short_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(waves: Any, logits: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    planted(monkeypatch, fault)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        model(tmp_path).fit(tones(0), tones(1))


def test_a_loss_that_is_not_finite_stops_the_fit_and_names_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tones(0)
    clips_of(train)[9] = np.zeros(8000, np.float32)
    planted(monkeypatch, lambda waves, z: z * float("nan") if waves.shape[1] == 8000 else z)
    with pytest.raises(DivergenceError, match="not finite in epoch 0") as found:
        model(tmp_path).fit(train, tones(1))
    assert 9 in found.value.rows
    assert len(found.value.rows) == 4


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"config": STILL, "head": PLAIN_HEAD, "batch": 3, "accumulate": 2, "epochs": 3}
    val = tones(1, n=7)
    one = model(tmp_path, lr_backbone=1e-4, **settings).fit(tones(0), val)
    two = model(tmp_path, lr_backbone=1e-4, devices=2, **settings).fit(tones(0), val)
    assert two.chosen_ == one.chosen_
    for a, b in zip(one.history_, two.history_, strict=True):
        assert b["train_loss"] == pytest.approx(a["train_loss"], abs=1e-4)
        assert b["val_loss"] == pytest.approx(a["val_loss"], abs=1e-4)
    assert_allclose(outputs_of(two, clips_of(val)), outputs_of(one, clips_of(val)), atol=1e-3)


@pytest.mark.slow
def test_divergence_in_one_of_two_processes_names_the_rows(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError) as found:
        model(tmp_path, devices=2, lr_head=10, weight_decay=10, warmup=0, epochs=50, patience=50).fit(
            tones(0), tones(1)
        )
    assert found.value.rows
