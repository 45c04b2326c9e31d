"""Passwords and keys of meters: brought in a file, kept in the store, used by the cycle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import commission, cycle, meter_keys, opening
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.site import Site
from grid.site_file import parse
from grid.store import control, field
from meters.reading import Ciphering

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
TEXT = demo_site(day=DEFAULT_DAY, seed=1).replace('auth = "lls"', 'auth = "hls-gmac"', 2)
SITE = parse(TEXT)
CIPHERED = [str(meter.id) for meter in SITE.meter if meter.auth == "hls-gmac"]
_ZEROS, _DS = "00" * 16, "d0" * 16
KEYS = f'title = "4b485a0000000001"\nencryption_key = "{_ZEROS}"\nauthentication_key = "{_DS}"\n'


def test_a_site_with_ciphered_meters_reads_them_and_resumes_its_counters(tmp_path: Path) -> None:
    assert len(CIPHERED) == 2
    directory = tmp_path / "site"
    commission.commission(directory, TEXT, at_s=START_S, seed=1)
    for count in (2, 1):
        with opening.opened(directory) as room:
            first = cycle.clock(room)
            for at_s in range(first, first + 900 * count, 900):
                cycle.run(room, at_s)
            with room.store.read() as tx:
                assert {field.last_reads(tx)[meter] for meter in CIPHERED} == {at_s}
                told = {row["code"] for row in control.findings(tx, limit=10**6)}
                assert not told & {"meter.security", "meter.replay", "meter.access"}
                rows = field.raw_reads(tx, CIPHERED[0], START_S, at_s)
    counters = [row["invocation_counter"] for row in rows]
    assert len(counters) == 3
    assert all(counter > 0 for counter in counters)
    assert len(list((directory / "counters").glob("*.counter"))) >= 2


def test_new_keys_take_the_place_of_the_old_and_stay_out_of_every_text(tmp_path: Path) -> None:
    commission.commission(tmp_path / "site", TEXT, at_s=START_S, seed=1)
    store = commission.open_store(tmp_path / "site")
    fresh = Ciphering(b"KHZ00001", b"n" * 16, b"o" * 16, suite=1, general=True)
    with store.write() as tx:
        before = meter_keys.ciphering(tx, CIPHERED[0])
        meter_keys.put_keys(tx, CIPHERED[0], fresh)
        assert meter_keys.ciphering(tx, CIPHERED[0]) == fresh
        assert meter_keys.ciphering(tx, CIPHERED[1]) not in (before, fresh, None)
        assert meter_keys.ciphering(tx, "M-NONE") is None
    assert "n" * 16 not in repr(fresh)
    assert (tmp_path / "site" / "field-keys.json").stat().st_mode & 0o077 == 0


def _real(tmp_path: Path, text: str, mode: int = 0o600) -> tuple[Site, Path]:
    path = tmp_path / "meter-keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return SITE, path


def test_keys_are_brought_for_each_meter_that_needs_them(tmp_path: Path) -> None:
    needed = [meter for meter in SITE.meter if meter.auth != "none"]
    tables = [
        f"[{meter.id}]\n" + (KEYS if meter.auth == "hls-gmac" else f'password = "pw-{meter.id}"\n')
        for meter in needed
    ]
    site, path = _real(tmp_path, "\n".join(tables))
    found = meter_keys.brought(site, path)
    assert len(found) == len(needed)
    other = next(str(meter.id) for meter in needed if meter.auth == "lls")
    assert found[f"dlms/{other}"] == f"pw-{other}".encode()
    assert json.loads(found[f"dlms-keys/{CIPHERED[0]}"])["encryption_key"] == "00" * 16


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("", 0o644, "others may read these keys"),
        ("x = = 1", 0o600, "is not TOML: line 1"),
        ('["M-STRANGE"]\npassword = "p"\n', 0o600, r"\[M-STRANGE\] is no meter of the site"),
        (f"[{CIPHERED[0]}]\n{KEYS}", 0o600, "there is no table"),
        (f'[{CIPHERED[0]}]\ntitle = "zz"\n', 0o600, "title must be hexadecimal"),
        (f"[{CIPHERED[0]}]\n{KEYS}colour = 1\n", 0o600, "unknown key 'colour'"),
    ],
)
def test_a_wrong_file_of_keys_is_told_and_shows_no_key(
    text: str, mode: int, told: str, tmp_path: Path
) -> None:
    site, path = _real(tmp_path, text, mode)
    with pytest.raises(BadInputError, match=told) as failed:
        meter_keys.brought(site, path)
    assert "d0d0" not in str(failed.value)


def test_without_a_file_of_keys_it_says_which_to_write(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"meter-keys\.toml: there is no such file"):
        meter_keys.brought(SITE, tmp_path / "meter-keys.toml")
