"""CSV by a column map: other words, other numbers, and days of 92, 96 and 100 quarter-hours."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import interval
from grid.errors import BadInputError
from meters.formats import columns
from meters.formats.column_map import ColumnMap, load_map, parse_map
from meters.formats.source import Refused, open_source
from meters.formats.spill import Spill
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality

BERLIN = "Europe/Berlin"
START = interval.parse("2026-05-01T00:00Z")


def a_map(**changes: Any) -> ColumnMap:
    given_: dict[str, Any] = {
        "time": {"column": "time"},
        "usage_point": {"column": "point"},
        "import_wh": {"column": "in", "unit": "Wh"},
    }
    return parse_map({**given_, **changes})


def taken(
    tmp_path: Path, text: str, column_map: ColumnMap
) -> tuple[dict[str, dict[str, list[int]]], Refused]:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with open_source(path) as source:
        refused = Refused(source.name, "csv.refused")
        with Spill(refused) as spill:
            list(spill.take(columns.read(source, refused, column_map)))
            found = {}
            for point in spill.points:
                one = spill.dataset(point, point)
                assert one is not None
                names = (*CHANNELS, "quality")
                found[point] = {name: one[name].values[0].tolist() for name in names}
                seconds = one["interval"].values.astype("datetime64[s]").astype(int)
                found[point]["start"] = seconds.tolist()
    return found, refused


def test_the_map_of_the_documentation_is_read(tmp_path: Path) -> None:
    from meters.formats import column_map

    toml = (column_map.__doc__ or "").split("::\n")[1].replace("\n    ", "\n")
    path = tmp_path / "map.toml"
    path.write_text(toml, encoding="utf-8")
    text = (
        "Zeitstempel;Zähler;Bezug;Status\n"
        "01.05.2026 02:00;DE0001;0,125;W\n"
        "01.05.2026 02:15;DE0001;1;E\n"
    )
    found, refused = taken(tmp_path, text, load_map(path))
    assert refused.findings == []
    assert load_map(path).points == {"DE0001": "UP-001"}
    assert found["DE0001"]["import_wh"] == [125, 1000]
    assert found["DE0001"]["quality"] == [Quality.VALID, Quality.ESTIMATED_LINEAR]
    assert found["DE0001"]["start"] == [START, START + 900]


@pytest.mark.parametrize(
    ("day", "count"), [("2026-03-29", 92), ("2026-05-01", 96), ("2026-10-25", 100)]
)
@pytest.mark.parametrize("stamps", ["start", "end"])
def test_a_local_day_has_all_its_quarter_hours(
    tmp_path: Path, day: str, count: int, stamps: str
) -> None:
    low, high = interval.day_bounds(interval.parse_date(day), BERLIN)
    shift = 900 if stamps == "end" else 0
    lines = ["time,point,in"]
    for number, at_s in enumerate(range(low, high, 900)):
        local = dt.datetime.fromtimestamp(at_s + shift, ZoneInfo(BERLIN))
        lines.append(f"{local:%d/%m/%Y %H:%M},A,{number}")
    time = {"column": "time", "format": "%d/%m/%Y %H:%M", "zone": BERLIN, "stamps": stamps}
    found, refused = taken(tmp_path, "\n".join(lines), a_map(time=time))
    assert refused.findings == []
    assert found["A"]["import_wh"] == list(range(count))
    assert found["A"]["start"] == list(range(low, high, 900))


def test_an_hour_that_stands_twice_is_refused_by_line_when_order_does_not_count(
    tmp_path: Path,
) -> None:
    time = {"column": "time", "zone": BERLIN, "ambiguous": "refuse"}
    text = "time,point,in\n2026-10-25T01:45,A,1\n2026-10-25T02:00,A,1\n2026-10-25T03:00,A,1\n"
    found, refused = taken(tmp_path, text, a_map(time=time))
    (finding,) = refused.findings
    assert finding.message == (
        "a.csv line 3: time '2026-10-25T02:00': stands twice in Europe/Berlin: the clock went back"
    )
    assert found["A"]["import_wh"] == [1, *[MISSING] * 8, 1]


def test_lines_of_several_usage_points_may_alternate(tmp_path: Path) -> None:
    text = "time,point,in\n" + "".join(
        f"{interval.label(START + 900 * at)},{point},{at}\n" for at in range(200) for point in "BA"
    )
    found, refused = taken(tmp_path, text, a_map())
    assert refused.count == 0
    assert {point: one["import_wh"] for point, one in found.items()} == {
        point: list(range(200)) for point in "AB"
    }


def test_a_register_counts_by_its_differences_and_a_gap_stays_a_gap(tmp_path: Path) -> None:
    rises = {"column": "in", "unit": "kWh", "counts": "register"}
    text = "time,point,in\n" + "".join(
        f"{interval.label(START + 900 * at)},A,{total}\n"
        for at, total in [(0, "100.5"), (1, "100.75"), (2, "102"), (4, "103"), (5, "103.001")]
    )
    found, refused = taken(tmp_path, text, a_map(import_wh=rises))
    assert refused.count == 0
    at = dict(zip(found["A"]["start"], found["A"]["import_wh"], strict=True))
    assert {key - START: value for key, value in at.items() if value != MISSING} == {
        0: 250, 900: 1250, 3600: 1,
    }  # fmt: skip


def test_all_four_registers_and_an_empty_cell(tmp_path: Path) -> None:
    units = dict(zip(CHANNELS, ("Wh", "kWh", "varh", "kvarh"), strict=True))
    more = {name: {"column": name, "unit": unit} for name, unit in units.items()}
    text = f"time;{';'.join(CHANNELS)}\n2026-05-01T00:00Z;1;2,5;;0,001\n"
    column_map = a_map(
        separator=";", decimal=",", usage_point={"value": "UP-001"}, **more
    )  # fmt: skip
    found, refused = taken(tmp_path, text, column_map)
    assert refused.count == 0
    assert [found["UP-001"][name] for name in CHANNELS] == [[1], [2500], [MISSING], [1]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-05-01T00:15Z,A", "has 2 fields, must have 3"),
        ("2026-05-01T00:15Z,A,-1", "in '-1': must be a decimal with '.'"),
        ("2026-05-01T00:15Z,A,1,5", ""),
        ("2026-05-01T00:15Z,A,1e3", "in '1e3'"),
        ("2026-05-01T00:15Z,A,٣", "in '٣'"),
        ("2026-05-01T00:10Z,A,1", "not on a multiple of 900 s"),
        ("2026-05-01T25:00Z,A,1", "time '2026-05-01T25:00Z'"),
        ("0999-05-01T00:15,A,1", "must be of the years 1980 to 2199"),
        ("2026-05-01T00:15Z,A b,1", "usage point 'A b': must be 1 to 64"),
        ("2026-05-01T00:15Z,,1", "usage point ''"),
        ('2026-05-01T00:15Z,"A,1', "is no line of CSV"),
        ("2026-03-29T02:00,A,1", "does not exist in Europe/Berlin"),
        ("2026-05-01T00:00Z,A,9", "A import_wh 2026-05-01T00:00Z: 9 Wh, but 7 Wh in line 2"),
    ],
)
def test_a_bad_line_is_refused_by_number(tmp_path: Path, line: str, reason: str) -> None:
    time = {"column": "time", "zone": BERLIN}
    text = f"time,point,in\n2026-05-01T00:00Z,A,7\n{line}\n"
    _, refused = taken(tmp_path, text, a_map(time=time))
    if not reason:  # More fields than the header has are no harm.
        assert refused.findings == []
        return
    (finding,) = refused.findings
    assert finding.message.startswith("a.csv line 3: ")
    assert reason in finding.message


def test_a_register_that_falls_and_a_quality_that_is_not_mapped_are_refused(tmp_path: Path) -> None:
    column_map = a_map(
        import_wh={"column": "in", "unit": "Wh", "counts": "register"},
        quality={"column": "q", "values": {"W": "valid"}},
    )
    text = "time,point,in,q\n" + "".join(
        f"{interval.label(START + 900 * at)},A,{row}\n"
        for at, row in enumerate(("9,W", "8,W", "10,X"))
    )
    _, refused = taken(tmp_path, text, column_map)
    assert [one.message for one in refused.findings] == [
        "a.csv line 3: in fell from 9 to 8: a register rises",
        "a.csv line 4: quality 'X': must be one of 'W'",
    ]


def test_a_column_that_is_not_there_refuses_the_file(tmp_path: Path) -> None:
    for header in ("time,point", "time,point,in,in", ""):
        with pytest.raises(BadInputError, match=r"a\.csv line 1: column 'in' must stand|'point'"):
            taken(tmp_path, f"{header}\n", a_map())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"separater": ";"}, "key 'separater' is unknown"),
        ({"time": {"column": "t", "zome": "UTC"}}, "key time.zome is unknown"),
        ({"time": {}}, "key time.column is needed"),
        ({"time": {"column": "t", "zone": "Europe/Baku"}}, "not an IANA time zone"),
        ({"time": {"column": "t", "stamps": "middle"}}, "time.stamps 'middle' must be one of"),
        ({"usage_point": {}}, "usage_point needs one of column and value"),
        ({"import_wh": {"column": "in", "unit": "varh"}}, "'varh' does not measure import_wh"),
        ({"import_wh": {"column": "in", "unit": "J"}}, "'J' does not measure import_wh"),
        ({"separator": "::"}, "separator '::' must be one of"),
        ({"interval_minutes": 7}, "interval_minutes 7 must be a whole part of an hour"),
        ({"quality": {"column": "q", "values": {"A": "good"}}}, "quality 'good' must be one of"),
        ({"points": "x"}, "points must be tables"),
        ({"skip_lines": -1}, "skip_lines -1 must be within"),
        ({"decimal": 5}, "decimal 5 must be one of"),
    ],
)
def test_a_map_that_is_wrong_is_refused_by_key(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInputError, match=r"is|must|needs|does") as caught:
        a_map(**changes)
    assert reason in str(caught.value)


@given(st.text(max_size=200), st.integers(0, 80))
@settings(max_examples=120, deadline=None)
def test_no_text_raises_anything_but_a_refusal(noise: str, at: int) -> None:
    good = "time,point,in\n2026-05-01T00:00Z,A,7\n2026-05-01T00:15Z,A,8\n"
    spoilt = (good[:at] + noise + good[at:]).encode("utf-8", "surrogatepass")

    class Lines:
        name = "a.csv"

        def lines(self) -> Any:
            return iter(enumerate(spoilt.split(b"\n"), 1))

    refused = Refused("a.csv", "csv.refused")
    with Spill(refused) as spill:
        try:
            list(spill.take(columns.read(Lines(), refused, a_map())))  # type: ignore[arg-type]
        except BadInputError:
            return
        for point in spill.points:
            spill.dataset(point, "UP-001")
