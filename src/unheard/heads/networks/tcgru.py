"""TC-GRU: convolution, GRU and embedding on frame features (arXiv 2503.22711; definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.heads.networks.network_head import Size
from unheard.heads.networks.standardising_head import StandardisingHead
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.networks.tcgru_network import TCGRUNetwork


@dataclass(kw_only=True)
class TCGRU(StandardisingHead):
    """A network over frames; see :class:`StandardisingHead` for the settings that it shares with others.

    Parameters
    ----------
    hidden
        Channels and units; 256 as published.
    dropout
        Probability of dropout before the embedding.
    patience
        Epochs without anything better on validation rows after which training stops.
    learning_rate
        Learning rate of Adam.
    """

    name: ClassVar[str] = "tcgru"

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
        """See :class:`~unheard.heads.networks.tcgru_network.TCGRUNetwork`."""
        from unheard.heads.networks.tcgru_network import TCGRUNetwork

        (size,) = sizes.values()
        return TCGRUNetwork(size.dims, classes, self.hidden, self.dropout, dimensions)
