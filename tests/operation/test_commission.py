"""A site begins whole or not at all, and what ``khazri init`` writes can run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.console import cli
from grid.errors import BadInputError
from grid.operation import commission, cycle, demo, history, opening, record, terms_entries
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.field import link
from grid.store import NoStoreError, Store, control, log, series

NOW_S = interval.parse("2026-07-01T08:07Z")


def _meta(directory: Path, name: str) -> str | None:
    store = Store.at(directory)
    with store.read() as tx:
        value = control.get_meta(tx, name)
    store.close()
    return value


def test_what_init_writes_passes_the_check_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "mine"
    path = directory / "SITE.toml"
    assert cli.main(["init", str(directory), "--day", "2026-07-01"]) == 0
    assert cli.main(["check", str(path)]) == 0
    assert commission.ensure(path, now_s=NOW_S)
    assert not commission.ensure(path, now_s=NOW_S + 5_000)
    with opening.opened(directory) as room:
        assert room.first_cycle_s == interval.parse("2026-07-01T08:15Z")
        demo.play(room, 2, lambda text: None)
        assert cycle.clock(room) == room.first_cycle_s + 1800
        with room.store.read() as tx:
            assert len(control.setpoints(tx, room.first_cycle_s + 900)) == len(room.site.assets)
            plans = control.plans(tx, room.first_cycle_s, room.first_cycle_s + 1800)
        assert [plan["source"] for plan in plans] == ["new plan", "new plan"]


def test_a_cycle_of_the_command_line_says_nothing_of_migrations(tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    assert cli.main(["init", str(directory)]) == 0
    commission.ensure(directory / "SITE.toml", now_s=NOW_S)
    field = link.start(directory, start_s=int(_meta(directory, "first_cycle_s") or 0))
    try:
        command = [sys.executable, "-m", "grid.console.cli", "cycle", str(directory / "SITE.toml")]
        late = [*command, "--at", "2026-07-01T08:00Z"]
        done = subprocess.run(late, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == (
            "khazri: cycle 2026-07-01T08:00Z comes before 2026-07-01T08:15Z, the first\n"
        )
        done = subprocess.run(
            [*command, "--count", "2", "--json"], capture_output=True, text=True, check=True
        )
    finally:
        field.terminate()
        field.wait()
    assert json.loads(done.stdout) == {"next": "2026-07-01T08:45Z"}
    assert "stage=checkpoint" in done.stderr
    assert "Impl" not in done.stderr
    assert "DDL" not in done.stderr


def test_the_secrets_of_a_site_are_its_own(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "SITE.toml").write_text(demo_site())
        commission.ensure(tmp_path / name / "SITE.toml", now_s=NOW_S)
        keys.add(_meta(tmp_path / name, "ledger_vkey"))
    assert len(keys) == 2


def test_a_site_file_that_says_another_site_than_it_was_made_from_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "SITE.toml"
    path.write_text(demo_site())
    commission.ensure(path, now_s=NOW_S)
    path.write_text("# our own\n" + demo_site())
    assert not commission.ensure(path, now_s=NOW_S)
    path.write_text(demo_site().replace("voltage_max_pu = 1.05 ", "voltage_max_pu = 1.09 "))
    line = demo_site()[: demo_site().index("voltage_max_pu")].count("\n") + 1
    with pytest.raises(BadInputError, match=rf"SITE\.toml:{line}: the site was made from another"):
        commission.ensure(path, now_s=NOW_S)
    with pytest.raises(BadInputError, match=r"is named SITE\.toml"):
        commission.ensure(tmp_path / "other.toml", now_s=NOW_S)


def test_a_wrong_file_leaves_no_store(tmp_path: Path) -> None:
    path = tmp_path / "SITE.toml"
    path.write_text(demo_site().replace('"uniform_price"', '"nothing"'))
    with pytest.raises(BadInputError, match="nothing"):
        commission.ensure(path, now_s=NOW_S)
    assert [one.name for one in tmp_path.iterdir()] == ["SITE.toml"]
    with pytest.raises(NoStoreError, match="khazri run"):
        Store.at(tmp_path)


def _whole(directory: Path) -> None:
    start_s = int(_meta(directory, "first_cycle_s") or 0)
    store = Store.at(directory)
    with store.read() as tx:
        found = series.bounds(tx)
    store.close()
    assert found is not None
    assert found[0] == start_s - 28 * 86_400
    assert (directory / "SITE.toml").read_text() == demo_site()
    assert json.loads((directory / "field-keys.json").read_text())


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        (history, "write_history", False),
        (history, "write_history", True),
        (commission.series, "put_intervals", False),
        (commission.series, "put_intervals", True),
        (commission, "_write_files", True),
    ],
)
def test_a_demo_interrupted_while_it_is_made_is_made_whole_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: bool
) -> None:
    directory = tmp_path / "site"
    real = getattr(module, name)

    def interrupted(*args: Any, **named: Any) -> None:
        if after:
            real(*args, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    assert commission.commissioned(directory) is None
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    _whole(directory)
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)


def test_a_demo_killed_while_it_is_made_is_made_whole_by_the_next_call(tmp_path: Path) -> None:
    directory = tmp_path / "site"
    script = (
        "import os, signal, sys; from pathlib import Path; from grid.operation import demo,"
        " commission; from grid.operation.demo_site import DEFAULT_DAY\n"
        "commission._write_files = lambda *all: os.kill(os.getpid(), signal.SIGKILL)\n"
        "demo.prepare(Path(sys.argv[1]), day=DEFAULT_DAY, seed=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(directory)], env=os.environ)
    assert done.returncode == -9
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    _whole(directory)


def test_a_demo_takes_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "SITE.toml").write_text(demo_site() + "# mine\n")
    with pytest.raises(BadInputError, match="is not the demo's: 'khazri run"):
        demo.prepare(tmp_path, day=DEFAULT_DAY, seed=1)
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(BadInputError, match=r"holds letters\.txt and no site"):
        demo.prepare(tmp_path, day=DEFAULT_DAY, seed=1)


def _told_terms(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        bodies = [json.loads(one)["body"] for one in log.contents(tx, ["action"])]
    return [body["terms"] for body in bodies if body.get("action") == "terms.begin"]


def test_terms_are_told_again_once_where_an_earlier_version_told_less(tmp_path: Path) -> None:
    path = tmp_path / "SITE.toml"
    assert cli.main(["init", str(tmp_path), "--day", "2026-07-01"]) == 0
    commission.ensure(path, now_s=NOW_S)
    store = Store.at(tmp_path)
    site, _ = cycle.facts(tmp_path, store)
    with store.write() as tx:
        terms_entries.tell_again(tx, site)
    assert len(_told_terms(store)) == 1
    with store.write() as tx:
        control.drop_meta(tx, "terms_sha256")
    for _ in range(2):
        with store.write() as tx:
            terms_entries.tell_again(tx, site)
    first, again = _told_terms(store)
    assert again == first
    with store.write() as tx:
        control.drop_meta(tx, "terms_sha256")
        control.put_meta(tx, record.HELD, "others have seen more")
        terms_entries.tell_again(tx, site)
    assert len(_told_terms(store)) == 2, "a ledger that is held is left alone"
    store.close()
