"""Fifty who try the same at one moment: five threads in each of ten processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from functools import partial

from grid.errors import GridError
from grid.store import Store

PROCESSES, THREADS = 10, 5

Try = Callable[[Store, int], str]


def _tries(url: str, attempt: Try, at: float, process: int) -> list[str]:
    """Let threads of this process try at one moment; return what came of each try."""

    def tried(store: Store, number: int) -> str:
        time.sleep(max(0.0, at - time.time()))
        try:
            return attempt(store, number)
        except GridError as error:
            return f"{type(error).__name__}: {error}"

    with closing(Store(url)) as store, ThreadPoolExecutor(THREADS) as threads:
        numbers = range(process * THREADS, (process + 1) * THREADS)
        return list(threads.map(partial(tried, store), numbers))


def race(url: str, attempt: Try) -> list[str]:
    """Let fifty try; return what came of each, by its number."""
    at = time.time() + 1.0
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as processes:
        many = processes.map(partial(_tries, url, attempt, at), range(PROCESSES))
        return [one for some in many for one in some]
