"""How to fine-tune: every setting, its default and its bounds. Read without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from unheard.errors import UsageError, unknown
from unheard.settings import between

METRICS = ("macro_f1", "uar", "weighted_f1", "accuracy")
SCHEDULES = ("linear", "cosine")
CROPS = ("centre", "start", "random")
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("cpu", "cuda")
FRONTS = ("frozen", "tuned")


@dataclass(frozen=True)
class Settings:
    """What fine-tuning can be told.

    Parameters
    ----------
    tune
        What of the encoder moves: ``all`` of it; ``top 3``, its last three layers; or ``lora``, low-rank matrices
        beside the query and value projections of every layer (Hu et al. 2021, arXiv 2106.09685).
    lora_rank, lora_alpha
        Of these matrices: their product is scaled by alpha / rank.
    front
        The convolutional feature extractor: ``frozen``, or ``tuned`` (with ``tune: all`` only).
    layer
        What the head hears: the ``last`` entry, the entry of this number (the encoder is cut there), or all
        of them, ``weighted`` by the head.
    lr_head, lr_backbone
        Peak learning rates of AdamW for the head, and for the encoder's top layer.
    layer_decay
        Each layer's rate is so many times that of the layer above it; what lies below the first layer counts as
        one more layer. 1: the same for all.
    warmup
        Share of all steps during which rates rise in equal steps from 0 to their peak.
    schedule
        How they fall to 0 afterwards: ``linear`` or ``cosine`` (half a period).
    weight_decay
        Of AdamW, for every parameter.
    epochs, patience
        At most so many epochs; training stops after so many without anything better on validation rows.
    metric
        What is better: one of ``METRICS`` on validation rows; among equals the lower loss. The best epoch's
        state is kept.
    batch, accumulate
        Clips that are computed together, and how many such batches make one step. A step's gradient is that of
        its batch x accumulate clips, so that 8 x 2 and 4 x 4 are the same training.
    clip
        Largest norm of a step's gradient; 0: any.
    longest, crop
        Seconds; of a longer clip so much is heard, from its ``centre``, its ``start``, or in training from a
        ``random`` place and its centre otherwise.
    time_mask
        Share of the frames that masks cover in training (less where masks overlap), and length of a mask in
        frames (SpecAugment as wav2vec 2.0 and its kin use it); with ``tune: all`` only, since the frames are
        masked in a part that is frozen otherwise. None: no masks.
    augment
        Change the waveforms in training, see ``training/waves.py``.
    precision
        Of the encoder's products: ``bfloat16`` is automatic mixed precision. Weights and the head stay float32.
    checkpointing
        Compute a layer's inner values again for its gradient instead of keeping them: less memory, more time.
    device, devices
        ``cpu`` or ``cuda``, and how many of them share each step.
    """

    tune: str = "all"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    front: str = "frozen"
    layer: str | int = "last"
    lr_head: float = 1e-3
    lr_backbone: float = 1e-5
    layer_decay: float = 1.0
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    epochs: int = 20
    patience: int = 5
    metric: str = "uar"
    batch: int = 8
    accumulate: int = 1
    clip: float = 1.0
    longest: float = 10.0
    crop: str = "centre"
    time_mask: tuple[float, int] | None = None
    augment: bool = False
    precision: str = "float32"
    checkpointing: bool = False
    device: str = "cpu"
    devices: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lora_rank", 1, 1024),
            ("lora_alpha", 1e-6, 1e6),
            ("lr_head", 0, 10),
            ("lr_backbone", 0, 10),
            ("layer_decay", 1e-3, 1),
            ("warmup", 0, 1),
            ("weight_decay", 0, 10),
            ("epochs", 1, 10_000),
            ("patience", 1, 10_000),
            ("batch", 1, 65_536),
            ("accumulate", 1, 65_536),
            ("clip", 0, 1e9),
            ("longest", 0.1, 30),
            ("devices", 1, 1024),
        ):
            between(self, "training", name, low, high)
        for name, choices in (
            ("front", FRONTS),
            ("schedule", SCHEDULES),
            ("metric", METRICS),
            ("crop", CROPS),
            ("precision", PRECISIONS),
            ("device", DEVICES),
        ):
            if getattr(self, name) not in choices:
                raise unknown(f"training.{name}", getattr(self, name), choices)
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
                f"training.layer is {self.layer!r}; expected 'last', 'weighted' or an entry's number"
            )
        if isinstance(self.layer, int) and not 0 <= self.layer <= 10_000:
            raise UsageError(f"training.layer must be an entry's number from 0, found {self.layer}")

    def _check_mask(self) -> None:
        if self.time_mask is None:
            return
        fits = len(self.time_mask) == 2 and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in self.time_mask
        )
        if not fits or not 0 < self.time_mask[0] <= 1 or self.time_mask[1] not in range(1, 10_000):
            raise UsageError(
                f"training.time_mask is {list(self.time_mask)}; expected a probability in 0 … 1 and a number of "
                "frames, such as [0.05, 10]"
            )
        if self.tune != "all":
            raise UsageError(
                f"training.time_mask masks what enters the encoder's layers, which training.tune={self.tune!r} "
                "leaves frozen; take training.tune=all or training.time_mask=null"
            )
