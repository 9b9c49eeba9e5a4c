"""What every head must hold, asked of every head that a walk of the room finds.

A head is a class of ``unheard.heads`` with ``fit`` and ``outputs`` and a name; a new one is checked as soon as it
exists, on every form of features that it takes.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import unheard.heads
from one_input import clips_of, examples, outputs_of
from unheard import heads
from unheard.errors import DataError, UsageError
from unheard.heads import Examples
from unheard.inputs import Form
from unheard.onnx_graphs.head_inputs import Shape
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.heads import graph_of
from unheard.onnx_graphs.session import Session
from unheard.targets import Target, one_hot
from unheard.training.examples import Rows

CLASSES, DIMS = 3, 5
IDS = "abcdefghijklmnopqrstuvwx"
#: Settings that keep a head's training short.
SMALL: dict[str, dict[str, Any]] = {
    "tcgru": {"hidden": 16, "epochs": 20, "patience": 5, "batch": 8, "learning_rate": 1e-2},
    "convolutional": {"channels": 8, "attention": 4, "epochs": 12, "batch": 8, "learning_rate": 1e-2},
    "ensemble": {
        "of": [
            {"name": "probe", "grid": [0.01, 1.0]},
            {
                "name": "convolutional",
                "channels": 8,
                "attention": 4,
                "epochs": 12,
                "batch": 8,
                "learning_rate": 1e-2,
            },
        ]
    },
    "probe": {"grid": [0.01, 1.0]},
    "svm": {"grid": [0.01, 1.0]},
    "emobox": {"hidden": 16, "epochs": 12, "batch": 8, "learning_rate": 1e-2},
    "mean": {"epochs": 12, "patience": 4, "batch": 8, "learning_rate": 3e-2},
    "concatenation": {"hidden": 8, "epochs": 12, "patience": 4, "batch": 8, "learning_rate": 1e-2},
    "cross_attention": {
        "hidden": 8,
        "attention_heads": 2,
        "epochs": 12,
        "patience": 4,
        "batch": 8,
        "learning_rate": 1e-2,
    },
    "gates": {"hidden": 8, "epochs": 12, "patience": 4, "batch": 8, "learning_rate": 1e-2},
    "spectrogram_cnn": {"channels": 16, "attention": 4, "epochs": 12, "batch": 8, "learning_rate": 1e-2},
    "waveform_cnn": {"channels": 16, "attention": 4, "epochs": 12, "batch": 8, "learning_rate": 1e-2},
    "alignment": {"hidden": 8, "recurrent": 8, "epochs": 15, "batch": 8, "learning_rate": 1e-2},
    "weighted": {
        "attention": 4,
        "hidden": 16,
        "epochs": 12,
        "patience": 4,
        "batch": 8,
        "learning_rate": 1e-2,
    },
}
#: Heads over several inputs.
SEVERAL = ("alignment", "concatenation", "cross_attention", "gates")
#: Heads that take frames as they are, without standardising them.
PLAIN = ("emobox", "mean", "weighted")


@dataclass(frozen=True)
class Case:
    """A head, and the form of a clip that it is given: ``frames``, ``layers`` or ``pooled``."""

    name: str
    form: str


def classes_found() -> Iterator[type]:
    for module in pkgutil.walk_packages(unheard.heads.__path__, "unheard.heads."):
        loaded = importlib.import_module(module.name)
        for cls in vars(loaded).values():
            own = inspect.isclass(cls) and cls.__module__ == loaded.__name__ and not inspect.isabstract(cls)
            if own and hasattr(cls, "fit") and hasattr(cls, "outputs") and hasattr(cls, "name"):
                yield cls


def cases() -> list[Case]:
    found: list[Case] = []
    for cls in sorted(classes_found(), key=lambda cls: cls.name):
        # Linear heads take statistics of frames as well.
        forms = ("frames", "pooled") if cls.form == "pooled" else (str(cls.form),)
        found += [Case(cls.name, form) for form in forms]
    return found


def rows(case: Case, seed: int, per_class: int = 8, speakers: int = 4, prefix: str = "s") -> Examples:
    """Clips of 4 to 9 frames whose mean says the class, of some speakers; of two entries, the second does."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    groups = np.array([f"{prefix}{i % speakers}" for i in range(len(labels))])
    features = []
    for label in labels:
        noise = rng.normal(0, 1, (2, int(rng.integers(4, 10)), DIMS))
        clip = noise[0] if case.name in PLAIN else noise[0] * [1, 1, 1, 100, 0] + 7
        clip[:, label] += 2.0
        layers = np.stack([noise[1], clip]).astype(np.float32)
        pooled = np.stack([layers.mean(axis=1), layers.std(axis=1)], axis=1)
        features.append({"frames": layers[1], "layers": layers, "pooled": pooled}[case.form])
    return examples(features, labels.astype(np.int64), groups, CLASSES)


def with_dimensions(rows: Examples, votes: bool = False, classes: bool = True) -> Examples:
    """The same clips with two dimensions that follow the class, unknown for some; shares for labels on demand."""
    rng = np.random.default_rng(5)
    shares = one_hot(rows.labels, CLASSES)
    if votes:
        shares = 0.7 * shares + 0.3 * rng.dirichlet(np.ones(CLASSES), len(rows))
    dimensions = np.stack([0.2 + 0.3 * rows.labels, 0.8 - 0.3 * rows.labels], axis=1)
    dimensions = (dimensions + rng.normal(0, 0.02, dimensions.shape)).clip(0, 1)
    dimensions[1::7, 0] = np.nan
    dimensions[2::9] = np.nan
    names = tuple(str(number) for number in range(CLASSES)) if classes else ()
    target = Target(names, "votes" if votes else "label", ("activation", "valence"))
    parts = [shares, dimensions] if classes else [dimensions]
    return replace(rows, targets=np.concatenate(parts, axis=1), target=target)


def small(case: Case, **settings: Any) -> heads.Head:
    return heads.build({"name": case.name, **SMALL.get(case.name, {}), **settings})


@cache
def fitted(case: Case) -> heads.Head:
    """One head for each case, fitted once for the checks that change nothing."""
    return small(case).fit(rows(case, 0), rows(case, 1, prefix="v"))


def through_a_file(head: heads.Head) -> heads.Head:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **head.state())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        return type(head).from_state({key: stored[key] for key in stored.files})


def flat(clips: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([clip.ravel() for clip in clips])


def is_plain(value: Any) -> bool:
    return json.loads(json.dumps(value, allow_nan=False)) == value


def check_fit_returns_itself_and_sets_what_it_learned(case: Case) -> None:
    head = small(case)
    assert not [key for key in vars(head) if key.endswith("_")]
    assert head.fit(rows(case, 0), rows(case, 1)) is head
    assert is_plain(head.chosen_)
    assert is_plain(head.history_)
    assert head.chosen_


def check_features_are_read_one_by_one(case: Case) -> None:
    # As from a store that does not fit into the memory: looked up by number, each time anew.
    train, val = rows(case, 0), rows(case, 1, prefix="v")
    lazy = [
        examples(Rows(dict(zip(IDS, clips_of(side), strict=True)), list(IDS)), *rest)
        for side in (train, val)
        for rest in [(side.labels, side.speakers, side.classes)]
    ]
    head = small(case).fit(*lazy)
    assert head.history_ == fitted(case).history_
    assert_array_equal(outputs_of(head, clips_of(lazy[1])), outputs_of(fitted(case), clips_of(val)))


def check_logits_have_a_row_a_clip_and_tell_the_classes(case: Case) -> None:
    # Groups of other speakers and other clips: the classes are far apart, any head must tell most.
    other = rows(case, 2, prefix="t")
    logits = outputs_of(fitted(case), clips_of(other))
    assert logits.shape == (len(other), CLASSES)
    assert logits.dtype == np.float64
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == other.labels).mean() > 0.7


def check_fitting_again_gives_the_same(case: Case) -> None:
    again = small(case).fit(rows(case, 0), rows(case, 1, prefix="v"))
    features = clips_of(rows(case, 2))
    assert_array_equal(outputs_of(again, features), outputs_of(fitted(case), features))
    assert again.chosen_ == fitted(case).chosen_
    assert again.history_ == fitted(case).history_
    # A head that was fitted before is not better off.
    again.fit(rows(case, 0), rows(case, 1, prefix="v"))
    assert_array_equal(outputs_of(again, features), outputs_of(fitted(case), features))


def check_input_is_left_alone(case: Case) -> None:
    train, val = rows(case, 0), rows(case, 1)
    before = [clip.copy() for clip in [*clips_of(train), *clips_of(val)]], train.labels.copy()
    head = small(case).fit(train, val)
    outputs_of(head, clips_of(val))
    assert_array_equal(flat(before[0]), flat([*clips_of(train), *clips_of(val)]))
    assert_array_equal(before[1], train.labels)


def check_a_clip_gives_the_same_alone_and_among_others(case: Case) -> None:
    features = clips_of(rows(case, 2))
    together = outputs_of(fitted(case), features)
    alone = np.concatenate([outputs_of(fitted(case), [clip]) for clip in features])
    assert_allclose(together, alone, atol=1e-5)
    order = np.random.default_rng(3).permutation(len(features))
    assert_allclose(outputs_of(fitted(case), [features[i] for i in order]), together[order], atol=1e-5)


def check_no_clips_give_no_logits(case: Case) -> None:
    assert outputs_of(fitted(case), []).shape == (0, CLASSES)


def check_settings_make_the_same_head(case: Case) -> None:
    head = small(case, seed=3, threads=2)
    assert is_plain(head.settings())
    assert head.settings()["name"] == case.name
    assert heads.build(head.settings()).settings() == head.settings()
    assert (head.seed, head.threads) == (3, 2)


def check_state_makes_the_same_head(case: Case) -> None:
    head = through_a_file(fitted(case))
    features = clips_of(rows(case, 2))
    assert_array_equal(outputs_of(head, features), outputs_of(fitted(case), features))
    assert head.settings() == fitted(case).settings()
    assert head.chosen_ == fitted(case).chosen_


def check_refit_takes_the_choice_and_chooses_nothing(case: Case) -> None:
    head = through_a_file(fitted(case))
    before = outputs_of(head, clips_of(rows(case, 2)))
    new = head.refit(rows(case, 0) + rows(case, 1))
    assert new is not head
    assert new.chosen_ == head.chosen_
    assert_array_equal(outputs_of(head, clips_of(rows(case, 2))), before)
    assert np.abs(outputs_of(new, clips_of(rows(case, 2))) - before).max() > 1e-6
    # An unfitted head that is told the choice gives the same: retraining for a bundle does that.
    told = small(case)
    told.chosen_ = head.chosen_
    features = clips_of(rows(case, 2))
    assert_array_equal(
        outputs_of(told.refit(rows(case, 0) + rows(case, 1)), features), outputs_of(new, features)
    )


def check_unknown_settings_are_refused(case: Case) -> None:
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        small(case, thread=1)
    with pytest.raises(UsageError, match=r"head\.threads is 'two', expected a whole number"):
        small(case, threads="two")
    with pytest.raises(UsageError, match="threads must be in"):
        small(case, threads=0)


def check_other_dims_are_refused(case: Case) -> None:
    with pytest.raises(DataError, match="trained on"):
        outputs_of(fitted(case), [clip[..., :-1] for clip in clips_of(rows(case, 2))])


def check_features_that_are_no_numbers_are_refused(case: Case) -> None:
    bad = rows(case, 0)
    clips_of(bad)[5].flat[0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite in row 5"):
        small(case).fit(bad, rows(case, 1))
    with pytest.raises(DataError, match="NaN or infinite in row 5"):
        outputs_of(fitted(case), clips_of(bad))


def check_clips_that_do_not_fit_together_are_refused(case: Case) -> None:
    features = list(clips_of(rows(case, 2)))
    with pytest.raises(DataError, match="features of row 1 have shape"):
        outputs_of(fitted(case), [features[0], features[1][..., :0, :]])
    with pytest.raises(DataError, match="features of row 1 have shape"):
        outputs_of(fitted(case), [features[0], features[1].mean(axis=0)])


def check_a_class_without_rows_is_refused(case: Case) -> None:
    full = rows(case, 0)
    few = examples(clips_of(full), full.labels, full.speakers, CLASSES + 1)
    with pytest.raises(DataError, match="no training row of the class 3"):
        small(case).fit(few, rows(case, 1))


def check_an_unfitted_head_says_so(case: Case) -> None:
    with pytest.raises(UsageError, match="not fitted"):
        outputs_of(small(case), clips_of(rows(case, 0)))


def check_the_state_of_another_head_is_refused(case: Case) -> None:
    other = {**fitted(case).state(), "settings": np.array('{"name":"other"}')}
    with pytest.raises(DataError, match="state of a head 'other'"):
        type(fitted(case)).from_state(other)


def check_nothing_global_is_left_changed(case: Case) -> None:
    import torch

    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone(), torch.get_num_threads()
    filters = list(warnings.filters)
    small(case).fit(rows(case, 0), rows(case, 1))
    assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]
    assert warnings.filters == filters


def check_nothing_is_printed(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(case).fit(rows(case, 0), rows(case, 1)).refit(rows(case, 0))
    assert capfd.readouterr() == ("", "")


def of_targets(case: Case, seed: int, prefix: str = "s", **kind: bool) -> Examples:
    return with_dimensions(rows(case, seed, prefix=prefix), **kind)


def refuses(case: Case, **kind: bool) -> bool:
    """Whether the head says that it cannot learn such a target: then there is nothing else to check."""
    if case.name != "svm":
        return False
    with pytest.raises(UsageError, match="learns one class a clip"):
        small(case).fit(of_targets(case, 0, **kind), of_targets(case, 1, "v", **kind))
    return True


def correlation(predicted: np.ndarray, truth: np.ndarray) -> float:
    known = ~np.isnan(truth)
    return float(np.corrcoef(predicted[known], truth[known])[0, 1])


def check_shares_and_dimensions_are_learned_together(case: Case) -> None:
    if refuses(case, votes=True):
        return
    head = small(case).fit(of_targets(case, 0, votes=True), of_targets(case, 1, "v", votes=True))
    other = of_targets(case, 2, "t", votes=True)
    found = outputs_of(head, clips_of(other))
    assert found.shape == (len(other), CLASSES + 2)
    assert head.classes_ == CLASSES
    assert (found[:, :CLASSES].argmax(axis=1) == other.labels).mean() > 0.6
    dimensions = found[:, CLASSES:]
    assert dimensions.min() >= 0
    assert dimensions.max() <= 1
    assert (
        min(correlation(*pair) for pair in zip(dimensions.T, other.targets[:, CLASSES:].T, strict=True)) > 0.4
    )
    assert is_plain(head.chosen_)
    assert is_plain(head.history_)
    again = through_a_file(head)
    assert_array_equal(outputs_of(again, clips_of(other)), found)
    alone = np.concatenate([outputs_of(head, [clip]) for clip in clips_of(other)])
    assert_allclose(alone, found, atol=1e-5)
    assert head.refit(other).classes_ == CLASSES


def check_dimensions_are_learned_alone(case: Case) -> None:
    if refuses(case, classes=False):
        return
    train = of_targets(case, 0, classes=False)
    val = of_targets(case, 1, "v", classes=False)
    if case.name == "ensemble":
        # Its probe and its network predicted the same two outputs.
        assert outputs_of(small(case).fit(train, val), []).shape == (0, 2)
    head = small(case).fit(train, val)
    other = of_targets(case, 2, "t", classes=False)
    found = outputs_of(head, clips_of(other))
    assert found.shape == (len(other), 2)
    assert min(correlation(*pair) for pair in zip(found.T, other.targets.T, strict=True)) > 0.4


def check_a_dimension_known_for_few_clips_leaves_the_rest_alone(case: Case) -> None:
    if case.name == "svm":
        return
    train, test = of_targets(case, 0), of_targets(case, 2, "t")
    targets = train.targets.copy()
    targets[8:, CLASSES:] = np.nan
    found = outputs_of(
        small(case).fit(replace(train, targets=targets), of_targets(case, 1, "v")), clips_of(test)
    )
    assert np.isfinite(found).all()
    assert (found[:, :CLASSES].argmax(axis=1) == test.labels).mean() > 0.6
    targets[:, CLASSES] = np.nan
    with pytest.raises(DataError, match="no training row has the dimension activation"):
        small(case).fit(replace(train, targets=targets), of_targets(case, 1, "v"))


def graph_agrees(head: heads.Head, rows: Examples) -> None:
    """The graph gives the head's outputs within 1e-4, for clips together and alone."""
    shapes = {name: shape_of(features[0]) for name, features in rows.inputs.items()}
    columns = Columns(len(rows.target.classes), len(rows.target.dimensions))
    graph = Session(graph_of(head, shapes, columns), head.name)
    assert list(graph.outputs) == ["outputs"]
    expected = head.outputs(rows.inputs)
    one = [{name: [features[i]] for name, features in rows.inputs.items()} for i in range(len(rows))]
    alone = np.concatenate([graph.run(["outputs"], feeds(clip))[0] for clip in one])
    for found in (graph.run(["outputs"], feeds(rows.inputs))[0], alone):
        assert found.shape == (len(rows), sum(columns))
        assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def shape_of(clip: np.ndarray) -> Shape:
    form = {1: Form.ROW, 2: Form.FRAMES}.get(clip.ndim) or (
        Form.POOLED if clip.shape[1] == 2 else Form.LAYERS
    )
    return Shape(form, clip.shape[-1], len(clip) if clip.ndim == 3 else 1)


def feeds(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors of a graph for clips; what lies beyond a clip's frames is NaN."""
    found = {}
    for name, clips in inputs.items():
        if not shape_of(clips[0]).form.has_frames:
            found[name] = np.stack(clips)
            continue
        lengths = np.array([clip.shape[-2] for clip in clips])
        padded = np.full((len(clips), *clips[0].shape[:-2], lengths.max() + 1, DIMS), np.nan, np.float32)
        for row, clip in zip(padded, clips, strict=True):
            row[..., : clip.shape[-2], :] = clip
        found |= {name: padded, f"{name}.lengths": lengths}
    return found


def check_the_graph_is_the_head(case: Case) -> None:
    graph_agrees(fitted(case), rows(case, 2, prefix="t"))


def check_the_graph_of_dimensions_is_the_head(case: Case) -> None:
    kinds: list[dict[str, bool]] = [{"votes": True}, {"classes": False}]
    for kind in kinds:
        if not refuses(case, **kind):
            head = small(case).fit(of_targets(case, 0, **kind), of_targets(case, 1, "v", **kind))
            graph_agrees(head, of_targets(case, 2, "t", **kind))


def check_the_graph_of_two_inputs_is_the_head(case: Case) -> None:
    """Of a head that takes one of them, and where it can be in one, of an ensemble that takes both."""
    if case.name == "ensemble":
        return

    def two(seed: int, prefix: str) -> Examples:
        own = rows(case, seed, prefix=prefix)
        means = [clip.reshape(-1, DIMS).mean(axis=0) for clip in clips_of(own)]
        return replace(own, inputs={"row": means, **own.inputs})

    if case.name in SEVERAL:
        graph_agrees(small(case).fit(two(0, "s"), two(1, "v")), two(2, "t"))
        return
    head = small(case, input="voice")
    if case.form == "frames":
        probe = {"name": "probe", "grid": [0.1], "input": "row"}
        head = heads.build({"name": "ensemble", "of": [head.settings(), probe]})
    graph_agrees(head.fit(two(0, "s"), two(1, "v")), two(2, "t"))


def check_the_input_that_is_named_is_taken_of_two(case: Case) -> None:
    train, val, test = rows(case, 0), rows(case, 1, prefix="v"), rows(case, 2)
    both = [
        replace(side, inputs={"other": [clip[..., :2] for clip in clips_of(side)], **side.inputs})
        for side in (train, val, test)
    ]
    settings: dict[str, Any] = {"inputs": ["voice"]} if case.name in SEVERAL else {"input": "voice"}
    if case.name == "ensemble":
        settings = {"of": [{**own, "input": "voice"} for own in SMALL["ensemble"]["of"]]}
    head = small(case, **settings).fit(*both[:2])
    assert_array_equal(head.outputs(both[2].inputs), outputs_of(fitted(case), clips_of(test)))
    if case.name not in SEVERAL:
        with pytest.raises(UsageError, match="takes one input, and there are 2: other, voice"):
            small(case).fit(*both[:2])


def check_the_graph_gives_what_the_head_answers(case: Case) -> None:
    for kind in ({"votes": True}, {"classes": False}) if case.name != "svm" else ():
        train, val = of_targets(case, 0, **kind), of_targets(case, 1, "v", **kind)
        head = small(case).fit(train, val)
        clips = clips_of(of_targets(case, 2, "t", **kind))
        shape = Shape(Form(case.form), DIMS, 1 if case.form == "frames" else 2)
        columns = Columns(train.classes, len(train.target.dimensions))
        session = onnxruntime.InferenceSession(
            graph_of(head, {"voice": shape}, columns), providers=["CPUExecutionProvider"]
        )
        for clip, expected in zip(clips, outputs_of(head, clips), strict=True):
            fed = {"voice": clip[None]}
            if case.form != "pooled":
                fed["voice.lengths"] = np.array([clip.shape[-2]])
            (found,) = session.run(["outputs"], fed)[0]
            assert_allclose(found, expected, atol=1e-4)


CHECKS: list[Callable[..., None]] = [f for key, f in list(globals().items()) if key.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__.removeprefix("check_"))
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.name} on {case.form}")
def test_head(case: Case, check: Callable[..., None], capfd: pytest.CaptureFixture[str]) -> None:
    check(case, capfd) if "capfd" in inspect.signature(check).parameters else check(case)


def test_every_head_that_exists_can_be_built_by_name() -> None:
    assert {cls.name: cls for cls in classes_found()} == {
        name: type(heads.build({"name": name})) for name in heads.HEADS
    }


def test_an_unknown_head_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match="unknown head 'prob'; did you mean 'probe'"):
        heads.build({"name": "prob"})
    with pytest.raises(UsageError, match="'name' is missing"):
        heads.build({})
