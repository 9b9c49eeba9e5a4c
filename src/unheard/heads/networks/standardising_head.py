"""Heads whose networks standardise frames by the training frames, and augment them so in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from unheard.heads.networks.network_head import NetworkHead
from unheard.heads.rows import moments
from unheard.inputs import Features, Form
from unheard.settings import Within

if TYPE_CHECKING:
    from unheard.training.augmentation import Augmentation
    from unheard.training.stored import Plan


@dataclass(kw_only=True)
class StandardisingHead(NetworkHead):
    """A head whose network is a :class:`~unheard.heads.networks.one_input_network.StandardisingNetwork`.

    Parameters
    ----------
    level, noise
        Augmentation in training: standard deviation of one shift for a whole clip, and of noise at every frame and
        dimension, in units of the standardised features. 0: off.
    time_mask, frequency_mask
        Largest share of a clip's frames, and of the dimensions, that a mask sets to the mean. 0: off.
    """

    form: ClassVar[Form] = Form.FRAMES
    metric: ClassVar[str | None] = "uar"

    level: Annotated[float, Within(0, 10)] = 0.0
    noise: Annotated[float, Within(0, 10)] = 0.0
    time_mask: Annotated[float, Within(0, 1)] = 0.0
    frequency_mask: Annotated[float, Within(0, 1)] = 0.0

    def plan(self) -> Plan:
        """Return how to train, with the augmentation of standardised frames."""
        return replace(super().plan(), augmentation=self.augmentation())

    def augmentation(self) -> Augmentation:
        """Return how standardised frames are changed in training."""
        from unheard.training.augmentation import Augmentation

        return Augmentation(self.level, self.noise, self.time_mask, self.frequency_mask)

    def prepare(self, network: Any, inputs: Mapping[str, Features]) -> None:
        """Give the network the mean and the standard deviation of the training frames."""
        import torch

        (features,) = inputs.values()
        mean, scale = moments(features)
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(scale))
