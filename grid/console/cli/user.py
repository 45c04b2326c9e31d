"""``khazri user add|role``."""

from __future__ import annotations

import argparse

from grid.console.cli.options import answer, as_json, directory, email


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="add a user with a one-time password")
    add.add_argument("email", type=email)
    add.add_argument("--role", action="append", default=[], required=True)
    add.add_argument("--party", help="the party a prosumer acts for")
    directory(add)
    as_json(add)
    add.set_defaults(run=run_add)


def run_add(options: argparse.Namespace) -> int:
    """Add a user and print the password, once."""
    from grid import site_file
    from grid.console.first_users import add
    from grid.operation import commission

    site = site_file.read(options.dir / "SITE.toml")
    store = commission.open_store(options.dir)
    password = add(store, site, options.email, options.role, options.party)
    facts = {"email": options.email, "password": password}
    answer(options, facts, f"{options.email}  {password}")
    return 0
