"""``khazri market clear``: what it prints, and 2 for wrong usage, 1 for a wrong file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid.console import cli
from trading.mechanisms import REGISTRY

ORDERS = """id,side,price,energy_wh,party,bus
b1,buy,0.0900,500,ann,b
b2,buy,0.0700,300,bob,a
s1,sell,0.0500,400,cem,a
s2,sell,0.0650,600,dan,b
"""
NETWORK = "bus,parent,limit_wh,fee\na,,,\nb,a,100,0.002\n"
METERED = """id,side,energy_wh,key_percent
n1,buy,300,20
n2,buy,400,30
n3,buy,500,50
s1,sell,1000,
"""
OUTSIDE = ("--retail", "0.30", "--feed-in", "0.10")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "metered.csv").write_text(METERED)
    (tmp_path / "network.csv").write_text(NETWORK)
    (tmp_path / "contracts.csv").write_text(
        "buyer,seller,price,energy_wh,until\nann,dan,0.08,100,2026-01-01T00:00Z\n"
    )
    return tmp_path


def clear(capsys: pytest.CaptureFixture[str], file: Path, *words: str) -> dict[str, Any]:
    assert cli.main(["market", "clear", str(file), *words, "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["certificate"] == "holds"
    return facts


def rows(facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in facts["trades"]]


def test_the_auction_tells_its_price_and_who_trades_with_whom(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = clear(capsys, files / "orders.csv", "--mechanism", "uniform_price")
    assert (facts["price"], facts["volume_wh"], facts["surplus"]) == ("0.0650", 800, "0.00")
    assert rows(facts)[0] == ("b1", "s1", 400, "0.0650", "0.0650")
    assert cli.main(["market", "clear", str(files / "orders.csv"), "--mechanism", "mcafee"]) == 0
    told = capsys.readouterr().out
    assert "certificate  holds" in told
    assert "b1 buys 400 Wh from s1 at 0.0700, who gets 0.0650" in told


def test_with_line_limits_each_bus_has_its_price(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = ("--network", str(files / "network.csv"))
    facts = clear(capsys, files / "orders.csv", "--mechanism", "with_line_limits", *network)
    assert facts["bus_price"] == {"a": "0.0565", "b": "0.0650"}
    assert ("b1", "s1", 100, "0.0650", "0.0565") in rows(facts)
    assert facts["surplus"] == "0.00085"


def test_contracts_come_first_within_their_dates(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--mechanism", "bilateral", "--contracts", str(files / "contracts.csv"))
    facts = clear(capsys, files / "orders.csv", *words)
    assert rows(facts)[0] == ("b1", "s2", 100, "0.0800", "0.0800")
    later = clear(capsys, files / "orders.csv", *words, "--at", "2026-01-01T00:00Z")
    assert rows(later)[0][:2] == ("b1", "s1")


def test_metered_energy_is_shared(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--mechanism", "dynamic_key", "--price", "0.2", *OUTSIDE)
    facts = clear(capsys, files / "metered.csv", *words)
    assert [row[2] for row in rows(facts)] == [250, 333, 417]
    assert facts["average_cost"] == "0.216666"
    words = ("--mechanism", "static_key", "--price", "0.2", *OUTSIDE)
    assert [row[2] for row in rows(clear(capsys, files / "metered.csv", *words))] == [200, 300, 500]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mechanism", "vickrey"], "invalid choice: 'vickrey'"),
        ([], "required: --mechanism"),
        (["--mechanism", "uniform_price", "--tick", "0"], "tick 0 must be more than 0"),
        (["--mechanism", "uniform_price", "--tick", "1e-3"], "not a plain decimal"),
        (
            ["--mechanism", "uniform_price", "--price", "1"],
            "--price is for static_key, dyn",
        ),
        (["--mechanism", "mcafee", "--margin", "time"], "--margin is for uniform_price, bilateral"),
        (["--mechanism", "with_line_limits"], "with_line_limits needs --network"),
        (["--mechanism", "bilateral"], "bilateral needs --contracts"),
        (["--mechanism", "dynamic_key", *OUTSIDE], "dynamic_key needs --price"),
        (["--mechanism", "mid_market_rate", "--retail", "-1"], "price -1 must be within 0"),
    ],
)
def test_a_wrong_option_is_wrong_usage(
    files: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["market", "clear", str(files / "orders.csv"), *words])
    except SystemExit as stop:
        status = int(str(stop.code))
    told = capsys.readouterr().err
    assert (status, told.count("\n")) == (2, 1)
    assert message in told


@pytest.mark.parametrize(
    ("file", "words", "message"),
    [
        ("none.csv", ["--mechanism", "uniform_price"], "cannot be read"),
        ("metered.csv", ["--mechanism", "uniform_price"], "must have id,side,price,energy_wh"),
        ("orders.csv", ["--mechanism", "mid_market_rate", *OUTSIDE], "must have id,side,energy_wh"),
        ("metered.csv", ["--mechanism", "mid_market_rate", "--retail", "0.1", "--feed-in", "0.2"],
         "must be within 0 and the retail price"),
        ("odd.csv", ["--mechanism", "with_line_limits", "--network", "network.csv"],
         "order b1 is at bus 'x': not in the network"),
    ],
)  # fmt: skip
def test_a_wrong_file_fails_in_words(
    files: Path, file: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "odd.csv").write_text(ORDERS.replace(",b\n", ",x\n"))
    words = [str(files / word) if word.endswith(".csv") else word for word in words]
    assert cli.main(["market", "clear", str(files / file), *words]) == 1
    assert message in capsys.readouterr().err


def test_a_certificate_that_does_not_hold_fails(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(REGISTRY["uniform_price"], certify=lambda *_: ["it was made up"])
    monkeypatch.setitem(REGISTRY, "uniform_price", broken)
    words = ["market", "clear", str(files / "orders.csv"), "--mechanism", "uniform_price"]
    assert cli.main(words) == 1
    assert "the certificate does not hold: it was made up" in capsys.readouterr().err
