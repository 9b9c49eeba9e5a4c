"""EmoBox' head: every frame through one layer, then their mean (Ma et al. 2024; definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.heads.networks.network_head import NetworkHead, Size
from unheard.inputs import Form
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.networks.mean_network import MeanNetwork
    from unheard.training.stored import Plan


@dataclass(kw_only=True)
class EmoBox(NetworkHead):
    """A network over frames; see :class:`NetworkHead` for the settings that all such heads have.

    It is trained for all ``epochs`` and left as the last made it: validation rows are not used.

    Parameters
    ----------
    hidden
        Units of the frames' layer; 128 as published.
    learning_rate
        Learning rate of Adam.
    """

    name: ClassVar[str] = "emobox"
    form: ClassVar[Form] = Form.FRAMES
    metric: ClassVar[str | None] = None

    hidden: Annotated[int, Within(1, 8192)] = 128
    epochs: Annotated[int, Within(1, 10_000)] = 100
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1e-4

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> MeanNetwork:
        """See :class:`~unheard.heads.networks.mean_network.MeanNetwork`."""
        from unheard.heads.networks.mean_network import MeanNetwork

        (size,) = sizes.values()
        return MeanNetwork(size.dims, classes, hidden=self.hidden, dimensions=dimensions)

    def plan(self) -> Plan:
        """Return how to train: Adam on the cross-entropy without class weights, to the last epoch."""
        return replace(super().plan(), balanced=False)
