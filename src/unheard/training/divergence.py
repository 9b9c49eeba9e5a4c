"""The error of a training that left the numbers; apart from the networks, so that it is known without torch."""

from __future__ import annotations

from unheard.errors import DataError, first_five


class DivergenceError(DataError):
    """The loss of a batch is NaN or infinite.

    Parameters
    ----------
    epoch
        Number of the epoch, counted from 0.
    rows
        Row numbers of the batch's clips in the training examples.
    """

    def __init__(self, epoch: int, rows: tuple[int, ...]) -> None:
        super().__init__(epoch, rows)
        self.epoch = epoch
        self.rows = rows

    def __str__(self) -> str:
        return (
            f"the loss is not finite in epoch {self.epoch}, in the batch of training clips number "
            f"{first_five(sorted(self.rows))}; look at these clips' features, or lower head.learning_rate"
        )
