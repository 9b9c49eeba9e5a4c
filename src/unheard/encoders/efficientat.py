"""EfficientAT: convolutional networks taught to tag sounds (AudioSet), of any width, from the public state dicts.

Entries are the stem, the 15 blocks and the last convolution, frequency averaged (our choice), so entry ``last``
averaged over frames is what the owners' classifier reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from unheard.encoders.contract import Layers, Settings, Wave
from unheard.encoders.precision import device_of
from unheard.encoders.windowed import check_entries, in_windows
from unheard.errors import DataError, UsageError, first_five, need
from unheard.features.efficientat import HOP, EfficientATMel
from unheard.files import digest, file_digest
from unheard.settings import Within, plain

if TYPE_CHECKING:
    from torch import Tensor

    from unheard.encoders.efficientat_network import EfficientATNetwork

VERSION = 1


@dataclass(frozen=True)
class Options(Settings):
    """Settings of an EfficientAT encoder.

    Parameters
    ----------
    model
        The state dict (``.pt`` or ``.safetensors``) as published, or the folder that holds it.
    width
        Of random weights without a model: factor on the channels, 0.4 for mn04.
    """

    width: Annotated[float, Within(0.05, 10)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in ("float32", "auto"):
            raise UsageError(
                f"encoder.precision {self.precision!r}: these small networks lose more than they gain (cosine "
                "0.986 of the last entry in bfloat16); take 'float32' or 'auto'"
            )
        if self.revision is not None:
            raise UsageError("encoder.revision: an EfficientAT model is a file or a folder, not a hub name")


def load(options: Options) -> EfficientATEncoder:
    """Read the state dict up to the cut, fold its norms, and return the encoder.

    Raises
    ------
    UsageError
        No such model, or a cut above the last entry.
    DataError
        No weights, weights of another network, NaN weights, or another ``sha256``.
    MachineError
        No torch, or no such device.
    """
    need("torch", "train")
    from unheard.encoders import efficientat_network as made
    from unheard.encoders import random_weights as chance

    device = device_of(options.device)
    top = len(made.NAMES) - 1 if options.cut is None else options.cut
    if top >= len(made.NAMES):
        raise UsageError(
            f"encoder.cut is {top}; EfficientAT has the entries 0 … 16 ({', '.join(made.NAMES)})"
        )
    if options.model:
        path = _file(Path(options.model))
        found = digest({"files": [file_digest(path)]})
        tensors = _tensors(path)
        width = tensors["features.16.0.weight"].shape[0] / made.LAST
    else:
        path, width = Path(f"width {options.width:g}"), options.width
        found, tensors = digest({"width": width, "seed": options.seed}), {}
    if options.sha256 and options.sha256 != found:
        raise DataError(f"{path}: the encoder's sha256 is {found}, expected {options.sha256}: another model")

    network = made.EfficientATNetwork(width, top)
    if options.weights == "random":
        _draw(network, options.seed)
    else:
        _fill(network, made.folded(tensors, top), path)
        if options.weights == "shuffled":
            # Norms are folded in by now: their variances would fit no other order of channels.
            chance.shuffle(network, options.seed)
    network = network.to(device).eval().requires_grad_(False)
    return EfficientATEncoder(replace(options, sha256=found, precision="float32"), network)


class EfficientATEncoder:
    """EfficientAT behind the contract of encoders."""

    licence = "MIT (EfficientAT, Schmid and others)"

    def __init__(self, options: Options, network: EfficientATNetwork) -> None:
        from unheard.encoders.efficientat_network import NAMES, STRIDES

        self.settings: dict[str, Any] = {"name": "efficientat", **plain(options)}
        self.network = network
        self.rate = EfficientATMel.rate
        count = len(network.layers) + 1
        self.names = NAMES[:count]
        self._strides = STRIDES[:count]
        self.frame_rates = tuple(EfficientATMel.frames_per_second / stride for stride in self._strides)
        self.widths = network.widths

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each entry for a waveform of so many samples at 32 kHz."""
        mels = EfficientATMel().count(samples)
        return tuple(-(-mels // stride) for stride in self._strides)

    def encode(self, waves: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (n,) at 32 kHz, the asked entries, each (frames, channels) float32."""
        check_entries(layers, self.names)
        if not len(layers):
            return [() for _ in waves]
        hops = [self._strides[k] * HOP for k in layers]
        return [in_windows(wave, self.rate, hops, lambda part: self._window(part, layers)) for wave in waves]

    def _window(self, wave: Wave, layers: Sequence[int]) -> Layers:
        import torch

        with torch.inference_mode():
            samples = torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32)).to(
                self.settings["device"]
            )
            parts = self.network.clip(self.network.mels(samples), layers)
            return tuple(part.float().cpu().numpy() for part in parts)


def _file(place: Path) -> Path:
    """Find the state dict that a file's or a folder's name means; safetensors is preferred."""
    if place.is_file():
        return place
    if not place.is_dir():
        raise UsageError(f"encoder.model: there is no file or folder {place}")
    for suffix in (".safetensors", ".pt"):
        found = sorted(file for file in place.iterdir() if file.suffix == suffix)
        if len(found) > 1:
            raise UsageError(
                f"{place} holds {len(found)} state dicts: name one of {', '.join(file.name for file in found)} as "
                "encoder.model"
            )
        if found:
            return found[0]
    raise DataError(f"{place} holds no weights: expected a state dict of EfficientAT, .safetensors or .pt")


def _tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict; nothing is unpickled but tensors."""
    torch = need("torch", "train")
    try:
        if path.suffix == ".safetensors":
            content = need("safetensors.torch", "train").load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(f"{path} is no state dict that can be read safely: {text}") from error
    if not isinstance(content, dict) or "features.16.0.weight" not in content:
        raise DataError(f"{path} is no state dict of EfficientAT: it has no tensor features.16.0.weight")
    bad = [name for name, value in content.items() if value.is_floating_point() and value.isnan().any()]
    if bad:
        raise DataError(f"{path}: weights hold NaN: {first_five(bad)}; get the file again")
    return content


def _fill(network: EfficientATNetwork, found: dict[str, Tensor], path: Path) -> None:
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    bad = [
        f"{name} {tuple(found[name].shape)} where {shape} is expected"
        for name, shape in shapes.items()
        if tuple(found[name].shape) != shape
    ]
    if bad:
        raise DataError(f"{path} does not fit a MobileNetV3-large: {first_five(bad)}")
    network.load_state_dict(found)


def _draw(network: EfficientATNetwork, seed: int) -> None:
    """Draw weights: normal by fan-in (He et al. 2015), which keeps the size of values without norms; biases 0."""
    from unheard.encoders.random_weights import generator

    for name, value in network.named_parameters():
        if name.endswith("bias"):
            value.data.zero_()
        else:
            value.data.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator(seed, name))
