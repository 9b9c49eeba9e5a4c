"""The encoder of Whisper (Radford et al. 2022), every size, from checkpoints in the field's common form.

Mode ``30s`` takes a clip as the network was trained, padded with silence to 30 s, and keeps the clip's own frames;
``trimmed`` takes it by itself: up to ten times faster, and another function (:func:`cosine_to_30s` says how far
apart). Longer clips are taken in consecutive windows of 30 s.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.encoders import checkpoint
from unheard.encoders.contract import Encoder, Export, Layers, Settings, Wave, top_layer
from unheard.encoders.precision import device_of, precision_of
from unheard.encoders.windows import by_length
from unheard.errors import DataError, need
from unheard.features.frontends import frontend_settings
from unheard.files import digest
from unheard.inputs import Layer, Source
from unheard.onnx_graphs.whisper import whisper_graph
from unheard.settings import OneOf, plain

if TYPE_CHECKING:
    from transformers import WhisperConfig

    from unheard.encoders.whisper_network import WhisperNetwork

VERSION = 1
MODES = ("30s", "trimmed")
#: Frames of a batch: a window padded to 30 s has 1,500.
BUDGET = {"cpu": 1500, "cuda": 24_000}
#: What the frontend computes; a preprocessor file that says otherwise is refused.
_FRONT = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "do_normalize": False}


@dataclass(frozen=True)
class Options(Settings):
    """Settings of a Whisper encoder.

    Parameters
    ----------
    mode
        ``30s`` or ``trimmed``.
    rounding
        How many frames are kept of n samples: ``ceil`` keeps ⌈n / 320⌉ frames, ``floor`` ⌊n / 320⌋ (EmoBox).
    """

    tunable: ClassVar[bool] = True

    mode: Annotated[str, OneOf("30s", "trimmed")] = "30s"
    rounding: Annotated[str, OneOf("ceil", "floor")] = "ceil"


def load(options: Options) -> WhisperEncoder:
    """Read configuration and weights up to the cut; see ``unheard.encoders.load`` for the errors."""
    torch = need("torch", "train")
    need("transformers", "train")
    from unheard.encoders import random_weights
    from unheard.encoders.whisper_network import configured, drawn, relevant, trained

    device, precision = device_of(options.device), precision_of(options.precision, options.device)
    folder, content, source = checkpoint.described(options, "whisper", "whisper-tiny")
    config = configured(content, source)
    layers = top_layer(options.cut, config.encoder_layers, source)
    if folder is not None and options.weights != "random":
        _check_front(folder, config)
        network = trained(config, layers, options.mode, options.rounding, folder)
        found = checkpoint.sha256(folder)
        if options.weights == "shuffled":
            random_weights.shuffle(network, options.seed)
    else:
        network = drawn(config, layers, options.mode, options.rounding, options.seed)
        found = digest({"config": relevant(config), "seed": options.seed})
    network.requires_grad_(False).eval().to(device, getattr(torch, precision))
    licence = checkpoint.licence(folder) if folder is not None else "unknown"
    return WhisperEncoder(replace(options, sha256=found, precision=precision), network, licence)


class WhisperEncoder(Encoder):
    """Whisper behind the contract of encoders.

    Attributes
    ----------
    network
        :class:`~unheard.encoders.whisper_network.WhisperNetwork`, for training.
    """

    rate = 16_000

    def __init__(self, options: Options, network: WhisperNetwork, licence: str) -> None:
        self.settings: dict[str, Any] = {"name": "whisper", **plain(options)}
        self.network = network
        self.source = Source(licence)
        self.layers = tuple(
            Layer(str(k), network.config.d_model, 50.0) for k in range(len(network.layers) + 1)
        )

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        return (sum(self.network.counts(samples)),) * len(self.layers)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (n,) at 16 kHz, the asked layers, each (frames, dims) float32."""
        counts = [self.network.counts(len(wave)) for wave in items]
        whole = self.network.longest
        parts = [
            wave[k * whole :][:whole]
            for wave, own in zip(items, counts, strict=True)
            for k in range(len(own))
        ]
        done = iter(self._parts(parts, layers))
        results = []
        for own in counts:
            windows = [next(done) for _ in own]
            results.append(tuple(np.concatenate(parts) for parts in zip(*windows, strict=True)))
        return results

    def module(self) -> WhisperNetwork:
        """Return the torch module."""
        return self.network

    def export(self, layers: Sequence[int]) -> Export:
        """Return the graph that gives these layers, behind Whisper's log-mels."""
        config = self.network.config
        padded = self.network.mode == "30s"
        front = {
            "name": "whisper",
            "bands": config.num_mel_bins,
            "seconds": self.network.longest / self.rate if padded else 0.0,
        }
        return Export(
            whisper_graph(self.network, layers),
            {"longest": self.network.longest, "length": self.network.longest, "step": self.network.longest},
            frontend_settings(front),
            multiple=1 if padded else self.hop(0),
            own=self.network.rounding,
        )

    def _parts(self, parts: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return the layers of each part of a clip, batches by length."""
        import torch

        padded = self.network.mode == "30s"
        counts = [
            self.network.config.max_source_positions if padded else -(-len(part) // 320) for part in parts
        ]
        done: list[Layers] = [()] * len(parts)
        with torch.inference_mode():
            for batch in by_length(counts, BUDGET[self.settings["device"]]):
                windows = [self.network.windows(np.asarray(parts[at], np.float32))[0] for at in batch]
                states = self.network.packed(windows, layers)
                ends = np.cumsum([window.kept for window in windows])[:-1]
                arrays = [np.split(state.float().cpu().numpy(), ends) for state in states]
                for at, clip in zip(batch, zip(*arrays, strict=True), strict=True):
                    done[at] = clip
        return done


def cosine_to_30s(encoder: WhisperEncoder, waves: Sequence[Wave]) -> NDArray[np.float64]:
    """Return how far mode ``trimmed`` is from ``30s``: the mean cosine over frames for each layer, (layers,).

    Parameters
    ----------
    encoder
        Encoder of either mode.
    waves
        Clips to compare on, (n,) each.
    """
    both = []
    for mode in MODES:
        other = copy.copy(encoder)
        other.network = copy.copy(encoder.network)
        other.network.mode = mode
        both.append(other.extract(waves, range(len(encoder.layers))))
    cosines = [[_cosines(a, b) for a, b in zip(*clips, strict=True)] for clips in zip(*both, strict=True)]
    return np.array([np.concatenate(layer).mean() for layer in zip(*cosines, strict=True)])


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    found: NDArray[np.float64] = (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))
    return found


def _check_front(folder: Path, config: WhisperConfig) -> None:
    """Refuse a preprocessor file that describes another spectrogram than ours."""
    content = checkpoint.preprocessor(folder)
    expected = {**_FRONT, "feature_size": config.num_mel_bins}
    bad = [
        f"{key} is {content[key]!r}, expected {value!r}"
        for key, value in expected.items()
        if content.get(key, value) != value
    ]
    if bad:
        raise DataError(f"{folder / 'preprocessor_config.json'}: {'; '.join(bad)}")
