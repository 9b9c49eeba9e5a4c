"""Convolutional networks that are trained from scratch, on a spectrogram or on the waveform itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.heads.networks.convolutional import Convolutional
from unheard.heads.networks.network_head import Size
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.networks.cnn_network import CNNNetwork


@dataclass(kw_only=True)
class SpectrogramCNN(Convolutional):
    """Four convolutions over time and frequency of a spectrogram (``logmel``, say), then attentive statistics.

    Settings are those of :class:`~unheard.heads.networks.convolutional.Convolutional`.

    Parameters
    ----------
    channels
        Channels of the last two convolutions; the first has a quarter, the second half of them.
    """

    name: ClassVar[str] = "spectrogram_cnn"

    channels: Annotated[int, Within(4, 8192)] = 64
    epochs: Annotated[int, Within(1, 10_000)] = 40
    patience: Annotated[int, Within(1, 10_000)] = 40

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> CNNNetwork:
        """See :class:`~unheard.heads.networks.cnn_network.CNNNetwork`."""
        from unheard.heads.networks import cnn_network

        (size,) = sizes.values()
        layers = cnn_network.over_spectrogram(self.channels)
        return cnn_network.CNNNetwork(
            size.dims, layers, classes,
            attention=self.attention, dropout=self.dropout, dimensions=dimensions,
        )  # fmt: skip


@dataclass(kw_only=True)
class WaveformCNN(Convolutional):
    """Strided convolutions over samples (the features ``waveform``) and one over their frames, then statistics.

    Settings are those of :class:`~unheard.heads.networks.convolutional.Convolutional`.

    Parameters
    ----------
    channels
        Channels of all convolutions but the first, which has half of them.
    """

    name: ClassVar[str] = "waveform_cnn"

    channels: Annotated[int, Within(2, 8192)] = 64
    epochs: Annotated[int, Within(1, 10_000)] = 40
    patience: Annotated[int, Within(1, 10_000)] = 40

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> CNNNetwork:
        """See :class:`~unheard.heads.networks.cnn_network.CNNNetwork`."""
        from unheard.heads.networks import cnn_network

        (size,) = sizes.values()
        layers = cnn_network.over_samples(self.channels, size.dims)
        return cnn_network.CNNNetwork(
            size.dims, layers, classes,
            samples=True, attention=self.attention, dropout=self.dropout, dimensions=dimensions,
        )  # fmt: skip
