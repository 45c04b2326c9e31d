"""Energy sharing by static key: each member has a fixed part of the surplus, in whole percent.

A part is capped at what the member took; what it leaves is fed in, unless the
terms say that it goes to those still in need, in proportion to what they still
need. Parts are whole Wh: what does not divide goes to the largest remainders,
the earlier order first. The price is what the members agreed.
"""

from __future__ import annotations

import numpy as np

from grid.errors import BadInputError
from trading.book import Book, Clearing, Int64Array
from trading.mechanisms import checks, metered
from trading.mechanisms.shares import in_proportion
from trading.mechanisms.terms import Terms

NAME = "static_key"


def keys(book: Book, terms: Terms) -> Int64Array:
    """Return the key of each need in percent, checked.

    Raises
    ------
    BadInputError
        When there is not one for each order, one is out of range, or those of
        the needs are more than 100 together.
    """
    given = terms.key_percent
    if given is None or given.shape != book.price.shape:
        raise BadInputError(f"{NAME} needs a whole percent for each of {len(book.price)} orders")
    if (odd := np.flatnonzero((given < 0) | (given > 100))).size:
        raise BadInputError(
            f"order {int(odd[0])} has a key of {int(given[odd[0]])} %, must be within 0 to 100"
        )
    needs = given[book.buy]
    if int(needs.sum()) > 100:
        raise BadInputError(f"the keys are {int(needs.sum())} % together, must be at most 100")
    return needs


def clear(book: Book, terms: Terms) -> Clearing:
    """Return the clearing of a metered book."""
    percent = keys(book, terms)
    need_wh = book.energy_wh[book.buy]
    _, surplus = metered.need_and_surplus(book)
    shared = surplus * int(percent.sum()) // 100
    bought = np.minimum(in_proportion(percent, shared) if shared else 0 * need_wh, need_wh)
    if terms.redistribute:
        more = need_wh - bought
        bought = bought + in_proportion(more, min(surplus - int(bought.sum()), int(more.sum())))
    return metered.at_price(NAME, book, terms.price, bought)


def certify(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    if wrong := metered.certify(book, clearing, terms.price):
        return wrong
    percent, need_wh = keys(book, terms).tolist(), book.energy_wh[book.buy]
    surplus = int(book.energy_wh[~book.buy].sum())
    bought = clearing.fills[book.buy]
    part = _parts(percent, surplus)
    first = np.minimum(np.array(part, np.int64), need_wh)
    if not terms.redistribute:
        return [] if (bought == first).all() else ["a share is not that of its key"]
    more = bought - first
    left = min(surplus - int(first.sum()), int((need_wh - first).sum()))
    if (more < 0).any() or int(more.sum()) != left:
        return [f"{int(more.sum())} Wh are redistributed, {left} Wh are left"]
    return checks.proportional(need_wh - first, more)


def _parts(percent: list[int], surplus: int) -> list[int]:
    """Return whole parts by counting how many remainders come before each."""
    total = sum(percent)
    shared = surplus * total // 100
    if not shared:
        return [0] * len(percent)
    floor = [shared * one // total for one in percent]
    rest = [shared * one % total for one in percent]
    # Remainders are below 100 and places are counted, so that nothing needs to be sorted.
    number = [0] * 100
    for one in rest:
        number[one] += 1
    missing = shared - sum(floor)
    for value in range(99, -1, -1):
        taken = min(missing, number[value])
        missing -= taken
        number[value] = taken
    for place, one in enumerate(rest):
        if number[one]:
            number[one] -= 1
            floor[place] += 1
    return floor
