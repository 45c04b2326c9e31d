"""The demand charge is on what the month's highest import rises by, not on each plan anew."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.operation.demo_site import demo_site
from grid.operation.plan_inputs import peak_kw
from grid.site import Amount
from grid.site_file import parse
from grid.store import Store, series
from meters.vee import Quality

HEAD = "M-HEAD"
MAY_S = interval.parse("2026-05-01T00:00+04:00")


def test_the_peak_of_the_civil_month_until_now_counts(tmp_path: Path) -> None:
    """5,000 Wh in a quarter-hour are 20 kW; April's 40 kW and what is missing do not count."""
    site = parse(demo_site())
    charged = replace(site, grid=replace(site.grid, demand_charge=Amount(10**9)))
    store = Store(f"sqlite:///{tmp_path / 'khazri.sqlite3'}", create=True)
    wh = np.full((1, 12), 1_000)
    wh[0, [1, 6, 9]] = 10_000, 5_000, series.MISSING
    dims = ("usage_point", "interval")
    values = {
        register: (dims, wh if register == "import_wh" else np.zeros_like(wh))
        for register in series.REGISTERS
    }
    content = xr.Dataset(
        {**values, "quality": (dims, np.full(wh.shape, int(Quality.VALID)))},
        coords={"usage_point": [HEAD], "interval": interval.starts(MAY_S - 4 * 900, 12, 900)},
    )
    with store.write() as tx:
        series.put_intervals(tx, content, time_zone=site.time_zone, cycle_s=MAY_S)
    with store.read() as tx:
        assert peak_kw(tx, charged, HEAD, MAY_S + 8 * 900) == pytest.approx(20.0)
        assert peak_kw(tx, charged, HEAD, MAY_S + 2 * 900) == pytest.approx(4.0)
        assert peak_kw(tx, charged, HEAD, MAY_S) == 0.0
        assert peak_kw(tx, site, HEAD, MAY_S + 8 * 900) == 0.0
    store.close()
