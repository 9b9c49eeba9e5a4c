"""Small encoders of every family and bundles on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bundle_parts import CLASSES, SCORES, sound
from onnx_toys import write_onnx
from unheard import encoders, features, heads
from unheard.encoders.contract import Encoder
from unheard.exporting.export import ExportInput, export
from unheard.inputs import Form
from unheard.targets import Target
from unheard.testing import toy_encoder
from unheard.training.examples import labelled

#: Settings of an encoder from the folder that it may be written to.
FAMILIES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "onnx": lambda folder: {"name": "onnx", "model": str(write_onnx(folder)), "trim": 40},
    "hubert": lambda folder: _toy(folder, "hubert", trim=40),
    "wavlm": lambda folder: _toy(folder, "wavlm"),
    "wavlm-pre-norm": lambda folder: _toy(folder, "wavlm", pre_norm=True),
    "wav2vec": lambda folder: _toy(folder, "wav2vec"),
    "whisper": lambda folder: _toy(folder, "whisper"),
    "whisper-trimmed": lambda folder: {**_toy(folder, "whisper"), "mode": "trimmed", "rounding": "floor"},
    "onnx-32-khz": lambda folder: {
        "name": "onnx",
        "model": str(write_onnx(folder, 32_000)),
        "weights": "random",
    },
}
#: An ensemble over an encoder's frames and functionals of the same recording.
TWO = {
    "name": "ensemble",
    "of": [{"name": "probe", "input": "functionals", "grid": [0.01]}, {"name": "emobox", "input": "voice"}],
}


@dataclass(frozen=True)
class MadeWithEncoder:
    folder: Path
    head: Any
    encoder: Any
    settings: dict[str, Any]
    given: dict[str, ExportInput]

    def inputs(self, waves: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
        """What the head takes of waveforms at 16 kHz, by the extractors themselves."""
        return {name: [each.compute(wave) for wave in waves] for name, each in self.given.items()}

    def outputs(self, waves: list[np.ndarray]) -> np.ndarray:
        """What the head predicted to that."""
        return self.head.outputs(self.inputs(waves))


def make(family: str, folder: Path, head: dict[str, Any], layers: tuple[int, ...] | None = None) -> Any:
    """Write an encoder, fit a head on what it gives for 24 sounds of three kinds, and export both."""
    encoder = encoders.load(FAMILIES[family](folder / "weights"))
    unfitted = heads.build(head)
    return fitted_on(folder, unfitted, {"voice": ExportInput(encoder, unfitted.form, layers)})


def make_two(family: str, folder: Path, head: dict[str, Any] = TWO) -> Any:
    """The same with functionals of what is left of a recording as a second input."""
    encoder = encoders.load(FAMILIES[family](folder / "weights"))
    spec = features.build({"name": "functionals", "hop": 0.02, "trim": encoder.settings["trim"]})
    top = (len(encoder.layers) - 1,)
    given = {"voice": ExportInput(encoder, Form.FRAMES, top), "functionals": ExportInput(spec, Form.ROW)}
    return fitted_on(folder, heads.build(head), given)


def fitted_on(folder: Path, head: Any, given: dict[str, ExportInput]) -> MadeWithEncoder:
    sounds = [sound(i) for i in range(24)]
    rows = labelled(
        {name: [each.compute(wave) for wave in sounds] for name, each in given.items()},
        np.arange(24) % 3,
        np.array([f"s{i % 4}" for i in range(24)]),
        CLASSES,
    )
    fitted = head.fit(rows, rows)
    encoder = next(iter(given.values())).extractor
    out = write(folder / "bundle", fitted, given)
    return MadeWithEncoder(out, fitted, encoder, encoder.settings, given)


def write(out: Path, head: Any, given: dict[str, ExportInput], **changes: Any) -> Path:
    options = {
        "temperature": 1.5,
        "training_speakers": ["s1", "s0"],
        "corpus": "toy",
        "scores": SCORES,
        "recipe": {
            "recipe": "toy",
            "inputs": {
                name: {"encoder": each.extractor.settings}
                for name, each in given.items()
                if isinstance(each.extractor, Encoder)
            },
        },
        "licences": {"weights": ["CC BY 4.0"]},
        **changes,
    }
    return export(head, given, Target(CLASSES), out, **options)


def _toy(folder: Path, family: str, *, pre_norm: bool = False, **settings: Any) -> dict[str, Any]:
    config = (
        {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True} if pre_norm else {}
    )
    return {"name": family, "model": str(toy_encoder(folder, family, **config)), **settings}
