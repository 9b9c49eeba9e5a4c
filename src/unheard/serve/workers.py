"""Threads that answer one recording after the other, and the library's answer to each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from unheard.serve.errors import NoAnswerError
from unheard.serve.limits import Gate, Limits

T = TypeVar("T")


class Workers:
    """Threads that compute, each one thing at a time, in the order in which it was asked for.

    For the most part the library computes outside of Python's lock, so threads share the cores. What a recording
    costs does not fall when several are computed together (docs/serving.md), so none waits for others.

    Parameters
    ----------
    limits
        Number of threads, and in which time an answer must be there.
    gate
        Counts what waits.
    """

    def __init__(self, limits: Limits, gate: Gate) -> None:
        self._limits, self._gate = limits, gate
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="unheard")

    async def all(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Return what jobs give, in their order.

        Raises
        ------
        BusyError
            They would be more than may wait.
        NoAnswerError
            They are not done in time. What was not begun by then is not done.
        """
        self._gate.take(len(jobs))
        begun = [self._begin(job) for job in jobs]
        done = asyncio.gather(*map(asyncio.wrap_future, begun))
        try:
            return await asyncio.wait_for(done, self._limits.answer_seconds)
        except TimeoutError:
            raise NoAnswerError(
                f"no answer within {self._limits.answer_seconds:g} s; try again later"
            ) from None
        finally:
            for future in begun:
                future.cancel()

    def close(self) -> None:
        """Wait for what is being computed, and let the threads end."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(self, job: Callable[[], T]) -> Future[T]:
        taken: list[float] = []

        def timed() -> T:
            begin = time.perf_counter()
            try:
                return job()
            finally:
                taken.append(time.perf_counter() - begin)

        future = self._threads.submit(timed)
        future.add_done_callback(lambda _: self._gate.leave(taken[0] if taken else None))
        return future
