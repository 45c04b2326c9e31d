"""The public part of an export tells nothing about a person; with the openings it tells all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from grid.operation import audit, demo
from grid.operation.demo_site import DEFAULT_DAY
from grid.store import Store, series
from trading.ledger import canonical
from trading.ledger.commitment import Label, commit

SEARCHED_WH = range(5001)


def _entries(folder: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        while data:
            size = int.from_bytes(data[:2], "big")
            found.append(json.loads(data[2 : 2 + size]))
            data = data[2 + size :]
    return found


def test_readings_cannot_be_recovered_from_the_public_part_but_from_the_openings(
    tmp_path: Path,
) -> None:
    site = tmp_path / "site"
    demo.prepare(site, day=DEFAULT_DAY, seed=1)
    with demo.opened(site) as room:
        demo.play(room, 2, lambda text: None)
        points, zone, start_s = room.points, room.site.time_zone, room.first_cycle_s
    store = Store.at(site)
    public, full = tmp_path / "public", tmp_path / "full"
    audit.export(store, public)
    audit.export(store, full, openings=True)
    with store.read() as tx:
        truth = series.get_intervals(tx, points, start_s, start_s + 900, time_zone=zone)

    assert not list(public.rglob("openings*"))
    text = b"".join(path.read_bytes() for path in public.rglob("*") if path.is_file())
    for name in points:
        assert name.encode() not in text
        assert name.replace("UP-", "P-").encode() not in text
    entry = next(one for one in _entries(public) if one["kind"] == "readings")
    body = entry["body"]
    assert isinstance(body, dict)
    committed = set(body["commitments"])
    known = truth.sel(usage_point="UP-001")
    others = {name: int(known[name].values[0]) for name in series.REGISTERS}
    for wh in SEARCHED_WH:
        # The attacker is even given everything but the import register.
        payload = {**others, "import_wh": wh, "quality": "1.0.0"}
        label = Label(str(entry["interval"]), "reading", "UP-001")
        content = canonical.encode([label.interval, label.kind, label.subject, 0, payload])
        guesses = {
            hashlib.sha256(content).hexdigest(),
            commit(bytes(32), label, payload)[0],
            commit(hashlib.sha256(b"UP-001").digest(), label, payload)[0],
        }
        assert not guesses & committed
    total = {value for value in body.values() if isinstance(value, int)}
    assert not {int(v) for v in truth["import_wh"].values[:, 0] if v > 50} & total

    opened = {}
    for line in (full / "openings.jsonl").read_text().splitlines():
        one = json.loads(line)
        if one["kind"] == "reading":
            opened[one["subject"]] = one["payload"]["import_wh"]
    assert opened == {
        name: int(wh) for name, wh in zip(points, truth["import_wh"].values[:, 0], strict=True)
    }
