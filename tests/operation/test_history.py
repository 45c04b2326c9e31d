"""A history file fills the time before the first cycle, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from grid import interval
from grid.console import cli
from grid.errors import BadInputError
from grid.operation import commission
from grid.operation.demo_site import demo_site
from grid.operation.history import import_history
from grid.site import Site
from grid.store import Store, control, series

FIRST = interval.parse("2026-07-01T08:15Z")
HEADER = "usage_point,interval_start,import_wh,export_wh,import_varh,export_varh,quality\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Site]:
    directory = tmp_path_factory.mktemp("history") / "site"
    return directory, commission.commission(directory, demo_site(), at_s=FIRST, seed=1)


def _line(start: str, wh: int = 100, point: str = "UP-001", varh: int = 0) -> str:
    return f"{point},{start},{wh},0,{varh},0,1\n"


def _stored(directory: Path) -> tuple[int, int]:
    """Return how many local days of intervals and how many actions are stored."""
    store = Store.at(directory)
    with store.read() as tx:
        days = sum(len(series.versions(tx, "UP-001", f"2026-06-{day:02d}")) for day in range(1, 31))
        found = days + len(series.versions(tx, "UP-001", "2026-07-01")), len(control.actions(tx))
    store.close()
    return found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (_line("2026-07-01T08:15Z"), "must be from 2023-06-27T08:15Z to before 2026-07-01T08:15Z"),
        (_line("2027-01-01T00:00Z"), "interval_start '2027-01-01T00:00Z': must be from"),
        (
            _line("0001-01-01T00:00Z"),
            "interval_start '0001-01-01T00:00Z': '0001-01-01T00:00Z' must be",
        ),
        (_line("1002-01-01T00:00Z"), "interval_start '1002-01-01T00:00Z': must be from"),
        (_line("2852-01-01T00:00Z"), "interval_start '2852-01-01T00:00Z': must be from"),
        (_line("2026-06-30T00:00Z", 10**12), "import_wh 1000000000000 Wh must be at most"),
        (_line("2026-06-30T00:00Z", 1, varh=10**9), "import_varh 1000000000 varh must be at most"),
        (_line("2026-06-30T00:00Z", 99_999, "PV-01"), "import_wh 99999 Wh must be at most"),
        (_line("2026-06-30T00:00Z", 1, "UP-999"), "usage_point 'UP-999' is not of the site"),
    ],
)
def test_what_the_history_cannot_be_is_named_and_nothing_is_stored(
    site: tuple[Path, Site], tmp_path: Path, line: str, message: str
) -> None:
    directory, facts = site
    path = tmp_path / "old.csv"
    path.write_text(HEADER + _line("2026-06-10T00:00Z") + line)
    before = _stored(directory)
    store = Store.at(directory)
    with pytest.raises(BadInputError) as caught:
        import_history(store, facts, path)
    store.close()
    told = str(caught.value)
    assert told.startswith("old.csv line 3: ")
    assert message in told
    assert "ends before the first cycle, 2026-07-01T08:15Z" in told
    assert _stored(directory) == before


def test_a_full_connection_is_taken_and_a_watt_hour_more_is_not(
    site: tuple[Path, Site], tmp_path: Path
) -> None:
    directory, facts = site
    most = round(250 * facts.usage_point[0].connection_kw)
    path = tmp_path / "old.csv"
    store = Store.at(directory)
    path.write_text(HEADER + _line("2026-06-11T00:00Z", most))
    assert import_history(store, facts, path) == 1
    path.write_text(HEADER + _line("2026-06-11T00:00Z", most + 1))
    with pytest.raises(BadInputError, match=f"{most + 1} Wh must be at most {most} Wh"):
        import_history(store, facts, path)
    store.close()


def test_an_import_leaves_its_trace(
    site: tuple[Path, Site], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, _ = site
    path = tmp_path / "old.csv"
    path.write_text(HEADER + _line("2026-06-20T00:00Z") + _line("2026-06-20T00:15Z"))
    assert cli.main(["meter", "import", str(path), "--dir", str(directory)]) == 0
    assert "2 intervals" in capsys.readouterr().out
    store = Store.at(directory)
    with store.read() as tx:
        newest = control.actions(tx, limit=1)[0]
    store.close()
    assert (newest["kind"], newest["user"]) == ("history.import", "command line")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in newest["detail"]
