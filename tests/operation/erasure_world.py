"""A street from which one person is erased, a copy from before, and what was true of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from grid import interval
from grid.console.cli import main
from grid.operation import agreements, ordering, record
from grid.site_file import SITE_FILE
from grid.store import contracts, control, log, people
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_month import BAKU
from trading.contracts import BilateralContract

ZONE = "Asia/Baku"
FIRST_S = interval.day_bounds(interval.parse_date("2026-06-29"), ZONE)[0]
"""A day and a half of June, in which everybody is at home, and July from the evening before."""
END_S = interval.day_bounds(interval.parse_date("2026-07-01"), ZONE)[0]
GONE = "P-3"
NAME = "Aydin Rzayev"
EMAIL = "p3@example.org"
TEXT = (
    BAKU.replace('id = "P-3"\nname = "Household 3"', f'id = "P-3"\nname = "{NAME}"')
    .replace("late_until_days = 20", "late_until_days = 1\nretention_days = 2")
    .replace("minimum_group = 1", "minimum_group = 2")
)


@dataclass
class Lived:
    """A street after two days, a copy from before its erasure, and what was true."""

    street: Month
    folder: Path
    copy: Path
    secret: bytes
    entries: list[bytes]
    packed: list[bytes]


def _lives(folder: Path) -> Month:
    folder.mkdir(exist_ok=True)
    (folder / SITE_FILE).write_text(TEXT)
    last_s = END_S + interval.DAY_S + 40 * STEP_S
    count = (last_s - FIRST_S) // STEP_S
    street = begin(folder, TEXT, FIRST_S, count, seed=3)
    with street.room.store.write() as tx:
        for email, roles, party in (
            (EMAIL, ["prosumer"], GONE),
            ("a@example.org", ["billing"], None),
            ("b@example.org", ["billing"], None),
            ("root@example.org", ["administrator"], None),
        ):
            people.create(
                tx, email=email, name=NAME if party else "Clerk", password_hash="x", roles=roles,
                at_s=FIRST_S, party=party,
            )  # fmt: skip
        for seller, number in ((GONE, 1), ("P-5", 2)):
            made = BilateralContract(number, "P-2", seller, 70_000, END_S, None, 10)
            contracts.propose(tx, made, "P-2", FIRST_S)
        agreements.move_out(
            tx, street.site, usage_point="UP-3", day=interval.parse_date("2026-07-01"),
            by="a@example.org",
        )  # fmt: skip
    for at_s in range(FIRST_S, last_s, STEP_S):
        start_s = at_s + 2 * STEP_S
        if start_s < END_S and (at_s // STEP_S) % 4 == 0:
            for n in (1, 3, 5):
                street.order(f"P-{n}", at_s, start_s, "sell", f"0.0{50 + n}", 100 + n)
            for n in (2, 4):
                street.order(f"P-{n}", at_s, start_s, "buy", f"0.0{60 + n}", 80 + n)
            with street.room.store.write() as tx:
                ordering.amend(
                    tx, street.site, f"{GONE}-{start_s}", {"energy_wh": 90}, party=GONE, at_s=at_s
                )
        street.cycle(at_s)
    return street


@pytest.fixture(scope="session")
def erasable(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The street as it lived, its retention time passed."""
    folder = tmp_path_factory.mktemp("erasure") / "street"
    street = _lives(folder)
    store = street.room.store
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(END_S + 6 * interval.DAY_S))
    with store.read() as tx:
        secret = control.secrets(tx, record.PARTY_SECRET)[GONE]
        entries = list(log.entries(tx))
        query = "SELECT energy FROM interval_day WHERE usage_point = 'UP-3' AND start_s < ?"
        packed = [bytes(row[0]) for row in tx.exec_driver_sql(query, (END_S,))]
    street.room.signer.close()
    store.close()
    copy = folder.parent / "backup"
    shutil.copytree(folder, copy)
    return Lived(street, folder, copy, secret, entries, packed)


@pytest.fixture(scope="session")
def erased(erasable: Lived) -> Lived:
    """The street with one person erased, on the command line, by two users."""
    told = [str(erasable.folder)]
    for by in ("a@example.org", "root@example.org"):
        command = ["agreement", "erase", GONE, "--by", by, "--reason", "Aydin wants it"]
        assert main([*command, "--dir", *told]) == 0
    return erasable


def files_of(folder: Path) -> bytes:
    """Return every byte of a folder, that of the database's journals too."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def found_of(lived: Lived, content: bytes) -> list[str]:
    """Return what of the person is in some bytes."""
    marks = {"secret": lived.secret, "secret in hex": lived.secret.hex().encode()}
    marks |= {"name": NAME.encode(), "login": EMAIL.encode(), "identifier": b'"P-3"'}
    marks |= {"account": b"party:P-3", "reason": b"Aydin wants it"}
    marks |= {f"day {n}": one for n, one in enumerate(lived.packed)}
    return [name for name, mark in marks.items() if mark in content]
