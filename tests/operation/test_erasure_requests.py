"""An erasure takes two persons, its time, and nothing that is open; a person asks for their own."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from grid import interval, site_file
from grid.errors import BadInputError
from grid.operation import billing, erasure, record
from grid.operation.purge_list import LIST_FILE
from grid.store import Store, control, invoices
from tests.operation.erasure_world import EMAIL, END_S, FIRST_S, GONE, TEXT, Lived
from tests.operation.month_site import STEP_S


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("retention_days = 2", "P-3: is kept until 2026-07-"),
        ("clock", "P-3: stands for UP-3, let it move out first"),
        ("dispute", "of its time has a dispute that is open"),
        ("invoice", "amounts of its time wait for the invoices of 2026-07"),
        ("community", "community: is the community"),
        ("nobody", "P-99: is no party of the site"),
        ("reason", "P-3: needs a reason"),
        ("twice", "another person approves"),
    ],
)
def test_an_erasure_that_may_not_be_is_refused_and_erases_nothing(
    erasable: Lived, tmp_path: Path, change: str, told: str
) -> None:
    shutil.copytree(erasable.copy, tmp_path / "it")
    text = TEXT.replace("retention_days = 2", "retention_days = 20") if "ret" in change else TEXT
    site = site_file.parse(text)
    party = {"community": "community", "nobody": "P-99"}.get(change, GONE)
    with closing(Store.at(tmp_path / "it")) as store:
        with store.write() as tx:
            if change == "clock":
                control.put_meta(tx, "clock_s", str(END_S - STEP_S))
            if change == "invoice":
                late = "UPDATE posting SET month = '2026-07' WHERE start_s = ?"
                tx.exec_driver_sql(late, (FIRST_S + STEP_S,))
            if change == "dispute":
                control.put_meta(tx, "clock_s", str(END_S + 2 * interval.DAY_S))
                (one,) = invoices.invoices(tx, party=GONE)
                billing.dispute(tx, site, one.number, 0, party=GONE, reason="no", by=EMAIL)
        asks = {"party": party, "by": "a@example.org", "reason": "asked for it"}
        if change == "reason":
            asks["reason"] = " "
        if change == "twice":
            assert erasure.erase(tmp_path / "it", store, site, **asks).name is None
        with pytest.raises(BadInputError, match=told):
            erasure.erase(tmp_path / "it", store, site, **asks)
        with store.read() as tx:
            assert control.secrets(tx, record.PARTY_SECRET)[GONE] == erasable.secret
    assert not (tmp_path / "it" / LIST_FILE).exists()
