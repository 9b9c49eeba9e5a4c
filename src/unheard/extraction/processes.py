"""A function over many items in parallel processes, of which any may die.

Items go to the processes in chunks and come back in any order. Where a process dies, what it had in hand is tried
again one item at a time, so that only the item that kills its process is lost. Each process computes with one
thread: the matrices are small, and more threads only wait for each other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from unheard.errors import MachineError

CHUNK = 8  # items that a process takes at a time

Item = TypeVar("Item")
Result = TypeVar("Result")


class Died:
    """Stands for the result of an item whose process died."""


class _All(Generic[Item, Result]):
    """A function over a chunk, in a form that travels to another process."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._function = function

    def __call__(self, items: Iterable[Item]) -> list[Result]:
        with _one_thread():
            return [self._function(item) for item in items]


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[tuple[Item, Result | Died]]:
    """Yield each item with the function's result, in any order.

    Parameters
    ----------
    function : importable by name, or made of what is (``functools.partial``); its exceptions come through.
    items : pickled on their way.
    jobs : processes; with 1, or few items, everything happens in this one.

    Raises
    ------
    MachineError
        Where processes do not start.
    """
    chunks = [items[first : first + CHUNK] for first in range(0, len(items), CHUNK)]
    if jobs == 1 or len(chunks) <= 1:
        with _one_thread():
            for item in items:
                yield item, function(item)
        return
    lost: list[Item] = []
    with _Pool(min(jobs, len(chunks))) as pool:
        waiting = {pool.submit(_All(function), chunk): chunk for chunk in chunks}
        for future in as_completed(waiting):
            try:
                yield from zip(waiting[future], future.result(), strict=True)
            except BrokenProcessPool:
                lost.extend(waiting[future])
    yield from _one_by_one(function, lost)


def _one_by_one(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result | Died]]:
    left = deque(items)
    while left:
        with _Pool(1) as pool:
            alive = True
            while left and alive:
                item = left.popleft()
                try:
                    yield item, pool.submit(_All(function), [item]).result()[0]
                except BrokenProcessPool:
                    alive = False
                    yield item, Died()


class _Pool(ProcessPoolExecutor):
    """Fresh processes: a copy of this one could hang on a lock that one of its threads holds."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs, multiprocessing.get_context("spawn"), initializer=_begin)
        try:
            self.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise MachineError(
                "no further processes start; a script that asks for several jobs needs its calls "
                'under `if __name__ == "__main__":`, or jobs=1'
            ) from error

    def __exit__(self, *details: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> AbstractContextManager[Any]:
    """Hold numpy's linear algebra to one thread where threadpoolctl is there (it comes with scikit-learn)."""
    try:
        limits: AbstractContextManager[Any] = import_module("threadpoolctl").threadpool_limits(1)
    except ImportError:
        return nullcontext()
    return limits


def _begin() -> None:
    """Leave Ctrl-C to the process that asked, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however that came about.

    Whoever waits for work in a queue would not notice: it holds both ends of the pipe itself.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
