"""wav2vec of 2019 (Schneider et al.), before transformers: its context network at 100 frames a second.

From the owners' checkpoint (``wav2vec_large.pt``), a file of fairseq, of which tensors and plain settings alone
are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.encoders import windows
from unheard.encoders.contract import Encoder, Export, Layers, Settings, Wave, top_layer
from unheard.encoders.precision import device_of, precision_of
from unheard.errors import DataError, UsageError, first_five, need
from unheard.files import digest, file_digest
from unheard.inputs import Layer, Source
from unheard.onnx_graphs.wav2vec import wav2vec_graph
from unheard.settings import plain

if TYPE_CHECKING:
    from unheard.encoders.wav2vec_network import Wav2VecNetwork

VERSION = 1
RATE = 16_000
#: Frames of a batch.
BUDGET = {"cpu": 1600, "cuda": 24_000}
#: Standard deviation of random weights of a convolution, times the root of the values that it sums over.
SPREAD = 2**0.5


@dataclass(frozen=True)
class Options(Settings):
    """Settings of wav2vec: what all encoders share. ``model`` is the file, or a folder that holds it alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.revision is not None:
            raise UsageError("encoder.revision: this family takes a file of fairseq, not a hub name")


def load(options: Options) -> Wav2Vec:
    """Read settings and weights up to the cut; see ``unheard.encoders.load`` for the errors.

    Random weights need no file: they are those of the published large network, or of the file's sizes.
    """
    torch = need("torch", "train")
    from unheard.encoders import fairseq, random_weights
    from unheard.encoders import wav2vec_network as networks
    from unheard.encoders.arrays import check_finite

    device, precision = device_of(options.device), precision_of(options.precision, options.device)
    if options.model:
        path = _file(options.model)
        read = fairseq.read(path)
        config, where = networks.architecture(read.settings, str(path)), str(path)
    else:
        config, where = networks.Architecture(), "wav2vec_large"
    layers = top_layer(options.cut, len(config.context), where)
    if options.weights == "random":
        network = networks.Wav2VecNetwork(config, layers)
        _draw(network, options.seed)
        found = digest({"config": networks.plain(config), "seed": options.seed})
    else:
        check_finite(read.tensors, path)
        network = networks.trained(config, layers, read.tensors, where)
        found = digest({"checkpoint": file_digest(path)})
        if options.weights == "shuffled":
            random_weights.shuffle(network, options.seed)
    network.requires_grad_(False).eval().to(device, getattr(torch, precision))
    return Wav2Vec(replace(options, sha256=found, precision=precision), network)


class Wav2Vec(Encoder):
    """wav2vec behind the contract of encoders. Waveforms enter as they are, full scale ±1."""

    rate = RATE
    source = Source("as its owner says (wav2vec of fairseq: MIT)")

    def __init__(self, options: Options, network: Wav2VecNetwork) -> None:
        config = network.config
        self.settings: dict[str, Any] = {"name": "wav2vec", **plain(options)}
        self.network = network
        self.layers = tuple(Layer(str(k), dims, RATE / config.hop) for k, dims in enumerate(network.dims))

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        return (self.network.config.frames(samples),) * len(self.layers)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return the asked layers of each waveform; those of more than 30 s are taken in windows."""
        hop = self.network.config.hop
        cuts = [windows.spans(len(wave), RATE, hop) for wave in items]
        parts = [wave[start:stop] for wave, spans in zip(items, cuts, strict=True) for start, stop in spans]
        done = iter(self._parts(parts, layers))
        results = []
        for spans in cuts:
            own = [next(done) for _ in spans]
            starts = [start // hop for start, _ in spans]
            results.append(tuple(windows.joined(frames, starts) for frames in zip(*own, strict=True)))
        return results

    def _parts(self, parts: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return the layers of each part of a clip, in batches of similar length."""
        import torch

        config, first = self.network.config, next(self.network.parameters())
        frames = [config.frames(len(part)) for part in parts]
        done: list[Layers] = [()] * len(parts)
        with torch.inference_mode():
            for batch in windows.by_length(frames, BUDGET[self.settings["device"]]):
                lengths = [max(len(parts[at]), config.shortest) for at in batch]
                waves = np.zeros((len(batch), max(lengths)), np.float32)
                for row, at in zip(waves, batch, strict=True):
                    row[: len(parts[at])] = parts[at]
                states = self.network(torch.from_numpy(waves).to(first), lengths, layers)
                arrays = [state.float().cpu().numpy() for state in states]
                for row_number, at in enumerate(batch):
                    done[at] = tuple(state[row_number, : frames[at]].copy() for state in arrays)
        return done

    def export(self, layers: Sequence[int]) -> Export:
        """Return the graph that gives these layers of samples."""
        return Export(
            wav2vec_graph(self.network, layers),
            windows.window(RATE),
            shortest=self.network.config.shortest,
        )


def _file(model: str) -> Path:
    """Return the checkpoint: a file, or the only ``.pt`` of a folder."""
    path = Path(model).expanduser()
    if path.is_dir():
        found = sorted(path.glob("*.pt"))
        if len(found) != 1:
            raise DataError(
                f"{path}: expected one checkpoint (.pt), found {first_five(f.name for f in found) or 'none'}; "
                "name the file"
            )
        return found[0]
    if not path.is_file():
        raise UsageError(
            f"no such file: {model}; the encoder wav2vec takes the owners' checkpoint, such as wav2vec_large.pt"
        )
    return path


def _draw(network: Wav2VecNetwork, seed: int) -> None:
    """Draw weights: convolutions as of He et al. (2015), biases 0, norms 1; seeded for each tensor by its name."""
    import torch

    from unheard.encoders.random_weights import generator

    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim > 1:
                spread = SPREAD / (value.shape[1] * value.shape[2]) ** 0.5
                value.normal_(0.0, spread, generator=generator(seed, name))
            else:
                value.fill_(0.0 if name.endswith("bias") else 1.0)
