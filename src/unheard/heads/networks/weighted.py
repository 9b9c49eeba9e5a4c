"""All layers of a frozen encoder under learned weights, attentive statistics and a small perceptron.

The published system is Ab-Romia's (RAVDESS, frozen WavLM-large); definitions in docs/heads.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from unheard.errors import UsageError
from unheard.heads.networks.network_head import NetworkHead, Size
from unheard.inputs import Form
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.heads.networks.weighted_network import WeightedNetwork


@dataclass(kw_only=True)
class Weighted(NetworkHead):
    """A network over all layers; see :class:`NetworkHead` for the settings that all such heads have.

    Parameters
    ----------
    normalise
        Whether each layer is layer-normalised first, frame by frame: the layers of encoders that normalise before
        their layers grow from layer to layer, and weights over them as they are mix scales.
    attention, hidden
        Units of the attention and of the perceptron; 128 and 256 as published.
    dropout
        Probability of dropout on the weighted frames and on the hidden units.
    patience
        Epochs without anything better on validation rows after which training stops.
    weight_decay, warmup, clip
        Weight decay of AdamW; share of all steps in which the learning rate rises, before it falls as a cosine;
        largest norm of the gradient.
    """

    name: ClassVar[str] = "weighted"
    form: ClassVar[Form] = Form.LAYERS
    metric: ClassVar[str | None] = "macro_f1"

    normalise: bool = False
    attention: Annotated[int, Within(1, 8192)] = 128
    hidden: Annotated[int, Within(1, 8192)] = 256
    dropout: Annotated[float, Within(0, 0.95)] = 0.3
    epochs: Annotated[int, Within(1, 10_000)] = 25
    patience: Annotated[int, Within(1, 10_000)] = 7
    batch: Annotated[int, Within(1, 65_536)] = 16
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1e-3
    weight_decay: Annotated[float, Within(0, 10)] = 1e-4
    warmup: Annotated[float, Within(0, 1)] = 0.1
    clip: Annotated[float, Within(1e-6, 1e6)] = 1.0

    @property
    def learned_(self) -> dict[str, list[float]]:
        """Weight of each layer; they sum to 1."""
        if not hasattr(self, "network_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        return {"layer_weights": self.network_.shares().tolist()}

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> WeightedNetwork:
        """See :class:`~unheard.heads.networks.weighted_network.WeightedNetwork`."""
        from unheard.heads.networks.weighted_network import WeightedNetwork

        (size,) = sizes.values()
        return WeightedNetwork(
            size.dims,
            classes,
            size.layers,
            normalise=self.normalise,
            attention=self.attention,
            hidden=self.hidden,
            dropout=self.dropout,
            dimensions=dimensions,
        )
