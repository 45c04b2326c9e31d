"""Who a command is given by: a user of the site, named with ``--by``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import email
from grid.errors import BadInputError

if TYPE_CHECKING:
    from grid.site import Site
    from grid.store import Transaction

COMMAND_LINE = "command line"
"""Who acts when nobody is named."""


def by_user(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add ``--by``, the user who gives a command."""
    parser.add_argument(
        "--by", type=email, metavar="USER", required=required, help="e-mail of the user who says so"
    )


@contextmanager
def acting(options: argparse.Namespace, endpoint: str) -> Iterator[tuple[Transaction, Site, str]]:
    """Yield a write transaction of ``--dir``'s store, its site, and who ``--by`` names.

    Raises
    ------
    BadInputError
        As :func:`user_of`.
    """
    from grid.operation import commission, cycle

    with closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        with store.write() as tx:
            yield tx, site, user_of(tx, options.by, endpoint)


@contextmanager
def acting_member(
    options: argparse.Namespace, endpoint: str
) -> Iterator[tuple[Transaction, Site, dict[str, Any]]]:
    """Yield as :func:`acting` does, with the party that acts, when, and for it who.

    Raises
    ------
    BadInputError
        As :func:`user_of` and :func:`party_of`.
    """
    import time

    from grid.operation.ordering import arrival_s

    with acting(options, endpoint) as (tx, site, by):
        at_s = arrival_s(tx, site, time.time)
        yield tx, site, {"party": party_of(tx, by), "at_s": at_s, "by": by}


def party_of(tx: Transaction, by: str) -> str:
    """Return the party that a user stands for.

    Raises
    ------
    BadInputError
        When it is none.
    """
    from grid.store import people

    party = next((one.party for one in people.people(tx) if one.email == by), None)
    if party is None:
        raise BadInputError(f"{by}: stands for no party of the site")
    return party


def user_of(tx: Transaction, named: str | None, endpoint: str) -> str:
    """Return who gives a command, by e-mail address.

    Parameters
    ----------
    endpoint : str
        What the user must be allowed to do in the console.

    Raises
    ------
    BadInputError
        When there is no such user, or they may not do that.
    """
    from grid.console.permissions import allowed
    from grid.store import people

    if named is None:
        return COMMAND_LINE
    found = next((one for one in people.people(tx) if one.email == named.lower()), None)
    if found is None or not found.active:
        raise BadInputError(f"{named}: no such user of the site, or shut out")
    if not allowed(endpoint, frozenset(found.roles)):
        raise BadInputError(f"{named}: has no role that may do this")
    return found.email
