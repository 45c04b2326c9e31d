"""A site that the check calls good can run; what cannot is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.console import cli
from grid.operation import commission
from grid.operation.check import check
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.site_file import SiteFileError

NOT_HERE = [
    ("bus = 2\n", "bus = 99999\n", "bus 99999 is not in the network"),
    ('1-LV-rural2--2-sw"', '1-LV-rural9--2-sw"', "SimBench has no grid"),
    ('source = "simbench:', 'source = "nowhere:', "must be simbench:CODE"),
    ('source = "simbench:1-LV-rural2--2-sw"', 'source = "file:absent.json"', "absent.json"),
    ('profile = "sdm630"', 'profile = "sdm631"', "meter profile 'sdm631' does not exist"),
    ('profile = "sdm630"', 'profile = "cosem"', "meter profile cosem"),
    ('"uniform_price"', '"vickrey"', "mechanism 'vickrey' is not known"),
    (
        'profile = "sdm630"',
        'profile = "sdm630"\nurl = "modbus://h:1/1"',
        "url is for real devices, and [field] is simulated",
    ),
    ('profile = "WP4"', 'profile = "WP5"', "must be one of WP4, WP7"),
    (
        'profile = "sdm630"',
        'profile = "sdm630"\nurl = "modbus://h/1"',
        "must be modbus:// or modbus-rtu://HOST",
    ),
    (
        'profile = "sdm630"',
        'profile = "sdm630"\nurl = "dlms://h:1/1"',
        "must be modbus:// or modbus-rtu://HOST",
    ),
    (
        'profile = "cosem"',
        'profile = "cosem"\nurl = "dlms://h:99999/1"',
        "must be dlms:// or hdlc://HOST",
    ),
    (
        'wear = "0.006"',
        'wear = "0.006"\nurl = "modbus://h:1/999"',
        "must be modbus:// or modbus-rtu://HOST",
    ),
    ('"azerbaijan_sandbox"', '"austria"', "uniform_price, must be one of static_key, dynamic_key"),
]


@pytest.mark.parametrize(("old", "new", "message"), NOT_HERE)
def test_what_cannot_run_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = demo_site()
    if old.startswith("bus"):
        old = next(line for line in text.splitlines() if line.startswith("bus = ")) + "\n"
    assert old in text
    wrong = text.replace(old, new, 1)
    with pytest.raises(SiteFileError) as caught:
        check(wrong, base_dir=tmp_path)
    last = new.strip().splitlines()[-1]
    line = next(n for n, text in enumerate(wrong.splitlines(), 1) if last in text)
    errors = caught.value.errors
    assert any(e.startswith(f"SITE.toml:{line}: ") and message in e for e in errors), errors
    with pytest.raises(SiteFileError):
        commission.commission(tmp_path / "site", wrong, at_s=0, seed=None)
    assert not (tmp_path / "site").exists()


def test_two_meters_at_one_address_are_refused(tmp_path: Path) -> None:
    text = demo_site().replace(
        'profile = "sdm630"', 'profile = "sdm630"\nurl = "modbus://h:1/1"', 2
    )
    with pytest.raises(SiteFileError, match=r"M-003: url is 'modbus://h:1/1', where meter M-001"):
        check(text, base_dir=tmp_path)


def test_the_command_lists_every_error_of_every_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    text = demo_site(day=DEFAULT_DAY)
    path.write_text(text)
    assert cli.main(["check", str(path)]) == 0
    capsys.readouterr()
    for old, new, _ in NOT_HERE[4:8]:
        text = text.replace(old, new, 1)
    text = text.replace('buy = "0.055"', 'buy = "-1"', 1)
    path.write_text(text)
    assert cli.main(["check", str(path)]) == 1
    shown = capsys.readouterr().out
    assert shown.count("mine.toml:") == 5, shown


def test_a_broker_whose_password_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    login = 'host = "127.0.0.1"\nuser = "khazri"\npassword_file = "mqtt.password"\n'
    text = f"{demo_site()}\n[mqtt]\n{login}"
    with pytest.raises(SiteFileError) as caught:
        check(text, base_dir=tmp_path)
    (error,) = caught.value.errors
    line = text.splitlines().index('password_file = "mqtt.password"') + 1
    assert error.startswith(f"SITE.toml:{line}: [mqtt]: password_file ")
    (tmp_path / "mqtt.password").write_text("secret")
    assert check(text, base_dir=tmp_path).mqtt is not None
