"""A person leaves a store of either kind, and no others do."""

from __future__ import annotations

from grid.store import Store, agreements, control, erasure, erasure_requests, people
from grid.store.erasure_requests import Done, Request
from trading.agreements import Terms


def test_a_party_its_secret_and_its_login_leave_and_its_agreement_is_nobodys(store: Store) -> None:
    with store.write() as tx:
        for name in ("P-1", "P-12", "community"):
            agreements.put_party(tx, agreements.Party(name, f"{name}'s", "household", 0))
            control.put_secrets(tx, {f"party/{name}": name.encode() * 8})
            people.create(
                tx, email=f"{name}@example.org", name=name, password_hash="", roles=["prosumer"],
                at_s=0, party=name,
            )  # fmt: skip
        terms = Terms(0, "home")
        agreements.begin(tx, usage_point="UP-1", party_id="P-1", from_s=0, terms=terms, by="x")
        told = {"party": "P-1", "other": "P-12", "at": "p-1@example.org"}
        control.put_action(tx, at_s=9, user="x", kind="k", subject="P-1", detail=told, sequence=1)
        stays = (erasure.Stay("UP-1", 0, 900),)
        one = erasure.Erasure("P-1", 1, stays, 2, "Asia/Baku", "community")
        erasure.erase(tx, one, "")
    store.write_anew()
    with store.read() as tx:
        assert set(agreements.parties(tx)) == {"erased-1", "P-12", "community"}
        assert set(control.secrets(tx, "party/")) == {"P-12", "community"}
        assert {user.party for user in people.people(tx)} == {"P-12", "community"}
        held = [(str(a.party), a.until_s) for a in agreements.listed(tx)]
        assert held == [("erased-1", 900), ("community", None)]
        (act,) = control.actions(tx)
        assert act["subject"] == "erased-1"
        assert act["detail"] == '{"at": "erased-1", "other": "P-12", "party": "erased-1"}'


def test_a_request_by_the_persons_own_login_is_own_and_is_left_without_the_login(
    store: Store,
) -> None:
    with store.write() as tx:
        for name in ("P-1", "P-2"):
            agreements.put_party(tx, agreements.Party(name, "", "household", 0))
            people.create(
                tx, email=f"{name}@example.org", name="", password_hash="", roles=["prosumer"],
                at_s=0, party=name,
            )  # fmt: skip
        one, other = "p-1@example.org", "p-2@example.org"
        asked = [
            erasure_requests.ask(tx, party, reason=reason, by=by, at_s=at_s)
            for party, reason, by, at_s in (
                ("P-1", "", one, 0),
                ("P-1", "gone", "clerk@example.org", 0),
                ("P-2", "with P-1", one, 9),
            )
        ]
        assert erasure_requests.open_requests(tx, 5) == [
            Request(asked[0], "P-1", one, 0, "", True),
            Request(asked[2], "P-2", one, 9, "with P-1", False),
        ]
        erasure.erase(tx, erasure.Erasure("P-1", 1, (), 2, "Asia/Baku", "community"), "")
        erasure_requests.approve(tx, asked[0], name="erased-1", by=other, at_s=12)
    with store.write() as tx:
        assert erasure_requests.done(tx) == [Done("erased-1", "erased-1", other, 12)]
        # What others wrote of the person names nobody either.
        assert erasure_requests.open_requests(tx, 5) == [
            Request(asked[2], "P-2", "erased-1", 9, "with erased-1", False)
        ]
        erasure_requests.withdraw(tx, asked[2])
        assert erasure_requests.open_requests(tx, 0) == []
