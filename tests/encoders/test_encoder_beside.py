"""Features beside an encoder's frames: the same row in every frame, and what is stored without them stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from unheard import encoders, features
from unheard.encoders.beside import Beside
from unheard.errors import UsageError
from unheard.testing import toy_encoder

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_encoder(tmp_path_factory.mktemp("models") / "hubert", "hubert")


def waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, n).astype(np.float32) for n in (9_000, 400, 16_000)]


def test_every_frame_of_the_last_entry_ends_with_the_clips_row(model: Path) -> None:
    alone = encoders.load({"name": "hubert", "model": str(model)})
    both = encoders.load({"name": "hubert", "model": str(model), "beside": "functionals"})
    spec = features.build({"name": "functionals"})
    top, width = len(alone.layers) - 1, alone.layers[-1].dims
    assert tuple(layer.dims for layer in both.layers) == (
        *(layer.dims for layer in alone.layers[:-1]),
        width + len(spec.names),
    )
    for wave, plain, found in zip(
        waves(), alone.extract(waves(), [0, top]), both.extract(waves(), [0, top]), strict=True
    ):
        assert_array_equal(found[0], plain[0])
        assert_array_equal(found[1][:, :width], plain[1])
        assert found[1].dtype == np.float32
        for frame in found[1]:
            assert_array_equal(frame[width:], spec.compute(wave))
    assert [clip[0].shape[1] for clip in both.extract(waves(), [1])] == [alone.layers[1].dims] * 3


def test_features_may_be_settings(model: Path) -> None:
    slow = {"name": "functionals", "hop": 0.02}
    both = encoders.load({"name": "hubert", "model": str(model), "beside": slow})
    row = features.build(slow).compute(waves()[0])
    found = both.extract(waves()[:1], [len(both.layers) - 1])[0][0]
    assert_array_equal(found[0, -len(row) :], row)
    assert both.settings["beside"] == {**slow, "trim": None}
    by_name = encoders.load({"name": "hubert", "model": str(model), "beside": "functionals"}).settings
    assert encoders.key(both.settings) != encoders.key(by_name)
    # Said otherwise, the same key: what is stored is found again.
    assert encoders.checked({**by_name, "beside": {"name": "functionals", "hop": 0.01}}) == by_name
    assert encoders.key({**both.settings, "beside": slow}) == encoders.key(both.settings)


def test_it_is_another_encoder_for_the_store_and_none_leaves_the_key(model: Path) -> None:
    alone = encoders.load({"name": "hubert", "model": str(model)}).settings
    both = encoders.load({"name": "hubert", "model": str(model), "beside": "functionals"}).settings
    assert both["sha256"] == alone["sha256"]
    assert encoders.key(both) != encoders.key(alone)
    older = {name: value for name, value in alone.items() if name != "beside"}
    assert encoders.key(older) == encoders.key(alone)


def test_what_cannot_stand_beside_is_refused() -> None:
    with pytest.raises(UsageError, match=r"encoder\.beside"):
        encoders.checked({"name": "hubert", "beside": "functional"})
    for wrong in (
        {"name": "logmel"},
        {"hop": 0.02},
        {"name": "functionals", "hop": 0.03},
        {"name": "functionals", "hap": 1},
    ):
        with pytest.raises(UsageError, match=r"encoder\.beside"):
            encoders.checked({"name": "hubert", "beside": wrong})


def test_an_encoder_at_another_rate_is_refused() -> None:
    other: Any = SimpleNamespace(rate=32_000, settings={"name": "onnx"})
    with pytest.raises(UsageError, match=r"16000 Hz.*32000"):
        Beside(other, {"name": "functionals"})
