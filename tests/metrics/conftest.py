"""The small prediction tables."""

from __future__ import annotations

from prediction_tables import random, table

__all__ = ["random", "table"]
