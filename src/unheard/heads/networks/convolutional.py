"""Convolutions and attentive statistics over an encoder's frames (definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.heads.networks.network_head import Size
from unheard.heads.networks.standardising_head import StandardisingHead
from unheard.settings import OneOf, Within

if TYPE_CHECKING:
    from unheard.heads.networks.one_input_network import StandardisingNetwork
    from unheard.training.augmentation import Augmentation


@dataclass(kw_only=True)
class Convolutional(StandardisingHead):
    """A network over frames; see :class:`StandardisingHead` for the settings that it shares with others.

    Parameters
    ----------
    channels, attention
        Channels of both convolutions, units of the attention.
    dropout
        Probability of dropout before the output.
    patience
        Epochs without anything better on validation rows after which training stops.
    weight_decay, warmup
        Weight decay of AdamW; share of all steps in which the learning rate rises, before it falls as a cosine.
    balanced
        Whether the loss gives every class the same total weight; else every clip.
    smoothing
        Share of a target that is spread over all classes.
    crop
        In training a clip is cut to a random piece, whose share of it is uniform from ``crop`` to 1. 1: off.
    mixup
        In training, with this probability, a batch's standardised clips are mixed with other ones of it, and so
        are their targets. 0: off.
    precision
        Precision of training steps: ``float32``, or ``bfloat16`` (automatic mixed precision). Outputs are float32.
    """

    name: ClassVar[str] = "convolutional"

    channels: Annotated[int, Within(1, 8192)] = 192
    attention: Annotated[int, Within(1, 8192)] = 64
    dropout: Annotated[float, Within(0, 0.95)] = 0.4
    epochs: Annotated[int, Within(1, 10_000)] = 25
    patience: Annotated[int, Within(1, 10_000)] = 25
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1.5e-3
    weight_decay: Annotated[float, Within(0, 10)] = 0.05
    warmup: Annotated[float, Within(0, 1)] = 0.3
    balanced: bool = True
    smoothing: Annotated[float, Within(0, 0.95)] = 0.1
    crop: Annotated[float, Within(0.01, 1)] = 0.7
    mixup: Annotated[float, Within(0, 1)] = 0.0
    precision: Annotated[str, OneOf("float32", "bfloat16")] = "float32"

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> StandardisingNetwork:
        """See :class:`~unheard.heads.networks.convolutional_network.ConvolutionalNetwork`."""
        from unheard.heads.networks.convolutional_network import ConvolutionalNetwork

        (size,) = sizes.values()
        return ConvolutionalNetwork(
            size.dims,
            classes,
            channels=self.channels,
            attention=self.attention,
            dropout=self.dropout,
            dimensions=dimensions,
        )

    def augmentation(self) -> Augmentation:
        """Return how standardised frames are changed in training, mixup included."""
        return replace(super().augmentation(), mixup=self.mixup)
