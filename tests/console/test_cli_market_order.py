"""Orders by command: what the pages do, for the party of a user, each act with its receipt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.console.auth_passwords import hash_password
from grid.console.cli import main
from grid.site import Site
from grid.store import Store, books, control, people
from tests.console import village
from trading import receipts

NOW = interval.parse("2026-05-27T14:00+04:00")
START_S = NOW + 1800
ORDER = ("UP-2", "2026-05-27T14:30+04:00", "sell", "--price", "0.0612", "--wh", "1250")

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(folder: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs an act as a user; P-3 signs in too."""
    with store.write() as tx:
        control.put_meta(tx, "site_toml", village.TOML)
        control.put_meta(tx, "first_cycle_s", str(NOW))
        people.create(
            tx, email="p-3@example.org", name="P-3", password_hash=hash_password("p" * 16),
            roles=["prosumer"], at_s=0, party="P-3",
        )  # fmt: skip

    def act(*words: str, by: str = "prosumer") -> tuple[int, dict[str, Any]]:
        told = ["--by", f"{by}@example.org", "--dir", str(folder), "--json"]
        status = main(["market", "order", *words, *told])
        out = capsys.readouterr().out
        return status, json.loads(out.splitlines()[-1]) if out else {}

    return act


def _receipt(store: Store, site: Site, told: dict[str, Any]) -> receipts.Receipt:
    from grid.operation.record import receipts_signer

    with store.read() as tx:
        return receipts.verify(told["receipt"], receipts_signer(tx).key)


def test_an_order_is_placed_amended_and_cancelled_with_a_receipt_of_each(
    run: Run, store: Store, site: Site
) -> None:
    status, made = run("place", *ORDER)
    name = made["order"]
    assert (status, made["status"], made["energy_wh"], made["price"]) == (0, "open", 1250, "0.0612")
    promise = _receipt(store, site, made)
    assert (promise.kind, promise.order) == (receipts.PLACED, name)

    status, less = run("amend", name, "--wh", "1100")
    assert (status, less["energy_wh"], less["price"]) == (0, 1100, "0.0612")
    assert less["amendments"] == [less["amendment"]]
    promise = _receipt(store, site, less)
    assert (promise.kind, promise.amendment) == (receipts.AMENDED, less["amendment"])

    status, gone = run("cancel", name)
    assert (status, gone["status"]) == (0, "cancelled")
    assert _receipt(store, site, gone).kind == receipts.CANCELLED
    for told, words in (
        (made, ()),
        (less, ("--amendment", less["amendment"])),
        (gone, ("--cancellation",)),
    ):
        assert run("receipt", name, *words)[1]["receipt"] == told["receipt"]
    with store.read() as tx:
        acts = [(row["kind"], row["subject"]) for row in control.actions(tx)][:3]
    assert acts == [("order.cancel", name), ("order.amend", name), ("order.place", name)]


def test_what_is_sent_again_is_done_once(run: Run, store: Store) -> None:
    first, again = (run("place", *ORDER, "--id", "mine-1")[1] for _ in range(2))
    assert first == again
    first, again = (run("amend", "mine-1", "--price", "0.06", "--id", "mine-2") for _ in range(2))
    assert (first[0], first) == (0, again)
    with store.read() as tx:
        (kept,) = books.received(tx, START_S)
    assert [one.id for one, _ in kept.amended] == ["mine-2"]


def test_another_partys_order_is_as_absent_as_none_and_only_a_prosumer_has_any(run: Run) -> None:
    name = run("place", *ORDER)[1]["order"]
    for words in (("amend", name, "--wh", "10"), ("cancel", name), ("receipt", name)):
        assert run(*words, by="p-3") == (1, {})
        assert run(*words, by="operator") == (1, {})
    assert run("list", by="p-3") == (0, {"orders": []})
    (_, listed) = run("list", "--day", "2026-05-27")
    assert name in {one["order"] for one in listed["orders"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("amend", "mine-1"), "an amendment has energy_wh or price"),
        (("amend", "mine-1", "--wh", "12501"), "must be within 1 to 12500"),
        (("receipt", "mine-1", "--cancellation"), "was not cancelled"),
        (("receipt", "mine-1", "--amendment", "mine-9"), "amendment mine-9 is not kept"),
        (("place", *ORDER[:1], "2026-05-27T14:15+04:00", *ORDER[2:]), "gate closed"),
    ],
)
def test_what_is_refused_is_told_with_why_and_leaves_the_order_as_it_was(
    run: Run,
    folder: Path,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    run("place", *ORDER, "--id", "mine-1")
    options = ["--by", "prosumer@example.org", "--dir", str(folder)]
    assert main(["market", "order", *words, *options]) == 1
    assert told in capsys.readouterr().err
    with store.read() as tx:
        (kept,) = books.received(tx, START_S)
    assert (kept.amended, kept.cancelled_s) == ((), None)


def test_a_receipt_is_printed_alone_so_that_it_can_be_kept_as_a_file(
    run: Run, folder: Path, store: Store, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    run("place", *ORDER, "--id", "mine-1")
    options = ["mine-1", "--by", "prosumer@example.org", "--dir", str(folder)]
    assert main(["market", "order", "receipt", *options]) == 0
    assert _receipt(store, site, {"receipt": capsys.readouterr().out}).order == "mine-1"
