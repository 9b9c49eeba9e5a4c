"""The three families behind the contract: a folder or a configuration in, the frames of layers out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unheard.encoders import checkpoint, windows
from unheard.encoders import random_weights as chance
from unheard.encoders.contract import Encoder, Export, Layers, Settings, Wave, top_layer
from unheard.encoders.precision import device_of, precision_of
from unheard.encoders.transformer import architecture, weights
from unheard.encoders.transformer.architecture import Architecture
from unheard.encoders.transformer.network import Network
from unheard.encoders.transformer.prepacked import pack, unpack
from unheard.files import digest
from unheard.inputs import Layer, Source
from unheard.onnx_graphs.transformer import transformer_graph
from unheard.settings import plain

#: Frames of a batch: enough that weights are read rarely, few enough for the caches of a processor.
BUDGET = {"cpu": 800, "cuda": 16_000}


class WaveEncoder(Encoder):
    """A loaded encoder of wav2vec 2.0, HuBERT or WavLM.

    Parameters
    ----------
    settings
        Plain values, the digest among them.
    network
        In evaluation mode, on its device; it is the encoder's own from here on.
    rate
        Hz of the waveforms.
    licence
        What the owners of the weights allow.
    """

    def __init__(self, settings: dict[str, Any], network: Network, rate: int, licence: str) -> None:
        config = network.config
        self.settings = settings
        self.rate = rate
        self.source = Source(licence)
        self.layers = tuple(
            Layer(str(k), config.hidden_size, rate / config.hop) for k in range(len(network.layers) + 1)
        )
        self._network = network
        self._config = config
        self._taken = False
        if settings["device"] == "cpu":
            pack(network)

    @property
    def network(self) -> Network:
        """The torch module, for training and export; what is done to it, :meth:`extract` follows."""
        if not self._taken:
            unpack(self._network)
            self._taken = True
        return self._network

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        return (self._config.frames(samples),) * len(self.layers)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (samples,), the asked layers, each (frames, dims) float32.

        Clips are computed in batches by length; those of more than 30 s in windows.
        """
        config = self._config
        cuts = [windows.spans(len(wave), self.rate, config.hop) for wave in items]
        prepared = [_standardized(wave) if self._network.normalize else wave for wave in items]
        parts = [
            wave[start:stop] for wave, spans in zip(prepared, cuts, strict=True) for start, stop in spans
        ]
        done = self._parts(parts, layers)
        results, first = [], 0
        for spans in cuts:
            own = done[first : first + len(spans)]
            starts = [start // config.hop for start, _ in spans]
            results.append(tuple(windows.joined(parts, starts) for parts in zip(*own, strict=True)))
            first += len(spans)
        return results

    def module(self) -> Network:
        """Return the torch module."""
        return self.network

    def export(self, layers: Sequence[int]) -> Export:
        """Return the graph that gives these layers of samples."""
        network = self.network
        return Export(
            transformer_graph(network, layers),
            windows.window(self.rate),
            standardise=network.normalize,
            shortest=self._config.shortest,
        )

    def _parts(self, parts: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return the layers of each part of a clip. Several batches are spread over the threads, one core each."""
        self._network.eval()
        device = str(self.settings["device"])
        threads = torch.get_num_threads() if device == "cpu" else 1
        frames = [self._config.frames(len(part)) for part in parts]
        rounds = math.ceil(sum(frames) / (BUDGET[device] * threads))
        batches = windows.by_length(frames, math.ceil(sum(frames) / max(1, rounds * threads)))
        done: list[Layers] = [()] * len(parts)

        def work(batch: list[int]) -> None:
            for position, clip in zip(batch, self._batch([parts[at] for at in batch], layers), strict=True):
                done[position] = clip

        if threads == 1 or len(batches) == 1:
            for batch in batches:
                work(batch)
        else:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                list(pool.map(work, batches))
            torch.set_num_threads(threads)  # which the workers have set for threads to come
        return done

    @torch.inference_mode()
    def _batch(self, waves: Sequence[Wave], layers: Sequence[int]) -> Iterable[Layers]:
        device = self.settings["device"]
        states, counts = self._network.packed(
            [torch.from_numpy(np.ascontiguousarray(wave)).to(device) for wave in waves], layers
        )
        ends = np.cumsum(counts)[:-1]
        return zip(*(np.split(state.float().cpu().numpy(), ends) for state in states), strict=True)


def load(options: Settings, family: str) -> WaveEncoder:
    """Read configuration and weights as the settings say."""
    folder, content, source = checkpoint.described(options, family, f"{family}-base")
    config = architecture.read(content, family, source)
    layers = top_layer(options.cut, config.num_hidden_layers, source)
    rate, normalize = _audio(options, folder, config)
    if options.weights == "random":
        network = weights.drawn(config, normalize, layers, options.seed)
        found = digest({"config": plain(config), "rate": rate, "normalize": normalize, "seed": options.seed})
    else:
        assert folder is not None
        network = weights.trained(config, normalize, layers, folder)
        found = checkpoint.sha256(folder)
        if options.weights == "shuffled":
            chance.shuffle(network, options.seed)
    precision = precision_of(options.precision, options.device)
    network.eval().to(device_of(options.device), torch.bfloat16 if precision == "bfloat16" else torch.float32)
    settings = {"name": family, **plain(replace(options, sha256=found, precision=precision))}
    return WaveEncoder(settings, network, rate, checkpoint.licence(folder) if folder else "unknown")


def _audio(options: Settings, folder: Path | None, config: Architecture) -> tuple[int, bool]:
    """Return the rate in Hz, and whether waveforms are standardised: as the preprocessor file says.

    Networks that nobody trained may lack one: 16 kHz then, standardised where layer norms expect it.
    """
    described = folder is not None and (folder / "preprocessor_config.json").is_file()
    if options.weights == "random" and not described:
        return 16000, config.feat_extract_norm == "layer"
    assert folder is not None
    content = checkpoint.preprocessor(folder)
    return content["sampling_rate"], bool(content.get("do_normalize", True))


def _standardized(wave: Wave) -> Wave:
    if not len(wave):
        return wave
    centred = wave - wave.mean(dtype=np.float64)
    return np.asarray(centred / np.sqrt(np.mean(centred**2, dtype=np.float64) + 1e-7), np.float32)
