"""Histories as CSV: exact, whole, and refused by line number."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from meters.formats import read_history, write_history
from meters.reading import CHANNELS, MISSING

HEADER = "usage_point,interval_start,import_wh,export_wh,import_varh,export_varh,quality\n"
GOOD = "UP-01,2026-05-01T00:00Z,120,0,14,0,1\n"


def history(points=3, count=8):
    rng = np.random.default_rng(4)
    dims = ("usage_point", "interval")
    shape = (points, count)
    values = {name: (dims, rng.integers(-1, 4000, shape)) for name in CHANNELS}
    starts = (1_777_593_600 + 900 * np.arange(count)).astype("datetime64[s]")
    return xr.Dataset(
        {**values, "quality": (dims, rng.integers(0, 8, shape).astype(np.uint16))},
        coords={"usage_point": [f"UP-{row:03d}" for row in range(points)], "interval": starts},
    )


def written(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_bytes(text.encode())
    return path


def test_what_is_written_is_read_back_exactly(tmp_path):
    path = tmp_path / "history.csv"
    write_history(history(), path)
    result, refused = read_history(path)
    assert result.equals(history())
    assert refused == []
    assert result["import_wh"].dtype == np.int64
    assert result["quality"].dtype == np.uint16
    assert [item.name for item in tmp_path.iterdir()] == ["history.csv"]


def test_the_file_is_what_the_documentation_shows(tmp_path):
    path = tmp_path / "history.csv"
    one = history(1, 1)
    for name, value in zip((*CHANNELS, "quality"), (120, 0, -1, 0, 1), strict=True):
        one[name].values[:] = value
    write_history(one, path)
    assert path.read_text() == HEADER + "UP-000,2026-05-01T00:00Z,120,0,,0,1\n"


def test_absent_lines_are_missing_and_intervals_stay_contiguous(tmp_path):
    text = HEADER + "B,2026-05-01T00:30Z,5,0,0,0,1\n" + "A,2026-05-01T00:00Z,7,,,0,2\n"
    result, refused = read_history(written(tmp_path, text))
    assert refused == []
    assert result["usage_point"].values.tolist() == ["A", "B"]
    assert result["import_wh"].values.tolist() == [[7, -1, -1], [-1, -1, 5]]
    assert result["export_wh"].values[0, 0] == MISSING
    assert result["quality"].values.tolist() == [[2, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("UP-01,2026-05-01T00:15Z,120,0,14,0", "6 fields"),
        ("UP-01,2026-05-01T00:15Z,120,0,14,0,1,9", "8 fields"),
        ("UP 01,2026-05-01T00:15Z,120,0,14,0,1", "not an identifier"),
        ("UP-01,2026-05-01T00:15,120,0,14,0,1", "no time zone"),
        ("UP-01,yesterday,120,0,14,0,1", "not an ISO 8601"),
        ("UP-01,2026-05-01T00:10Z,120,0,14,0,1", "multiple of 900 s"),
        ("UP-01,2026-05-01T00:15Z,-120,0,14,0,1", "import_wh '-120'"),
        ("UP-01,2026-05-01T00:15Z,12.5,0,14,0,1", "import_wh '12.5'"),
        ("UP-01,2026-05-01T00:15Z,1e3,0,14,0,1", "import_wh '1e3'"),
        ("UP-01,2026-05-01T00:15Z,120,0,nan,0,1", "import_varh 'nan'"),
        ("UP-01,2026-05-01T00:15Z,120,٣,0,0,1", "export_wh"),
        ("UP-01,2026-05-01T00:15Z,120,0,14,0,99", "quality '99'"),
        ("UP-01,2026-05-01T00:15Z,120,0,14,0,", "quality ''"),
        ('"UP-01",2026-05-01T00:15Z,120,0,14,0,1', "not an identifier"),
        ("UP-01,2026-05-01T00:00Z,120,0,14,0,1", "as line 2"),
        ("UP-01,2026-05-01T04:00+04:00,120,0,14,0,1", "as line 2"),
    ],
)
def test_a_bad_line_is_refused_by_number_and_nothing_is_half_imported(tmp_path, line, reason):
    path = written(tmp_path, HEADER + GOOD + "\n" + line + "\n")
    result, refused = read_history(path)
    assert result.sizes == {"usage_point": 0, "interval": 0}
    (finding,) = refused
    assert finding.code == "history.refused"
    assert finding.message.startswith("history.csv line 4: ")
    assert reason in finding.message
    partial, same = read_history(path, accept_partial=True)
    assert same == refused
    assert partial["import_wh"].values.tolist() == [[120]]


def test_each_line_of_a_run_of_duplicates_names_the_first(tmp_path):
    _, refused = read_history(written(tmp_path, HEADER + GOOD * 3))
    assert [item.message.split(": ")[0] for item in refused] == [
        "history.csv line 3",
        "history.csv line 4",
    ]
    assert all("as line 2" in item.message for item in refused)


def test_a_file_without_lines_is_an_empty_history(tmp_path):
    result, refused = read_history(written(tmp_path, HEADER))
    assert result.sizes == {"usage_point": 0, "interval": 0}
    assert refused == []


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    path = written(tmp_path, "\ufeff" + (HEADER + GOOD).replace("\n", "\r\n"))
    result, refused = read_history(path)
    assert refused == []
    assert result["import_wh"].values.tolist() == [[120]]


@pytest.mark.parametrize("text", ["", "usage_point,import_wh\n", GOOD])
def test_another_header_is_refused(tmp_path, text):
    with pytest.raises(BadInputError, match="header"):
        read_history(written(tmp_path, text))


def test_an_address_is_no_file_and_two_far_instants_do_not_fill_the_memory(tmp_path):
    with pytest.raises(BadInputError):
        read_history("https://example.invalid/history.csv")
    far = [f"UP-{row},{year}-01-01T00:00Z,1,0,0,0,1\n" for row in range(90) for year in (1, 2999)]
    with pytest.raises(BadInputError, match="more than"):
        read_history(written(tmp_path, HEADER + "".join(far).replace(",1-", ",1980-")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "UP-01,2026-04-30T23:45Z,120,0,14,0,1",
            "must be from 2026-05-01T00:00Z to before 2026-05",
        ),
        ("UP-01,2026-05-02T00:00Z,120,0,14,0,1", "to before 2026-05-02T00:00Z"),
        ("UP-01,2026-05-01T00:15Z,121,0,14,0,1", "import_wh 121 Wh must be at most 120 Wh"),
        ("UP-01,2026-05-01T00:15Z,0,0,0,121,1", "export_varh 121 varh must be at most 120 varh"),
        ("UP-02,2026-05-01T00:15Z,120,0,14,0,1", "usage_point 'UP-02' is not of the site"),
    ],
)
def test_what_cannot_have_been_is_refused_by_line_value_and_limit(tmp_path, line, reason):
    path = written(tmp_path, HEADER + GOOD + line + "\n")
    limits = {"within_s": (1_777_593_600, 1_777_680_000), "most_wh": {"UP-01": 120}}
    result, refused = read_history(path, **limits)
    assert result.sizes == {"usage_point": 0, "interval": 0}
    (finding,) = refused
    assert finding.message.startswith("history.csv line 3: ")
    assert reason in finding.message
    kept, _ = read_history(path, accept_partial=True, **limits)
    assert kept["import_wh"].values.tolist() == [[120]]


def test_two_lines_from_either_end_of_the_calendar_take_no_memory(tmp_path):
    path = written(tmp_path, HEADER + GOOD + GOOD.replace("2026", "2852"))
    tracemalloc.start()
    read_history(path, within_s=(1_777_593_600, 1_777_680_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
