"""Clips of similar length together, so many that a batch holds a certain number of frames."""

from __future__ import annotations

from collections.abc import Sequence


def by_length(frames: Sequence[int], budget: int) -> list[list[int]]:
    """Return the positions of clips in batches, the longest clips first: what is too large fails at once.

    Parameters
    ----------
    frames : of each clip.
    budget : frames of a batch, were all its clips as long as its longest; a longer clip is a batch of its own.
    """
    batches: list[list[int]] = []
    longest = 0
    for position in sorted(range(len(frames)), key=lambda at: (-frames[at], at)):
        if not batches or (len(batches[-1]) + 1) * longest > budget:
            batches.append([])
            longest = frames[position]
        batches[-1].append(position)
    return batches
