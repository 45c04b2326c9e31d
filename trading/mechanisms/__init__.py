"""Market mechanisms by name: each is a pure function from a book to a clearing.

A mechanism takes ``(book, tick)`` and keeps what the contract suite in
``tests/trading`` asks of all: volume in equals volume out, no fill above its
order or against its limit, the same outcome for the same book, and a list of
violations from ``certify`` that is empty exactly for its own outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from grid.errors import BadInputError
from trading.book import Book, Clearing
from trading.mechanisms import uniform_price


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How a book is cleared and how a clearing is checked."""

    clear: Callable[[Book, int], Clearing]
    certify: Callable[[Book, Clearing, int], list[str]]


REGISTRY: dict[str, Mechanism] = {
    uniform_price.NAME: Mechanism(uniform_price.clear, uniform_price.certify),
}


def mechanism(name: str) -> Mechanism:
    """Return the mechanism of `name`.

    Raises
    ------
    BadInputError
        When there is none of that name.
    """
    if name not in REGISTRY:
        raise BadInputError(f"mechanism {name!r} is not known; known: {', '.join(REGISTRY)}")
    return REGISTRY[name]
