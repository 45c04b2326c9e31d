"""The page and the command of charge points: a prosumer's own, an operator's all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.console.auth_passwords import hash_password
from grid.console.cli import main
from grid.store import Store, charging, control, field, log, people
from meters.device import DeviceState, Setpoint
from tests.console import village

PAGE = "/charging"
PASSWORD = "another long enough password"
PROSUMER, OPERATOR = "prosumer@example.org", "operator@example.org"


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    return {"csrf_token": token[1], **fields}


def _state(client: FlaskClient, departs: str, kwh: str, **more: str) -> str:
    form = _form(client, departs=departs, kwh=kwh, **more)
    assert client.post(f"{PAGE}/EV-1", data=form).status_code == 302
    return client.get(PAGE).text


@pytest.fixture
def neighbour(app: Flask, store: Store) -> FlaskClient:
    """A prosumer without a charge point, signed in."""
    with store.write() as tx:
        people.create(
            tx, email="next@example.org", name="Next", password_hash=hash_password(PASSWORD),
            roles=["prosumer"], at_s=0, party="P-3",
        )  # fmt: skip
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert token
    form = {"email": "next@example.org", "password": PASSWORD, "csrf_token": token[1]}
    assert client.post("/login", data=form).status_code == 302
    return client


def test_a_wish_is_kept_shown_and_undone(sign_in: Callable[..., FlaskClient], store: Store) -> None:
    client = sign_in("prosumer")
    page = client.get(PAGE).text
    assert "a vehicle gets 10.0 kWh by 07:00" in page
    assert "the charge point does not answer" in page
    page = _state(client, "2026-05-28T07:00", "12,5", arrives="2026-05-27T18:00")
    assert "12.5 kWh by 2026-05-28 07:00" in page
    assert "expected at 2026-05-27 18:00" in page
    page = _state(client, "2026-05-28T06:30", "20", arrives="")
    assert "20.0 kWh by 2026-05-28 06:30" in page
    undo = re.search(rf'action="({PAGE}/\d+/withdraw)" class="notice', page)
    assert undo
    assert client.post(undo[1], data=_form(client)).status_code == 302
    page = client.get(PAGE).text
    assert "<strong>12.5 kWh by 2026-05-28 07:00" in page
    assert "taken back" in page
    with store.read() as tx:
        found = charging.listed(tx)
        actions = control.actions(tx)
        opened = "".join(str(row["content"]) for row in log.openings(tx))
    assert [(one.wanted_wh, str(one.state)) for one in found] == [
        (20_000, "withdrawn"), (12_500, "stated"),
    ]  # fmt: skip
    assert [row["kind"] for row in actions[:2]] == ["charging.withdraw", "charging.state"]
    assert PROSUMER not in opened


def test_the_vehicle_and_what_it_got_are_told(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    with store.write() as tx:
        now_s = control.clock_s(tx)
        for at_s, there, wh in ((now_s - 900, False, 7_000), (now_s, True, 9_500)):
            said = DeviceState(
                "EV-1", at_s, wh, 0, 0, 0, None, there, 0, Setpoint("EV-1", "limit", revert_s=0)
            )
            field.put_device_states(tx, [said], at_s=at_s)
    for role in ("prosumer", "operator"):
        assert "A vehicle is there and got 2.5 kWh." in sign_in(role).get(PAGE).text


def test_what_is_wrong_is_told_and_what_was_typed_stays(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("prosumer")
    for departs, kwh, told in (
        ("2026-05-28T07:00", "1e3", "kWh must be a number such as 12.5"),
        ("2026-05-28T07:00", "66", "must be within 0.1 to 65.217 kWh"),
        ("2026-05-28T07:05", "10", "must be on a quarter-hour within"),
        ("2026-05-27T13:00", "10", "must be on a quarter-hour within"),
        ("soon", "10", "is not a civil time"),
    ):
        page = _state(client, departs, kwh)
        assert told in page
        assert f'value="{kwh}"' in page
    form = _form(client, departs="2026-05-28T07:00", kwh="10", party="P-3")
    assert client.post(f"{PAGE}/EV-1", data=form).status_code == 400
    with store.read() as tx:
        assert charging.listed(tx) == []


def test_another_partys_charge_point_is_absent(
    sign_in: Callable[..., FlaskClient], neighbour: FlaskClient, store: Store
) -> None:
    _state(sign_in("prosumer"), "2026-05-28T07:00", "10")
    assert "EV-1" not in neighbour.get(PAGE).text
    with store.read() as tx:
        (one,) = charging.listed(tx)
    token = re.search(r'name="csrf_token" value="([^"]+)', neighbour.get(PAGE).text)
    assert token
    form = {"csrf_token": token[1]}
    wish = {**form, "departs": "2026-05-28T07:00", "kwh": "5"}
    assert neighbour.post(f"{PAGE}/EV-1", data=wish).status_code == 404
    assert neighbour.post(f"{PAGE}/{one.id}/withdraw", data=form).status_code == 404
    assert neighbour.post(f"{PAGE}/99/withdraw", data=form).status_code == 404
    operator = sign_in("operator")
    assert "10.0 kWh by 2026-05-28 07:00" in operator.get(PAGE).text
    assert operator.post(f"{PAGE}/{one.id}/withdraw", data=_form(operator)).status_code == 302


def test_the_page_is_in_each_language(sign_in: Callable[..., FlaskClient]) -> None:
    client = sign_in("prosumer")
    for language, word in (("az", "Elektromobillər"), ("ru", "Электромобили")):
        client.post("/language", data=_form(client, language=language))
        assert word in client.get(PAGE).text


def test_the_command_states_lists_and_takes_back(
    folder: Path, neighbour: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "SITE.toml").write_text(village.TOML)

    def run(*words: str) -> tuple[int, Any, str]:
        code = main(["control", *words, "--dir", str(folder), "--json"])
        out = capsys.readouterr()
        return code, json.loads(out.out.splitlines()[-1]) if out.out else None, out.err

    wish = ("charge", "EV-1", "--departs", "2026-05-28T07:00", "--kwh", "12.5")
    code, made, _ = run(*wish, "--by", OPERATOR)
    assert (code, made["wanted_wh"], made["departs"]) == (0, 12_500, "2026-05-28T03:00Z")
    assert run(*wish, "--by", PROSUMER)[0] == 0
    for who, told in (
        ("next@example.org", "no charge point of"), ("metering@example.org", "no role"),
    ):  # fmt: skip
        code, _, error = run(*wish, "--by", who)
        assert code == 1
        assert told in error
    assert "none of next@example.org" in run("uncharge", "2", "--by", "next@example.org")[2]
    assert run("uncharge", "2", "--by", PROSUMER)[1]["state"] == "withdrawn"
    assert "is not stated any more" in run("uncharge", "2", "--by", PROSUMER)[2]
    sessions = run("vehicles")[1]["sessions"]
    assert [one["state"] for one in sessions] == ["withdrawn", "stated"]
