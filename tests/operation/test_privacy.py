"""The public part of an export tells nothing about a person; with the openings it tells all."""

from __future__ import annotations

import hashlib
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from grid import interval
from grid.operation import audit, record
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.site import UsageKind
from grid.site_file import parse
from grid.store import Store, control, series
from trading.ledger import canonical
from trading.ledger.commitment import Label, commit
from trading.replay import terms

pytestmark = pytest.mark.timeout(900)

START_S, END_S = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
SEARCHED_WH = 5000
DOMAIN = b"khazri/commitment/v1\n"


@pytest.fixture(scope="module")
def store(days: list[Any]) -> Store:
    """The store of the played day."""
    return Store.at(days[0].directory)


@pytest.fixture(scope="module")
def truth(store: Store) -> dict[str, npt.NDArray[np.int64]]:
    """Each household's registers of the day, (register, interval)."""
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
        names = [str(p.id) for p in site.usage_point if p.kind is not UsageKind.COMMUNITY]
        day = series.get_intervals(tx, names, START_S, END_S, time_zone=TIME_ZONE)
    stacked = np.stack([day[name].values for name in series.REGISTERS], axis=1)
    return dict(zip(names, stacked, strict=True))


@pytest.fixture(scope="module")
def public(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export anyone may take."""
    folder = tmp_path_factory.mktemp("public") / "ledger"
    audit.export(store, folder)
    return folder


def _entries(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        while data:
            size = int.from_bytes(data[:2], "big")
            found.append(json.loads(data[2 : 2 + size]))
            data = data[2 + size :]
    return found


def _numbers(body: object) -> set[int]:
    """Return every number in a body, money and prices also as nano-currency."""
    if isinstance(body, dict):
        return set().union(*(_numbers(v) for k, v in body.items() if k != "commitments"), set())
    if isinstance(body, list):
        return set().union(*map(_numbers, body), set())
    if isinstance(body, int) and not isinstance(body, bool):
        return {body}
    try:
        return {round(float(str(body)) * scale) for scale in (1, 1000, 1_000_000)}
    except ValueError:
        return set()


def _reachable(numbers: set[int], *, quotients: bool = True) -> set[int]:
    """Return what sums, differences and quotients of two public numbers come to."""
    found = {abs(number) for number in numbers}
    for one, other in combinations(sorted(found), 2):
        found |= {one + other, other - one}
        if one and quotients:
            found |= {other // one, other * 1000 // one}
    return found


PUBLIC = {
    "genesis": {"follows", "key", "receipts", "site"},
    "book": {"by", "orders"},
    "clearing": {"asked_wh", "bid_wh", "mechanism", "price", "topology_sha256", "volume_wh"},
    "plan": {"cuts", "source", "status", "topology_sha256"},
    "setpoints": {"confirmed", "failed"},
    "readings": {"head_export_wh", "head_import_wh", "loss_wh", "usage_points", "version"},
    "settlement": {"state", "version"},
    "action": {"action", "change", "terms", "topology"},
}
"""All that may stand in clear, by kind of entry."""


def test_nothing_stands_in_clear_but_what_is_public(public: Path) -> None:
    entries = _entries(public)
    assert {entry["kind"] for entry in entries} > {"clearing", "readings", "settlement"}
    for entry in entries:
        body = dict(entry["body"])
        committed = body.pop("commitments", [])
        if body.get("action") == "terms.begin":
            # The rules that everybody is settled by; of parties they name the community alone.
            assert terms.encode(terms.decode(body["terms"])) == body.pop("terms")
        assert all(len(bytes.fromhex(one)) == 32 for one in committed)
        assert set(body) <= PUBLIC[entry["kind"]], entry
        assert all(value is None or isinstance(value, str | int) for value in body.values())


def _met(numbers: list[set[int]], registers: npt.NDArray[np.int64]) -> int:
    """Return in how many intervals a household's own Wh stands among that interval's numbers."""
    return sum(
        any(wh > 20 and wh in here for wh in registers[:2, n].tolist())
        for n, here in enumerate(numbers)
    )


def test_no_household_is_among_the_public_numbers_of_its_intervals(
    public: Path, truth: dict[str, npt.NDArray[np.int64]]
) -> None:
    by_interval: dict[str, set[int]] = {}
    for entry in _entries(public):
        by_interval.setdefault(entry["interval"], set()).update(_numbers(entry["body"]))
    numbers = [by_interval[interval.label(s)] for s in range(START_S, END_S, 900)]
    # Counts such as the 23 devices are met by chance, and then in other intervals as often.
    others = numbers[37:] + numbers[:37]
    for registers in truth.values():
        assert _met(numbers, registers) <= _met(others, registers) + 4
    # One household in clear, and the same count tells.
    name = next(name for name, r in truth.items() if (r[0] > 20).sum() > 20)
    leaked = [here | {int(wh)} for here, wh in zip(numbers, truth[name][0], strict=True)]
    assert _met(leaked, truth[name]) > _met(others, truth[name]) + 20


def test_no_name_and_no_opening_is_in_the_public_part(
    public: Path, truth: dict[str, npt.NDArray[np.int64]]
) -> None:
    assert not list(public.rglob("openings*"))
    text = b"".join(path.read_bytes() for path in public.rglob("*") if path.is_file())
    for name in truth:
        assert name.encode() not in text
        assert name.replace("UP-", "P-").encode() not in text


def test_arithmetic_on_the_public_part_finds_a_household_no_better_than_chance(
    public: Path, truth: dict[str, npt.NDArray[np.int64]]
) -> None:
    by_interval: dict[str, set[int]] = {}
    whole_day: dict[str, int] = {}
    for entry in _entries(public):
        numbers = _numbers(entry["body"])
        by_interval.setdefault(entry["interval"], set()).update(numbers)
        if entry["kind"] == "readings":
            for name, value in entry["body"].items():
                if isinstance(value, int):
                    whole_day[name] = whole_day.get(name, 0) + value
    labels = [interval.label(s) for s in range(START_S, END_S, 900)]
    reachable = [_reachable(by_interval[label]) for label in labels]
    here = there = 0
    for registers in truth.values():
        for number in range(96):
            for wh in registers[:2, number]:
                # A small number is met by chance; what tells is whether its own interval helps.
                here += int(wh) > 20 and int(wh) in reachable[number]
                there += int(wh) > 20 and int(wh) in reachable[(number + 37) % 96]
    assert here <= 1.5 * there + 10, (here, there)
    # A thousand times a quotient is no energy, and of two hundred days one is met by chance.
    sums = _reachable(set(whole_day.values()), quotients=False)
    days = [int(registers[row].sum()) for registers in truth.values() for row in (0, 1)]
    met = {wh for wh in days if wh > 200} & sums
    assert not met, (sorted(met), whole_day)


def _found(prefix: bytes, rest: bytes, committed: set[bytes]) -> list[int]:
    """Return which of 0 to `SEARCHED_WH` between `prefix` and `rest` is a known digest."""
    begun = hashlib.sha256(prefix)
    found = []
    for wh, tail in enumerate(b"%d%s" % (wh, rest) for wh in range(SEARCHED_WH + 1)):
        guess = begun.copy()
        guess.update(tail)
        if guess.digest() in committed:
            found.append(wh)
    return found


def test_a_search_over_every_wh_finds_no_reading(
    store: Store, public: Path, truth: dict[str, npt.NDArray[np.int64]]
) -> None:
    committed: set[bytes] = set()
    for entry in _entries(public):
        committed |= {bytes.fromhex(one) for one in entry["body"].get("commitments", ())}
    assert len(committed) > 96 * len(truth)
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
        secrets = control.secrets(tx, record.PARTY_SECRET)
    party = {str(point.id): str(point.party) for point in site.usage_point}
    salts = (bytes(16), hashlib.sha256(b"khazri").digest()[:16])
    for row, (name, registers) in enumerate(truth.items()):
        # Every household, and every interval at some of them.
        for number in range(row % 8, 96, 8):
            # The attacker is even given everything but the import register.
            others = dict(zip(series.REGISTERS, map(int, registers[:, number]), strict=True))
            payload = {**others, "import_wh": 1234567, "quality": "1.0.0"}
            label = Label(interval.label(START_S + 900 * number), "reading", name)
            parts = [label.interval, label.kind, label.subject, 0, payload]
            before, after = canonical.encode(parts).split(b"1234567")
            assert _found(DOMAIN + before, after, committed) == []
            if number != row % 96:
                continue
            for salt in salts:
                assert _found(DOMAIN + salt + before, after, committed) == []
            # With the salt the same search succeeds: the guesses have the readings' form.
            true = {**others, "quality": "1.0.0"}
            salt = commit(secrets[party[name]], label, true)[1].salt
            assert _found(DOMAIN + salt + before, after, committed) == [others["import_wh"]]
            for secret in (bytes(32), hashlib.sha256(name.encode()).digest()):
                assert bytes.fromhex(commit(secret, label, true)[0]) not in committed


def test_the_openings_recover_every_reading_of_the_day(
    store: Store, truth: dict[str, npt.NDArray[np.int64]], tmp_path: Path
) -> None:
    audit.export(store, tmp_path / "full", openings=True)
    opened: dict[str, dict[str, dict[str, Any]]] = {}
    for line in (tmp_path / "full" / "openings.jsonl").read_text().splitlines():
        one = json.loads(line)
        if one["kind"] == "reading":
            opened.setdefault(one["subject"], {})[one["interval"]] = one["payload"]
    labels = [interval.label(s) for s in range(START_S, END_S, 900)]
    for name, registers in truth.items():
        for row, register in enumerate(series.REGISTERS):
            told = [opened[name][label][register] for label in labels]
            assert told == registers[row].tolist()
