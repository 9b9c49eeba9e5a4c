"""The mean over frames, dropout and one layer: what customarily stands behind a fine-tuned encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.heads.networks.network_head import NetworkHead, Size
from unheard.inputs import Form
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.networks.mean_network import MeanNetwork


@dataclass(kw_only=True)
class Mean(NetworkHead):
    """A network over frames; see :class:`NetworkHead` for the settings that all such heads have.

    Parameters
    ----------
    dropout
        Probability of dropout on the mean.
    patience
        Epochs without anything better on validation rows after which training stops.
    weight_decay
        Weight decay of AdamW.
    """

    name: ClassVar[str] = "mean"
    form: ClassVar[Form] = Form.FRAMES
    metric: ClassVar[str | None] = "uar"

    dropout: Annotated[float, Within(0, 0.95)] = 0.2
    epochs: Annotated[int, Within(1, 10_000)] = 50
    patience: Annotated[int, Within(1, 10_000)] = 10
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1e-3
    weight_decay: Annotated[float, Within(0, 10)] = 1e-2

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> MeanNetwork:
        """See :class:`~unheard.heads.networks.mean_network.MeanNetwork`."""
        from unheard.heads.networks.mean_network import MeanNetwork

        (size,) = sizes.values()
        return MeanNetwork(size.dims, classes, dropout=self.dropout, dimensions=dimensions)
