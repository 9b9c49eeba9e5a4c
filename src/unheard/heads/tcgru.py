"""TC-GRU: convolution, GRU and embedding on frame features (arXiv 2503.22711; definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from unheard.heads.network_head import NetworkHead, Size
from unheard.heads.rows import moments
from unheard.inputs import Features, Form
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.tcgru_network import TCGRUNetwork
    from unheard.training.stored import Plan


@dataclass(kw_only=True)
class TCGRU(NetworkHead):
    """A network over frames; see :class:`NetworkHead` for the settings that all such heads have.

    Parameters
    ----------
    hidden
        Channels and units; 256 as published.
    dropout
        Before the embedding.
    patience
        Epochs without anything better on validation rows after which training stops.
    learning_rate
        Of Adam.
    level, noise
        Augmentation in training: standard deviation of one shift for a whole clip, and of noise at every frame and
        dimension, in units of the standardised features. 0: off.
    time_mask, frequency_mask
        Largest share of a clip's frames, and of the dimensions, that a mask sets to the mean. 0: off.
    """

    name: ClassVar[str] = "tcgru"
    form: ClassVar[Form] = Form.FRAMES
    metric: ClassVar[str | None] = "uar"

    hidden: Annotated[int, Within(1, 8192)] = 256
    dropout: Annotated[float, Within(0, 0.95)] = 0.1
    epochs: Annotated[int, Within(1, 10_000)] = 80
    patience: Annotated[int, Within(1, 10_000)] = 10
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 5e-4
    level: Annotated[float, Within(0, 10)] = 0.1
    noise: Annotated[float, Within(0, 10)] = 0.1
    time_mask: Annotated[float, Within(0, 1)] = 0.1
    frequency_mask: Annotated[float, Within(0, 1)] = 0.1

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> TCGRUNetwork:
        """See :class:`~unheard.heads.tcgru_network.TCGRUNetwork`."""
        from unheard.heads.tcgru_network import TCGRUNetwork

        (size,) = sizes.values()
        return TCGRUNetwork(size.dims, classes, self.hidden, self.dropout, dimensions)

    def plan(self) -> Plan:
        """Adam; early stopping by UAR."""
        from unheard.training.augmentation import Augmentation
        from unheard.training.objective import objective_of
        from unheard.training.stored import Plan

        return Plan(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            metric=self.metric,
            objective=objective_of(self.objective),
            patience=self.patience,
            augmentation=Augmentation(self.level, self.noise, self.time_mask, self.frequency_mask),
            device=self.device,
        )

    def prepare(self, network: Any, inputs: Mapping[str, Features]) -> None:
        """Frames are standardised inside the network, by the training frames."""
        import torch

        (features,) = inputs.values()
        mean, scale = moments(features)
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(scale))
