"""The page of orders, and the commands: who may ask, who may agree, and what each is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from grid.console.cli import main
from grid.store import Store, control
from grid.store import meter_orders as stored
from grid.store.meter_orders import OrderState
from tests.console import village

PAGE = "/meters/orders"


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    return {"csrf_token": token[1], **fields}


def _ask(client: FlaskClient, **fields: str) -> str:
    form = {"meter": "M-3", "kind": "disconnect", "reason": "moved out"} | fields
    assert client.post(PAGE, data=_form(client, **form)).status_code == 302
    return client.get(PAGE).text


def test_who_asks_sees_why_they_cannot_approve_and_another_person_does(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    asks, agrees = sign_in("metering"), sign_in("operator")
    assert "Nothing is ordered of any meter." in asks.get(PAGE).text
    page = _ask(asks)
    assert "waits for a second person" in page
    assert "You asked for it: another person approves it." in page
    assert ">Approve<" not in page
    # The button is not there, and the address behind it refuses too.
    assert asks.post(f"{PAGE}/1/approve", data=_form(asks)).status_code == 302
    assert "it takes a second person" in asks.get(PAGE).text
    assert ">Approve<" in agrees.get(PAGE).text
    assert agrees.post(f"{PAGE}/1/approve", data=_form(agrees)).status_code == 302
    assert "approved, goes out in the next cycle" in asks.get(PAGE).text
    with store.read() as tx:
        order = stored.get_order(tx, 1)
        kinds = [row["kind"] for row in control.actions(tx)]
    assert (order.asked_by, order.approved_by) == ("metering@example.org", "operator@example.org")
    assert kinds[:2] == ["meter_order.approve", "meter_order.ask"]
    assert asks.post(f"{PAGE}/1/cancel", data=_form(asks)).status_code == 302
    page = asks.get(PAGE).text
    assert "taken back by metering@example.org" in page
    assert asks.post(f"{PAGE}/1/cancel", data=_form(asks)).status_code == 302
    assert "cannot be taken back" in asks.get(PAGE).text
    assert asks.post(f"{PAGE}/99/cancel", data=_form(asks)).status_code == 404


def test_a_wrong_order_is_told_and_nothing_is_kept(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    assert "M-HEAD" not in client.get(PAGE).text
    for fields, told in (
        ({"reason": " "}, "needs a reason"),
        ({"meter": "M-404"}, "no such meter"),
        ({"meter": "M-1"}, "BAT-1, DG-1 behind it feeds the island"),
        ({"kind": "key-replacement"}, "no key to replace"),
    ):
        assert told in _ask(client, **fields)
    assert client.post(PAGE, data=_form(client, kind="explode")).status_code == 400
    assert client.post(PAGE, data=_form(client, kind="disconnect", id="1")).status_code == 400
    assert client.post(PAGE, data={"kind": "disconnect"}).status_code == 400
    with store.read() as tx:
        assert stored.listed(tx) == []
    assert "feeds an island, known" in _ask(client, meter="M-1", island_source="yes")


def test_the_page_and_its_states_are_in_each_language(
    sign_in: Callable[..., FlaskClient],
) -> None:
    client = sign_in("operator")
    _ask(client)
    for language, word in (("az", "ikinci şəxsi gözləyir"), ("ru", "ждёт второго человека")):
        client.post("/language", data=_form(client, language=language))
        assert word in client.get(PAGE).text


def _unknown(store: Store, number: int, since_s: int) -> None:
    """Let an approved order be at its meter since then, without an answer."""
    with store.write() as tx:
        stored.move(
            tx, number, OrderState.APPROVED, OrderState.EXECUTING, executing_s=since_s,
            outcome="what the meter did is not known yet: gave no complete answer",
        )  # fmt: skip


def test_an_order_without_an_answer_is_given_up_by_the_second_person(
    sign_in: Callable[..., FlaskClient], store: Store, site_folder: Path
) -> None:
    asks, agrees = sign_in("metering"), sign_in("operator")
    _ask(asks)
    agrees.post(f"{PAGE}/1/approve", data=_form(agrees))
    with store.read() as tx:
        now_s = control.clock_s(tx)
    _unknown(store, 1, now_s - 3600)
    assert "After an hour without an answer a second person" in asks.get(PAGE).text
    assert f"{PAGE}/1/give-up" not in asks.get(PAGE).text
    assert f"{PAGE}/1/give-up" in agrees.get(PAGE).text
    give = f"{PAGE}/1/give-up"
    agrees.post(give, data=_form(agrees, reason=" "))
    assert "needs a reason" in agrees.get(PAGE).text
    assert agrees.post(give, data=_form(agrees, reason="dead")).status_code == 302
    assert "given up by operator@example.org: dead" in asks.get(PAGE).text
    _ask(asks)
    agrees.post(f"{PAGE}/2/approve", data=_form(agrees))
    _unknown(store, 2, now_s - 3599)
    words = ("give-up", "2", "--reason", "dead", "--by", "operator@example.org")
    assert _run(site_folder, *words) == 1
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(now_s + 1))
    assert _run(site_folder, *words) == 0
    with store.read() as tx:
        assert stored.get_order(tx, 2).state is OrderState.GIVEN_UP


def _run(folder: Path, *words: str) -> int:
    return main(["meter", *words, "--dir", str(folder), "--json"])


@pytest.fixture
def site_folder(folder: Path) -> Path:
    """The village with its site file, one home with medical loads."""
    text = village.TOML.replace('id = "UP-4"\n', 'id = "UP-4"\nmedical = true\n')
    (folder / "SITE.toml").write_text(text)
    return folder


def test_the_commands_ask_approve_list_and_take_back(
    site_folder: Path, capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    def told() -> dict[str, object]:
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    metering, operator = ("--by", "metering@example.org"), ("--by", "operator@example.org")
    assert _run(site_folder, "disconnect", "M-3", "--reason", "moved out", *metering) == 0
    assert told()["state"] == "asked"
    assert _run(site_folder, "approve", "1", *metering) == 1
    assert "it takes a second person" in capsys.readouterr().err
    assert _run(site_folder, "approve", "1", "--by", "prosumer@example.org") == 1
    assert "has no role that may do this" in capsys.readouterr().err
    assert _run(site_folder, "approve", "1", "--by", "nobody@example.org") == 1
    assert "no such user" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        _run(site_folder, "approve", "1")
    assert ended.value.code == 2
    capsys.readouterr()
    assert _run(site_folder, "approve", "1", *operator) == 0
    assert told()["approved_by"] == "operator@example.org"
    assert _run(site_folder, "cancel", "1") == 0
    capsys.readouterr()
    assert _run(site_folder, "disconnect", "M-4", "--reason", "unpaid") == 1
    assert told()["state"] == "refused"
    assert _run(site_folder, "reconnect", "M-4", "--reason", "must have it") == 0
    capsys.readouterr()
    assert _run(site_folder, "medical", "UP-5", *operator) == 0
    assert told() == {"usage_point": "UP-5", "medical": True}
    assert _run(site_folder, "medical", "UP-5", "--no-longer", *operator) == 0
    assert _run(site_folder, "medical", "UP-4", "--no-longer", *operator) == 1
    assert "the site file says medical" in capsys.readouterr().err
    assert _run(site_folder, "orders") == 0
    assert [one["state"] for one in told()["orders"]] == ["asked", "refused", "cancelled"]
    assert main(["meter", "orders", "--dir", str(site_folder)]) == 0
    assert "UP-4 has medical loads" in capsys.readouterr().out
    with store.read() as tx:
        details = [json.loads(row["detail"]) for row in control.actions(tx)]
        assert stored.get_order(tx, 1).state is OrderState.CANCELLED
    assert {one.get("through") for one in details if "order" in one} == {"command line", None}
