"""Work that threads do ahead of whoever needs it: decoding while an encoder computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], groups: Iterable[list[Item]], depth: int
) -> Iterator[tuple[list[Item], list[Result]]]:
    """Yield each group with the results of its items, in order, while ``depth`` more groups are worked on.

    An exception of the work comes through; what waits is cancelled when the caller leaves.
    """
    waiting: deque[tuple[list[Item], list[Future[Result]]]] = deque()
    try:
        for group in groups:
            waiting.append((group, [pool.submit(work, item) for item in group]))
            if len(waiting) > depth:
                first, futures = waiting.popleft()
                yield first, [future.result() for future in futures]
        while waiting:
            first, futures = waiting.popleft()
            yield first, [future.result() for future in futures]
    finally:
        for _, futures in waiting:
            for future in futures:
                future.cancel()
