"""What every head must hold, asked of every head that a walk of the room finds.

A head is a class of ``unheard.heads`` with ``fit`` and ``logits`` and a name; a new one is checked as soon as it
exists. All checks use frame features, which every head takes.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import unheard.heads
from unheard import heads
from unheard.errors import DataError, UsageError
from unheard.heads import Examples

CLASSES, DIMS = 3, 5
#: Settings that keep a head's training short.
SMALL: dict[str, dict[str, Any]] = {
    "tcgru": {"hidden": 16, "epochs": 20, "patience": 5, "batch": 8, "learning_rate": 1e-2},
    "probe": {"grid": [0.01, 1.0]},
    "svm": {"grid": [0.01, 1.0]},
}


def classes_found() -> Iterator[type]:
    for module in pkgutil.iter_modules(unheard.heads.__path__):
        loaded = importlib.import_module(f"unheard.heads.{module.name}")
        for cls in vars(loaded).values():
            own = inspect.isclass(cls) and cls.__module__ == loaded.__name__
            if own and hasattr(cls, "fit") and hasattr(cls, "logits") and hasattr(cls, "name"):
                yield cls


def rows(seed: int, per_class: int = 8, speakers: int = 4, prefix: str = "s") -> Examples:
    """Clips of 4 to 9 frames whose mean says the class, of some speakers."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    groups = np.array([f"{prefix}{i % speakers}" for i in range(len(labels))])
    features = []
    for label in labels:
        clip = rng.normal(0, 1, (int(rng.integers(4, 10)), DIMS)) * [1, 1, 1, 100, 0] + 7
        clip[:, label] += 2.0
        features.append(clip.astype(np.float32))
    return Examples(features, labels.astype(np.int64), groups, CLASSES)


def small(name: str, **settings: Any) -> heads.Head:
    return heads.build({"name": name, **SMALL.get(name, {}), **settings})


_fitted: dict[str, heads.Head] = {}


def fitted(name: str) -> heads.Head:
    """One head of each kind, fitted once for the checks that change nothing."""
    if name not in _fitted:
        _fitted[name] = small(name).fit(rows(0), rows(1, prefix="v"))
    return _fitted[name]


def through_a_file(head: heads.Head) -> heads.Head:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **head.state())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        return type(head).from_state({key: stored[key] for key in stored.files})


def is_plain(value: Any) -> bool:
    return json.loads(json.dumps(value, allow_nan=False)) == value


def check_fit_returns_itself_and_sets_what_it_learned(name: str) -> None:
    head = small(name)
    assert not [key for key in vars(head) if key.endswith("_")]
    assert head.fit(rows(0), rows(1)) is head
    assert is_plain(head.chosen_)
    assert is_plain(head.history_)
    assert head.chosen_


def check_logits_have_a_row_a_clip_and_tell_the_classes(name: str) -> None:
    # Groups of other speakers and other clips: the classes are far apart, any head must tell most.
    other = rows(2, prefix="t")
    logits = fitted(name).logits(other.features)
    assert logits.shape == (len(other), CLASSES)
    assert logits.dtype == np.float64
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == other.labels).mean() > 0.7


def check_fitting_again_gives_the_same(name: str) -> None:
    again = small(name).fit(rows(0), rows(1, prefix="v"))
    features = rows(2).features
    assert_array_equal(again.logits(features), fitted(name).logits(features))
    assert again.chosen_ == fitted(name).chosen_
    assert again.history_ == fitted(name).history_
    # A head that was fitted before is not better off.
    again.fit(rows(0), rows(1, prefix="v"))
    assert_array_equal(again.logits(features), fitted(name).logits(features))


def check_input_is_left_alone(name: str) -> None:
    train, val = rows(0), rows(1)
    before = [clip.copy() for clip in [*train.features, *val.features]], train.labels.copy()
    head = small(name).fit(train, val)
    head.logits(val.features)
    assert_array_equal(np.concatenate(before[0]), np.concatenate([*train.features, *val.features]))
    assert_array_equal(before[1], train.labels)


def check_a_clip_gives_the_same_alone_and_among_others(name: str) -> None:
    features = rows(2).features
    together = fitted(name).logits(features)
    alone = np.concatenate([fitted(name).logits([clip]) for clip in features])
    assert_allclose(together, alone, atol=1e-5)
    order = np.random.default_rng(3).permutation(len(features))
    assert_allclose(fitted(name).logits([features[i] for i in order]), together[order], atol=1e-5)


def check_no_clips_give_no_logits(name: str) -> None:
    assert fitted(name).logits([]).shape == (0, CLASSES)


def check_settings_make_the_same_head(name: str) -> None:
    head = small(name, seed=3, threads=2)
    assert is_plain(head.settings())
    assert head.settings()["name"] == name
    assert heads.build(head.settings()).settings() == head.settings()
    assert (head.seed, head.threads) == (3, 2)


def check_state_makes_the_same_head(name: str) -> None:
    head = through_a_file(fitted(name))
    features = rows(2).features
    assert_array_equal(head.logits(features), fitted(name).logits(features))
    assert head.settings() == fitted(name).settings()
    assert head.chosen_ == fitted(name).chosen_


def check_refit_takes_the_choice_and_chooses_nothing(name: str) -> None:
    head = through_a_file(fitted(name))
    before = head.logits(rows(2).features)
    new = head.refit(rows(0) + rows(1))
    assert new is not head
    assert new.chosen_ == head.chosen_
    assert_array_equal(head.logits(rows(2).features), before)
    assert np.abs(new.logits(rows(2).features) - before).max() > 1e-6
    # An unfitted head that is told the choice gives the same: retraining for a bundle does that.
    told = small(name)
    told.chosen_ = head.chosen_
    features = rows(2).features
    assert_array_equal(told.refit(rows(0) + rows(1)).logits(features), new.logits(features))


def check_unknown_settings_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        small(name, thread=1)
    with pytest.raises(UsageError, match=r"head\.threads: expected a whole number, found 'two'"):
        small(name, threads="two")
    with pytest.raises(UsageError, match="threads must be in"):
        small(name, threads=0)


def check_other_dims_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="trained on"):
        fitted(name).logits([clip[:, :-1] for clip in rows(2).features])


def check_features_that_are_no_numbers_are_refused(name: str) -> None:
    bad = rows(0)
    bad.features[5][0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite in row 5"):
        small(name).fit(bad, rows(1))
    with pytest.raises(DataError, match="NaN or infinite in row 5"):
        fitted(name).logits(bad.features)


def check_clips_that_do_not_fit_together_are_refused(name: str) -> None:
    features = list(rows(2).features)
    with pytest.raises(DataError, match="features of row 1 have shape"):
        fitted(name).logits([features[0], np.zeros((0, DIMS), np.float32)])
    with pytest.raises(DataError, match="features of row 1 have shape"):
        fitted(name).logits([features[0], features[1].mean(axis=0)])


def check_a_class_without_rows_is_refused(name: str) -> None:
    full = rows(0)
    few = Examples(full.features, full.labels, full.groups, CLASSES + 1)
    with pytest.raises(DataError, match="no training row of class number 3"):
        small(name).fit(few, rows(1))


def check_an_unfitted_head_says_so(name: str) -> None:
    with pytest.raises(UsageError, match="not fitted"):
        small(name).logits(rows(0).features)


def check_the_state_of_another_head_is_refused(name: str) -> None:
    other = {**fitted(name).state(), "settings": np.array('{"name":"other"}')}
    with pytest.raises(DataError, match="state of a head 'other'"):
        type(fitted(name)).from_state(other)


def check_nothing_global_is_left_changed(name: str) -> None:
    import torch

    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone(), torch.get_num_threads()
    filters = list(warnings.filters)
    small(name).fit(rows(0), rows(1))
    assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]
    assert warnings.filters == filters


def check_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(name).fit(rows(0), rows(1)).refit(rows(0))
    assert capfd.readouterr() == ("", "")


CHECKS: list[Callable[..., None]] = [f for key, f in list(globals().items()) if key.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", sorted({cls.name for cls in classes_found()}))
def test_head(name: str, check: Callable[..., None], capfd: pytest.CaptureFixture[str]) -> None:
    check(name, capfd) if "capfd" in inspect.signature(check).parameters else check(name)


def test_every_head_that_exists_can_be_built_by_name() -> None:
    assert {cls.name: cls for cls in classes_found()} == {
        name: type(heads.build({"name": name})) for name in heads.HEADS
    }


def test_an_unknown_head_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match="unknown head 'prob'; did you mean 'probe'"):
        heads.build({"name": "prob"})
    with pytest.raises(UsageError, match="'name' is missing"):
        heads.build({})
