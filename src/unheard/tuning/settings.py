"""The settings of fine-tuning with their defaults and bounds; reading them needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from unheard.errors import UsageError
from unheard.settings import OneOf, Within, between, check

METRICS = ("macro_f1", "uar", "weighted_f1", "accuracy")


@dataclass(frozen=True)
class Settings:
    """The settings of fine-tuning.

    Parameters
    ----------
    tune
        Which part of the encoder is trained: ``all`` of it; ``top 3``, its last three layers; or ``lora``,
        low-rank matrices added to the query and value projections of every layer (Hu et al. 2021, arXiv
        2106.09685).
    lora_rank, lora_alpha
        Rank of these matrices, and the alpha in the factor alpha / rank of their product.
    front
        Whether the convolutional feature extractor is ``frozen`` or ``tuned`` (with ``tune: all`` only).
    layer
        The input of the head: the ``last`` layer, the layer of this number (the encoder is cut there), or all
        of them, ``weighted`` by the head.
    lr_head, lr_backbone
        Peak learning rates of AdamW for the head, and for the encoder's top layer.
    layer_decay
        Each layer's rate is so many times that of the layer above it; what lies below the first layer counts as
        one more layer. 1: the same for all.
    warmup
        Share of all steps during which rates rise in equal steps from 0 to their peak.
    schedule
        How the rates fall to 0 afterwards: ``linear`` or ``cosine`` (half a period).
    weight_decay
        Weight decay of AdamW, for every parameter.
    epochs, patience
        Maximum number of epochs, and the number of epochs without improvement on validation rows that end
        training.
    metric
        The metric on validation rows that chooses the best epoch, one of ``METRICS``; among equal epochs the one
        with the lower loss. That epoch's state is kept.
    batch, accumulate
        Number of clips that are computed together, and number of such batches in one step. A step's gradient is
        that of its batch x accumulate clips, so that 8 x 2 and 4 x 4 are the same training.
    clip
        Largest norm of a step's gradient; 0 sets no bound.
    longest, crop
        Number of seconds that are taken of a longer clip: from its ``centre``, from its ``start``, or in training
        from a ``random`` place and otherwise from the centre.
    time_mask
        Share of the frames that masks cover in training (less where masks overlap), and length of a mask in
        frames (SpecAugment as wav2vec 2.0 and its kin use it); with ``tune: all`` only, since the frames are
        masked in a part that is frozen otherwise. None: no masks.
    augment
        Whether the waveforms are changed in training, see ``tuning/waves.py``.
    precision
        Precision of the encoder's matrix products; ``bfloat16`` is automatic mixed precision. Weights and the
        head stay float32.
    checkpointing
        Whether a layer's inner values are computed again for its gradient, which takes less memory and more time.
    device, devices
        Kind of device, ``cpu`` or ``cuda``, and the number of devices that share each step.
    """

    tune: str = "all"
    lora_rank: Annotated[int, Within(1, 1024)] = 8
    lora_alpha: Annotated[float, Within(1e-6, 1e6)] = 16.0
    front: Annotated[str, OneOf("frozen", "tuned")] = "frozen"
    layer: str | int = "last"
    lr_head: Annotated[float, Within(0, 10)] = 1e-3
    lr_backbone: Annotated[float, Within(0, 10)] = 1e-5
    layer_decay: Annotated[float, Within(1e-3, 1)] = 1.0
    warmup: Annotated[float, Within(0, 1)] = 0.1
    schedule: Annotated[str, OneOf("linear", "cosine")] = "linear"
    weight_decay: Annotated[float, Within(0, 10)] = 0.01
    epochs: Annotated[int, Within(1, 10_000)] = 20
    patience: Annotated[int, Within(1, 10_000)] = 5
    metric: Annotated[str, OneOf(*METRICS)] = "uar"
    batch: Annotated[int, Within(1, 65_536)] = 8
    accumulate: Annotated[int, Within(1, 65_536)] = 1
    clip: Annotated[float, Within(0, 1e9)] = 1.0
    longest: Annotated[float, Within(0.1, 30)] = 10.0
    crop: Annotated[str, OneOf("centre", "start", "random")] = "centre"
    time_mask: tuple[float, int] | None = None
    augment: bool = False
    precision: Annotated[str, OneOf("float32", "bfloat16")] = "float32"
    checkpointing: bool = False
    device: Annotated[str, OneOf("cpu", "cuda")] = "cpu"
    devices: Annotated[int, Within(1, 1024)] = 1

    def __post_init__(self) -> None:
        check(self, "training")
        self._check_tune()
        self._check_layer()
        self._check_mask()

    @property
    def top(self) -> int | None:
        """How many layers move where it is not all of them: 3 of ``top 3``."""
        found = re.fullmatch(r"top ([1-9]\d{0,3})", self.tune)
        return int(found[1]) if found else None

    def _check_tune(self) -> None:
        if self.tune not in ("all", "lora") and self.top is None:
            raise UsageError(f"training.tune is {self.tune!r}; expected 'all', 'top 3' (layers) or 'lora'")
        if self.front == "tuned" and self.tune != "all":
            raise UsageError(
                f"training.front is 'tuned' and training.tune {self.tune!r}: what follows the front is "
                "frozen then; take training.tune=all or training.front=frozen"
            )

    def _check_layer(self) -> None:
        if isinstance(self.layer, str) and self.layer not in ("last", "weighted"):
            raise UsageError(
                f"training.layer is {self.layer!r}; expected 'last', 'weighted' or a layer's number"
            )
        if isinstance(self.layer, int):
            between(self.layer, 0, 10_000, "training.layer")

    def _check_mask(self) -> None:
        if self.time_mask is None:
            return
        share, frames = self.time_mask
        if not 0 < share <= 1 or not 1 <= frames < 10_000:
            raise UsageError(
                f"training.time_mask is {list(self.time_mask)}; expected a probability in 0 … 1 and a number of "
                "frames, such as [0.05, 10]"
            )
        if self.tune != "all":
            raise UsageError(
                f"training.time_mask masks what enters the encoder's layers, which training.tune={self.tune!r} "
                "leaves frozen; take training.tune=all or training.time_mask=null"
            )
