"""The heat map: every interval in its cell by whichever clock, and a table that adds up."""

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from grid.interval import starts
from grid.site import Network
from networks.drawing.calendar_grid import calendar_grid
from networks.drawing.heat_map import heat_map
from networks.drawing.quantity import QUANTITIES, quantity
from tests.networks.drawing.conftest import SVG, read

BEGIN_S = 1_451_606_400  # 2016-01-01T00:00Z
YEAR = 366 * 96
LIMITS = Network("x", voltage_min_pu=0.95, voltage_max_pu=1.05, loading_max_percent=80.0)


def series(values, begin_s=BEGIN_S, step_s=900):
    return xr.DataArray(
        np.asarray(values, float),
        {"interval": starts(begin_s, len(values), step_s)},
        ("interval",),
    )


@pytest.fixture(scope="module")
def voltage():
    """A year that is below its limit on each day of February from 18:00 to 19:00 UTC."""
    hours = np.arange(YEAR) / 4
    values = 1.0 + 0.02 * np.sin(hours / 24 * 2 * np.pi)
    day, hour = hours // 24, hours % 24
    values[(day >= 31) & (day < 60) & (hour >= 18) & (hour < 19)] = 0.94
    values[40 * 96 + 73] = 0.93
    return series(values)


def cells(picture, kind):
    """Return the covered area of a class in cells of a year's map."""
    found = [
        one for one in read(picture).root.iter(f"{SVG}path") if one.get("class") == f"cell {kind}"
    ]
    if not found:
        return 0.0
    (one,) = found
    sizes = re.findall(r"h([\d.]+)v([\d.]+)h-", one.get("d"))
    return sum(float(wide) * float(high) for wide, high in sizes) / (3.0 * 5.0)


def test_each_interval_has_one_cell_of_its_class(voltage):
    picture = heat_map(voltage, quantity("vm_pu_lowest", LIMITS))
    assert cells(picture, "below") == 29 * 4
    assert sum(cells(picture, f"c{n}") for n in range(8)) == YEAR - 29 * 4
    assert cells(picture, "nodata") == cells(picture, "above") == 0


def test_the_darker_the_nearer_to_the_limit(voltage):
    picture = heat_map(voltage, quantity("vm_pu_lowest", LIMITS), standalone=True)
    (legend,) = read(picture).groups("legend")
    texts = [one.text for one in legend.iter(f"{SVG}text")]
    kinds = [one.get("class") for one in legend.iter(f"{SVG}rect") if one.get("class")]
    assert texts[:2] == ["pu", "0.9800–0.9850"]
    assert kinds[0] == "cell c7"
    loading = heat_map(voltage * 50, quantity("line_loading_percent_highest", LIMITS))
    assert cells(loading, "c7") > 0


def test_the_table_adds_up_month_by_month(voltage):
    picture = heat_map(voltage, quantity("vm_pu_lowest", LIMITS))
    header, *rows = picture.table
    assert header == (
        "month", "intervals", "missing", "minimum_pu", "mean_pu", "maximum_pu", "worst_at",
        "hours_below_0.95_pu",
    )  # fmt: skip
    assert [row[0] for row in rows] == [f"2016-{month:02d}" for month in range(1, 13)]
    values, months = voltage.to_numpy(), voltage["interval"].dt.month.to_numpy()
    for month, row in enumerate(rows, start=1):
        some = values[months == month]
        assert row[1:3] == (len(some), 0)
        assert row[3:6] == pytest.approx((some.min(), some.mean(), some.max()))
        assert row[7] == (some < 0.95).sum() / 4
    assert rows[1][6] == "2016-02-10T18:15Z"
    assert "lowest 0.9300 pu (2016-02-10T18:15Z)" in picture.description
    assert "29.00 h below 0.95 pu" in picture.description
    assert "UTC" in picture.description


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Baku", "Asia/Kathmandu"])
def test_intervals_fall_on_the_days_and_hours_of_the_clock(voltage, zone):
    grid = calendar_grid(
        voltage["interval"].to_numpy(), voltage.to_numpy(), zone, worse_is_low=True
    )
    draw = np.random.default_rng(3)
    for slot, day in zip(draw.integers(0, 96, 200), draw.integers(1, 360, 200), strict=True):
        if not grid.exists[slot, day]:
            continue
        local = datetime.fromtimestamp(int(grid.at_s[slot, day]), ZoneInfo(zone))
        assert local.date() == grid.day(int(day))
        assert local.hour * 4 + local.minute // 15 == slot


def test_changed_clocks_leave_an_hour_out_and_show_the_worse_of_two():
    values = np.arange(YEAR, dtype=float)
    one = series(values)
    for worse_is_low in (True, False):
        grid = calendar_grid(
            one["interval"].to_numpy(), values, "Europe/Berlin", worse_is_low=worse_is_low
        )
        assert (grid.skipped, grid.doubled) == (4, 4)
        spring = (date(2016, 3, 27) - grid.first).days
        assert not grid.exists[8:12, spring].any()
        assert grid.exists[:8, spring].all()
        autumn = (date(2016, 10, 30) - grid.first).days
        first = (1_477_785_600 - BEGIN_S) // 900  # 2016-10-30T00:00Z, 02:00 for the first time
        shown = first + (0 if worse_is_low else 4)
        assert grid.values[8:12, autumn].tolist() == [shown + k for k in range(4)]
    picture = heat_map(one, quantity("losses_kw", LIMITS), time_zone="Europe/Berlin")
    assert "Clocks are changed" in picture.description
    assert cells(picture, "nodata") == 0
    utc = calendar_grid(one["interval"].to_numpy(), values, "UTC", worse_is_low=True)
    assert (utc.skipped, utc.doubled, utc.exists.all()) == (0, 0, True)


def test_missing_intervals_are_hatched_and_counted_whether_left_out_or_nan(voltage):
    broken = voltage.isel(interval=np.r_[0:1000, 1500:YEAR]).copy()
    broken[2000:2300] = np.nan
    picture = heat_map(broken, quantity("vm_pu_lowest", LIMITS))
    assert cells(picture, "nodata") == 800
    assert sum(row[2] for row in picture.table[1:]) == 800
    assert "800 missing" in picture.description
    net = [
        one for one in read(picture).root.iter(f"{SVG}rect")
        if one.get("fill") == "url(#year-nodata)"
    ]  # fmt: skip
    assert len(net) == 1
    assert net[0].get("clip-path") == "url(#year-nodata-cells)"
    nothing = heat_map(series([np.nan] * 200), quantity("vm_pu_lowest", LIMITS))
    assert nothing.table[1][3:6] == (None, None, None)


@pytest.mark.parametrize("column", QUANTITIES)
def test_every_quantity_can_be_drawn_and_is_deterministic(voltage, column):
    shown = quantity(column, LIMITS)
    one = heat_map(voltage, shown, standalone=True)
    assert one == heat_map(voltage, shown, standalone=True)
    assert one.title.startswith(f"{QUANTITIES[column].name}, {QUANTITIES[column].unit}")
    axis = {text.text for text in read(one).root.iter(f"{SVG}text")}
    assert {"Jan 2016", "Feb", "Dec", "00:00", "12:00", "24:00"} <= axis


def test_a_week_of_hours_is_drawn_too():
    picture = heat_map(series(np.arange(168.0), step_s=3600), quantity("losses_kw", LIMITS))
    assert picture.table[1][1] == 168


@pytest.mark.parametrize(
    ("values", "step_s", "why"),
    [([1.0], 900, "two or more"), ([1.0, 2.0], 700, "does not divide a day")],
)
def test_what_is_no_calendar_is_refused(values, step_s, why):
    with pytest.raises(BadInputError, match=why):
        heat_map(series(values, step_s=step_s), quantity("losses_kw", LIMITS))


def test_an_unknown_zone_is_refused(voltage):
    with pytest.raises(BadInputError, match="is not an IANA time zone"):
        heat_map(voltage, quantity("losses_kw", LIMITS), time_zone="Mars/Olympus")


def test_hostile_titles_stay_text(voltage):
    picture = heat_map(
        voltage[:500], quantity("losses_kw", LIMITS, name="<script>x</script>"), subject='"><b>'
    )
    found = read(picture)
    assert "<script" not in picture.svg
    assert found.of("year-title").text == '<script>x</script>, kW: "><b>'
