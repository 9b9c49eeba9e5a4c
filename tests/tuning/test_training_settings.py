"""Settings of fine-tuning: read whole and refused by name, without torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from unheard import tuning
from unheard.errors import UsageError


def test_defaults_are_filled_in_and_checked_again_give_the_same() -> None:
    full = tuning.checked({"tune": "top 3", "lr_head": 1})
    assert (full["tune"], full["lr_head"], full["clip"]) == ("top 3", 1.0, 1.0)
    assert tuning.checked(full) == full


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tun": "all"}, "did you mean 'tune'"),
        ({"tune": "top 0"}, "expected 'all', 'top 3'"),
        ({"tune": "top"}, "expected 'all', 'top 3'"),
        ({"tune": "top 3", "front": "tuned"}, "training.front is 'tuned'"),
        ({"layer": "first"}, "expected 'last', 'weighted' or a layer's number"),
        ({"layer": -1}, "training.layer must be in 0"),
        ({"lr_head": "fast"}, "lr_head is 'fast'"),
        ({"lr_head": float("nan")}, "training.lr_head is nan, expected a number"),
        ({"layer_decay": 1.5}, "training.layer_decay must be in"),
        ({"metric": "f1"}, "unknown training.metric 'f1'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"precision": "float16"}, "did you mean"),
        ({"time_mask": [0.5]}, "expected 2 values"),
        ({"time_mask": [1.5, 10]}, "expected a probability"),
        ({"time_mask": [0.05, 0]}, "expected a probability"),
        ({"time_mask": [0.05, 10], "tune": "lora"}, "take training.tune=all"),
        ({"batch": 0}, "training.batch must be in"),
        ({"longest": 60}, "training.longest must be in 0.1 … 30"),
        ({"device": "gpu"}, "unknown training.device"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tuning.checked(settings)


@pytest.mark.parametrize(
    ("settings", "encoder", "head", "said"),
    [
        ({}, {}, {"name": "probe"}, "unknown head that can be tuned with an encoder 'probe'"),
        ({"layer": "weighted"}, {}, {"name": "tcgru"}, "takes one layer"),
        ({"layer": 3}, {"cut": 2}, {"name": "tcgru"}, "training.layer is 3, and the encoder is cut at 2"),
        ({}, {"name": "huber"}, {"name": "tcgru"}, "did you mean 'hubert'"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(
    settings: dict[str, Any], encoder: dict[str, Any], head: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        tuning.build(settings, {"name": "hubert", **encoder}, head)


def test_an_entry_by_number_cuts_the_encoder_there() -> None:
    assert tuning.build({"layer": 4}, {"name": "hubert"}, {"name": "tcgru"}).encoder["cut"] == 4


def test_settings_are_read_without_torch() -> None:
    code = (
        "import sys; from unheard import tuning;"
        "m = tuning.build({}, {'name': 'hubert'}, {'name': 'tcgru'}); m.settings();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'lightning', 'peft', 'safetensors')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
