"""The command line: 2 and one line for what was asked wrongly, 1 for what failed, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grid import interval
from grid.console import cli
from grid.operation import commission
from grid.operation.demo_site import demo_site

FIRST = interval.parse("2026-07-01T08:15Z")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commissioned folder whose field does not run."""
    directory = tmp_path_factory.mktemp("cli") / "site"
    commission.commission(directory, demo_site(), at_s=FIRST, seed=1)
    return directory


def _said(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "grid.console.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--day", "29.05.2026"], "--day: '29.05.2026' is not a date"),
        (["demo", "--day", "9999-12-31"], "--day: '9999-12-31' must be within 1980-01-01 to 2199"),
        (["demo", "--day", "0001-01-01"], "must be within 1980-01-01"),
        (["demo", "--seed", "-1"], "'-1' must be a whole number within 0"),
        (["demo", "--port", "80400"], "'80400' must be a whole number within 0 to 65535"),
        (["demo", "--pace", "nan"], "'nan' must be seconds within 0 to 86400"),
        (["init", "x", "--day", "tomorrow"], "'tomorrow' is not a date"),
        (["cycle", "SITE.toml", "--at", "garbage"], "'garbage' is not an ISO 8601"),
        (["cycle", "SITE.toml", "--at", "2026-07-01T08:15"], "has no time zone"),
        (["cycle", "SITE.toml", "--count", "0"], "'0' must be a whole number within 1"),
        (["cycle", "SITE.toml", "--count", "9" * 5000], "must be a whole number within 1"),
        (
            ["meter", "read", "http://h:1/1"],
            "'http://h:1/1' must be modbus:// or modbus-rtu://HOST:PORT/UNIT",
        ),
        (["meter", "read", "modbus://h:1/999"], "must be modbus://HOST:PORT/UNIT"),
        (["meter", "read", "dlms://h/1"], "must be dlms://HOST:PORT/STATION"),
        (["meter", "read", "dlms://h:1/1", "--auth", "secret"], "none, lls:PASSWORD"),
        (["meter", "read", "dlms://h:1/1", "--auth", "hls-gmac"], "needs --keys FILE"),
        (["meter", "read", "dlms://h:1/1", "--timeout", "-1"], "must be seconds within 0.1"),
        (["meter", "read", "dlms://h:1/1", "--profile", "none"], "'none' does not exist"),
        (["user", "add", "not an email", "--role", "operator"], "'not an email' is not an e-mail"),
        (["user", "add", "a@b", "--role", "operator"], "'a@b' is not an e-mail"),
        (["user", "add", "a@b..org", "--role", "operator"], "'a@b..org' is not an e-mail"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        ([], "required: COMMAND"),
    ],
)
def test_a_wrong_value_is_wrong_usage(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(words)
    except SystemExit as stop:
        status = int(str(stop.code))
    assert status == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_the_password_of_a_meter_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["meter", "read", "dlms://h:1/1", "--auth", "hunter2"])
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["help"], ["help", "cycle"]])
def test_help_is_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for asked in (words, [*words[1:], "--help"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(asked)
        assert stop.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "usage: khazri" in shown[0]


def test_what_the_machine_does_not_give_is_one_line() -> None:
    status, text = _said("init", "/proc/x")
    assert status == 1
    assert text == "khazri: /proc/x: No such file or directory\n"
    status, text = _said("demo", "--dir", "/proc/x", "--once")
    assert status == 1
    assert text.count("\n") == 1


def test_an_entry_beyond_every_number_is_refused(site: Path) -> None:
    for number in ("99", str(10**23)):
        status, text = _said("ledger", "prove", number, "--dir", str(site))
        assert status in (1, 2)
        assert f"entry {number}: the newest checkpoint has 1 entries" in text


def test_a_cycle_that_is_not_due_is_refused_before_anything_is_read(site: Path) -> None:
    # Nothing listens there: a cycle that went on would fail with another message.
    facts = {"pid": 1, "control_port": 1, "meters": {}, "devices": {}}
    (site / "field.json").write_text(json.dumps(facts))
    asked = ["cycle", str(site / "SITE.toml"), "--at"]
    status, text = _said(*asked, interval.label(FIRST - 900))
    assert (status, text) == (
        1,
        "khazri: cycle 2026-07-01T08:00Z comes before 2026-07-01T08:15Z, the first\n",
    )
    status, text = _said(*asked, interval.label(FIRST + 900))
    assert status == 1
    assert "comes after 2026-07-01T08:15Z, which is next" in text
    status, text = _said(*asked, "2026-07-01T08:20Z")
    assert status == 2
    assert "no interval of 900 s begins then" in text


def test_another_store_must_have_an_address(site: Path) -> None:
    status, text = _said("cycle", str(site / "SITE.toml"), "--store", "not a url")
    assert status == 2
    assert "--store: must be the URL of a database" in text


def test_a_folder_without_a_store_is_told_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "SITE.toml").write_text(demo_site())
    status, text = _said("cycle", str(tmp_path / "SITE.toml"))
    assert status == 1
    assert "no store here yet; 'khazri run SITE.toml' makes it" in text


def test_a_user_is_added_to_a_site(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["user", "add", "leyla@khazri.example", "--role", "operator", "--dir", str(site)]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["email"] == "leyla@khazri.example"


def test_a_polite_end_in_the_midst_of_a_reading_ends_its_tasks_without_a_word() -> None:
    script = """
import asyncio, os, signal
from grid.console.cli import main

main(["meter", "profiles", "--json"])

async def ask(ends):
    for _ in range(50):
        await asyncio.sleep(0)
    if ends:
        os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(30)

async def read():
    async with asyncio.TaskGroup() as group:
        for place in range(3):
            group.create_task(ask(place == 1))

try:
    asyncio.run(read())
except KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "ended"
    assert done.stderr == ""
