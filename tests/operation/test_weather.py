"""A site's weather file: kept by issue, known in its time, told of when it fails."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dispatch.forecast import physical
from grid import interval
from grid.console.cli import main
from grid.errors import BadInputError
from grid.operation import commission, forecasting, history, weather
from grid.operation.check import check
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.room import Room
from grid.site import Location, Site
from grid.store import Store, control, datasets

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
FIRST_S = START_S - 86_400
HERE = Location(47.0, 48.0)
FILE = "weather.csv"
DAYS = 16


def _text() -> str:
    """Return the demo's site with a place, modules that lie south, and a file of weather."""
    lies = r"\1tilt_degree = 25\nazimuth_degree = 180.0\n"
    text = re.sub(r"(\[\[solar\]\]\n)", lies, demo_site())
    text = text.replace("history_days = 28", f"history_days = {DAYS}")
    return (
        f"{text}\n[location]\nlatitude_degree = {HERE.latitude_degree}\n"
        f'longitude_degree = {HERE.longitude_degree}\n\n[forecast]\nweather = "{FILE}"\n'
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("weather") / "site"
    directory.mkdir()
    site = check(_text(), base_dir=directory)
    path = history.write_demo_history(directory, site, START_S)
    past = history.read(site, path, START_S)
    commission.commission(directory, _text(), at_s=START_S, seed=1, history=past)
    (directory / FILE).write_bytes(_foretold(directory))
    return directory


def _site(store: Store) -> Site:
    from grid.site_file import parse

    with store.read() as tx:
        return parse(control.get_meta(tx, "site_toml") or "")


def _foretold(directory: Path) -> bytes:
    """Return forecasts of two days, each twelve hours, by what the plants then gave."""
    store = Store.at(directory)
    room = Room(directory, _site(store), store, None, FIRST_S)
    begin_s = START_S - DAYS * 86_400
    with store.read() as tx:
        power = forecasting.gross(room, tx, begin_s, START_S)
    store.close()
    sun = power["power_kw"].values[power["group"].values == "solar"].sum(axis=0)
    share = sun / sun.reshape(-1, 96).max(axis=0)[np.arange(sun.size) % 96].clip(1e-9)
    at_s = begin_s + 3600 * np.arange(sun.size // 4)
    middle = physical.sun(HERE, at_s + 1800)
    ghi = physical.clear_ghi(middle) * share.reshape(-1, 4).mean(axis=1)
    lines = ["issued_at,time,ghi_w_per_m2,temperature_celsius"]
    for issue in range(0, at_s.size, 12):
        lines += [
            f"{interval.label(at_s[issue])},{interval.label(at_s[hour])},{ghi[hour]:.1f},15"
            for hour in range(issue, min(issue + 48, at_s.size))
        ]
    return "\n".join(lines).encode()


@pytest.fixture
def room(made: Path, tmp_path: Path) -> Room:
    """The site as it was commissioned, in a folder of its own, with nothing of weather kept."""
    for name in (FILE, "khazri.sqlite3"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    store = Store.at(tmp_path)
    return Room(tmp_path, _site(store), store, None, FIRST_S)


def _forecast(room: Room, at_s: int) -> xr.Dataset:
    forecasting.forecast(room, at_s)
    with room.store.read() as tx:
        return datasets.require_dataset(tx, "forecast", at_s)


def _again(room: Room, at_s: int, *, killed: bool = False) -> xr.Dataset:
    """Return a forecast that had not been committed, by the same control room or another."""
    if killed:
        room.memory.clear()
    with room.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM dataset WHERE kind = 'forecast'")
        tx.exec_driver_sql("DELETE FROM stage WHERE stage = 'forecast'")
    return _forecast(room, at_s)


def _found(room: Room) -> list[tuple[str, str, str]]:
    with room.store.read() as tx:
        rows = control.findings(tx)
    return [
        (row["code"], row["label"], row["message"])
        for row in rows
        if row["code"].startswith(weather.CODE)
    ]


def test_a_forecast_by_weather_says_so_and_follows_from_the_store_alone(room: Room) -> None:
    at_s = FIRST_S + 6 * 3600
    first = _forecast(room, at_s)
    assert f"by the weather issued {interval.label(FIRST_S)}" in first.attrs["method"]
    with room.store.read() as tx:
        assert len(datasets.instants(tx, weather.KIND, 0, START_S)) == 2 * DAYS
    # The file tells another sun by then: issues that are kept stay as they are.
    text = (room.directory / FILE).read_text()
    (room.directory / FILE).write_text(re.sub(r",[0-9.]+,15", ",900,15", text))
    assert _again(room, at_s).identical(first)
    (room.directory / FILE).unlink()
    assert _again(room, at_s, killed=True).identical(first)
    assert not _found(room)[1:]


def test_a_later_issue_is_known_from_its_time_on(room: Room) -> None:
    at_s = FIRST_S + 6 * 3600
    before = _forecast(room, at_s)
    with (room.directory / FILE).open("a") as file:
        for hour in range(48):
            then = interval.label(FIRST_S + 3600 * hour)
            file.write(f"\n{interval.label(at_s + 900)},{then},0,15")
    assert _again(room, at_s).identical(before)
    sun = [str(plant.id) for plant in room.site.solar]
    after = _forecast(room, at_s + 900)["mean_kw"].sel(series=sun)
    assert float(after.sum()) < 0.5 * float(before["mean_kw"].sel(series=sun).sum())


def test_without_weather_in_time_the_past_alone_is_followed_and_that_is_told_once(
    room: Room,
) -> None:
    site = replace(room.site, forecast=replace(room.site.forecast, weather=""))
    plain = Room(room.directory, site, room.store, None, FIRST_S)
    at_s = FIRST_S + 6 * 3600
    expected = _forecast(plain, at_s)
    (room.directory / FILE).rename(room.directory / "kept.csv")
    assert _again(room, at_s).identical(expected)
    assert "weather" not in expected.attrs["method"]
    told = _found(room)
    assert [code for code, _, _ in told] == ["forecast.weather.stale", "forecast.weather"]
    assert "weather.csv: No such file" in told[1][2]
    _forecast(room, at_s + 900)
    assert _found(room) == told
    # A day old is too old.
    (room.directory / "kept.csv").rename(room.directory / FILE)
    lines = (room.directory / FILE).read_text().splitlines()
    old = [line for line in lines[1:] if interval.parse(line.split(",")[0]) < at_s - 13 * 3600]
    (room.directory / FILE).write_text("\n".join([lines[0], *old]))
    assert "weather" not in _forecast(room, at_s + 1800).attrs["method"]
    (newest,) = [one for one in _found(room) if one not in told]
    assert newest[1] == interval.label(FIRST_S - 12 * 3600)
    assert "limit 12 h" in newest[2]


def test_a_wrong_file_is_told_with_its_line_and_what_was_kept_stays_in_use(room: Room) -> None:
    _forecast(room, FIRST_S)
    (room.directory / FILE).write_text("issued_at,time,ghi_w_per_m2\nnow,then,dark\n")
    later = _forecast(room, FIRST_S + 900)
    assert "by the weather issued" in later.attrs["method"]
    ((code, _, message),) = _found(room)
    assert code == "forecast.weather"
    assert "weather.csv:2: time: 'then' is not an ISO 8601 date-time" in message


def test_lines_without_an_issue_are_known_when_they_are_first_read(room: Room) -> None:
    lines = ["time,temperature_celsius,ghi_w_per_m2"]
    lines += [f"{interval.label(FIRST_S + 3600 * hour)},10,300" for hour in range(48)]
    (room.directory / FILE).write_text("\n".join(lines))
    weather.keep(room, FIRST_S + 900)
    with room.store.read() as tx:
        assert datasets.instants(tx, weather.KIND, 0, START_S) == [FIRST_S + 900]
        assert weather.outside(room, tx, FIRST_S, FIRST_S).weather is None


def test_skill_is_told_by_the_past_and_by_weather_side_by_side(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["dispatch", "skill", "--dir", str(made), "--days", "1", "--window", "14"]
    assert main([*asked, "--weather", str(made / FILE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line.split() for line in lines[-7:] if line.startswith("solar MAE"))
    assert float(row[-1]) != float(row[-2])
    assert main([*asked, "--weather", str(made / "a.csv")]) == 1
    assert capsys.readouterr().err == "khazri: a.csv: No such file or directory\n"
    assert main(["dispatch", "skill", "--weather", "a.csv"]) == 2
    assert "--weather needs --dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latitude_degree = 47.0", "latitude_degree = 147.0", "must be within -90.0 to 90.0"),
        ("[location]", "[locations]", "tilt_degree needs a table [location] for solar PV-01"),
        ("azimuth_degree = 180.0\n", "\n", "tilt_degree and azimuth_degree go together"),
        ("tilt_degree = 25\n", "tilt_degree = 95\n", "tilt_degree is 95.0, must be within 0.0"),
        (f'"{FILE}"', '"../weather.csv"', "must be within the site's folder"),
        ("[[wind]]\n", '[[wind]]\nturbine = "E-82/2300"\n', "turbine and hub_height_m go together"),
        (
            "[[wind]]\n",
            '[[wind]]\nhub_height_m = 30.0\nturbine = "Windy"\n',
            "turbine 'Windy' is none of windpowerlib's",
        ),
        (f'"{FILE}"', '"bad.csv"', "bad.csv:1: unknown column 'rain'"),
    ],
)
def test_what_a_site_cannot_say_of_weather_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    (tmp_path / "bad.csv").write_text("time,rain\n2026-06-01T00:00Z,1\n")
    wrong = _text().replace(old, new, 1)
    with pytest.raises(BadInputError) as caught:
        check(wrong, base_dir=tmp_path)
    (line,) = [one for one in str(caught.value).splitlines() if message in one][:1]
    at = int(line.split(":")[1])
    assert abs(at - (wrong[: wrong.index(new.strip() or "tilt_degree")].count("\n") + 1)) < 4 or (
        "tilt_degree" in wrong.splitlines()[at - 1]
    )
