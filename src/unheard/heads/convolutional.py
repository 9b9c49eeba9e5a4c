"""Convolutions and attentive statistics over an encoder's frames (definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from unheard.heads.network_head import NetworkHead, Size
from unheard.heads.rows import moments
from unheard.inputs import Features, Form
from unheard.settings import OneOf, Within

if TYPE_CHECKING:
    from unheard.heads.convolutional_network import ConvolutionalNetwork
    from unheard.training.stored import Plan


@dataclass(kw_only=True)
class Convolutional(NetworkHead):
    """A network over frames; see :class:`NetworkHead` for the settings that all such heads have.

    Parameters
    ----------
    channels, attention
        Channels of both convolutions, units of the attention.
    dropout
        Before the output.
    patience
        Epochs without anything better on validation rows after which training stops.
    weight_decay, warmup
        Of AdamW; share of all steps in which the learning rate rises, before it falls as a cosine.
    balanced
        Whether the loss gives every class the same total weight; else every clip.
    smoothing
        Share of a target that is spread over all classes.
    crop
        In training a clip is cut to a random piece, whose share of it is uniform from ``crop`` to 1. 1: off.
    mixup
        In training, with this probability, a batch's standardised clips are mixed with other ones of it, and so
        are their targets. 0: off.
    level, noise, time_mask, frequency_mask
        Augmentation in training, as of ``tcgru``. 0: off.
    precision
        Of training steps: ``float32``, or ``bfloat16`` (automatic mixed precision). Answers are float32.
    """

    name: ClassVar[str] = "convolutional"
    form: ClassVar[Form] = Form.FRAMES
    metric: ClassVar[str | None] = "uar"

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
    level: Annotated[float, Within(0, 10)] = 0.0
    noise: Annotated[float, Within(0, 10)] = 0.0
    time_mask: Annotated[float, Within(0, 1)] = 0.0
    frequency_mask: Annotated[float, Within(0, 1)] = 0.0
    precision: Annotated[str, OneOf("float32", "bfloat16")] = "float32"

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> ConvolutionalNetwork:
        """See :class:`~unheard.heads.convolutional_network.ConvolutionalNetwork`."""
        from unheard.heads.convolutional_network import ConvolutionalNetwork

        (size,) = sizes.values()
        return ConvolutionalNetwork(
            size.dims,
            classes,
            channels=self.channels,
            attention=self.attention,
            dropout=self.dropout,
            dimensions=dimensions,
        )

    def plan(self) -> Plan:
        """AdamW, one cycle of the learning rate; the epoch of the best UAR."""
        from unheard.training.augmentation import Augmentation
        from unheard.training.objective import objective_of
        from unheard.training.stored import Plan

        return Plan(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            metric=self.metric,
            objective=objective_of(self.objective),
            patience=self.patience,
            balanced=self.balanced,
            smoothing=self.smoothing,
            crop=self.crop,
            precision=self.precision,
            augmentation=Augmentation(
                self.level, self.noise, self.time_mask, self.frequency_mask, self.mixup
            ),
            device=self.device,
        )

    def prepare(self, network: Any, inputs: Mapping[str, Features]) -> None:
        """Frames are standardised inside the network, by the training frames."""
        import torch

        (features,) = inputs.values()
        mean, scale = moments(features)
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(scale))
