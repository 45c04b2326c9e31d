"""NEM12 and NEM13: units, qualities, bounds, and each refused line by its number."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import interval
from grid.errors import BadInputError
from meters.formats.blocks import NOTHING, Block, quarters, whole
from meters.formats.nem import NemReader
from meters.formats.source import Refused, open_source
from meters.formats.spill import Spill
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality

DAY = interval.parse("2026-05-01T00:00+10:00")
HEAD = "100,NEM12,202605020000,MDP,RET\n"


def details(suffix: str = "E1", unit: str = "kWh", minutes: int = 30, beside: str = "") -> str:
    return f"200,6305000001,{beside or suffix},1,{suffix},N1,METER,{unit},{minutes},\n"


def day(value: str = "0.5", flag: str = "A", count: int = 48, date: str = "20260501") -> str:
    return f"300,{date}," + f"{value}," * count + f"{flag},,,20260502000000,\n"


def file(tmp_path: Path, *records: str, head: str = HEAD, end: str = "900\n") -> Path:
    path = tmp_path / "a.csv"
    path.write_text(head + "".join(records) + end)
    return path


def blocks(path: Path) -> tuple[list[Block], Refused]:
    with open_source(path) as source:
        refused = Refused(source.name, "nem12.refused")
        return list(NemReader(refused).read(source.lines())), refused


def registers(path: Path) -> dict[str, list[int]]:
    with open_source(path) as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused) as spill:
            list(spill.take(NemReader(refused).read(source.lines())))
            found = spill.dataset("6305000001", "UP-001")
    assert refused.findings == []
    assert found is not None
    assert found["interval"].values[0] == np.datetime64(DAY, "s")
    return {name: found[name].values[0].tolist() for name in (*CHANNELS, "quality", "flag")}


@pytest.mark.parametrize(
    ("suffix", "register"), list(zip(("E1", "B1", "Q1", "K1"), CHANNELS, strict=True))
)
@pytest.mark.parametrize(
    ("unit", "value", "each"),
    [("{}h", "250", 250), ("k{}h", ".25", 250), ("M{}h", "0.00025", 250), ("K{}H", "1.", 1000)],
)
def test_a_suffix_says_which_register_and_a_unit_how_much(
    tmp_path: Path, suffix: str, register: str, unit: str, value: str, each: int
) -> None:
    kind = "var" if suffix[0] in "QK" else "W"
    path = file(tmp_path, details(suffix, unit.format(kind), 15), day(value, count=96))
    found = registers(path)
    assert found[register] == [each] * 96
    for other in set(CHANNELS) - {register}:
        assert set(found[other]) == {MISSING}


@pytest.mark.parametrize(
    ("suffix", "unit"), [("V1", "V"), ("E1", "kW"), ("Q1", "kWh"), ("D1", "kWh")]
)
def test_other_channels_are_read_and_add_to_no_register(
    tmp_path: Path, suffix: str, unit: str
) -> None:
    with open_source(file(tmp_path, details(suffix, unit), day())) as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused) as spill:
            list(spill.take(NemReader(refused).read(source.lines())))
            assert spill.dataset("6305000001", "UP-001") is None
            (finding,) = spill.findings()
    assert refused.count == 0
    assert f"6305000001 {suffix}: {unit} adds to no register" in finding.message


def test_five_minutes_add_up_and_half_hours_are_shared(tmp_path: Path) -> None:
    five = registers(file(tmp_path, details(minutes=5), day("0.0005", count=288)))
    assert sum(five["import_wh"]) == 144
    assert set(five["import_wh"]) == {1, 2}
    assert set(five["quality"]) == {Quality.VALID}
    half = registers(file(tmp_path, details(minutes=30), day("0.001")))
    assert half["import_wh"] == [1, 0] * 48
    assert set(half["quality"]) == {Quality.SCALED}


def test_a_day_of_fractions_is_exact_in_its_sum(tmp_path: Path) -> None:
    found = registers(file(tmp_path, details(minutes=15), day("0.0333", count=96)))
    assert sum(found["import_wh"]) == round(33.3 * 96)
    assert set(found["import_wh"]) == {33, 34}
    with open_source(tmp_path / "a.csv") as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused) as spill:
            list(spill.take(NemReader(refused).read(source.lines())))
            (finding,) = spill.findings()
    assert "E1: 1 runs hold fractions of a Wh" in finding.message


@given(
    st.lists(st.one_of(st.just(NOTHING), st.integers(0, 10**15)), min_size=1, max_size=288),
    st.sampled_from([(1, 1), (1, 1000), (1, 10**6), (1000, 1)]),
)
@settings(max_examples=200, deadline=None)
def test_whole_wh_are_never_off_by_more_than_one_and_exact_in_sum(
    raw: list[int], scale: tuple[int, int]
) -> None:
    up, down = scale
    if len(raw) * max(raw) * up >= 2**62:
        return
    values, _ = whole(np.array(raw, np.int64), up, down)
    told = [(r, v) for r, v in zip(raw, values.tolist(), strict=True) if r != NOTHING]
    assert all((v == MISSING) == (r == NOTHING) for r, v in zip(raw, values.tolist(), strict=True))
    assert all(abs(v * down - r * up) <= down and v >= 0 for r, v in told)
    assert abs(sum(v for _, v in told) * down - sum(r for r, _ in told) * up) * 2 <= down


@given(
    st.lists(st.one_of(st.just(NOTHING), st.integers(0, 10**12)), min_size=1, max_size=50),
    st.sampled_from([300, 450, 900, 1800, 3600]),
    st.integers(0, 11),
)
@settings(max_examples=200, deadline=None)
def test_quarter_hours_keep_the_sum_of_what_is_whole(
    raw: list[int], interval_s: int, shift: int
) -> None:
    start_s = DAY + shift * min(interval_s, 900)
    quality = np.where(np.array(raw) == NOTHING, Quality.MISSING, Quality.VALID).astype(np.uint16)
    block = Block(
        "A", "E1", "import_wh", "Wh", start_s, interval_s, np.array(raw, np.int64), 1, 1, quality,
        np.full(len(raw), b"A", "S3"), 1,
    )  # fmt: skip
    found = quarters(block, spread=False)
    assert found.start_s == start_s - start_s % 900
    assert not ((found.value == MISSING) ^ (found.quality == Quality.MISSING)).any()
    ends = {start_s + interval_s * at: value for at, value in enumerate(raw)}
    for at, value in enumerate(found.value.tolist()):
        if interval_s <= 900:
            low = found.start_s + 900 * at
            parts = [ends.get(low + step, NOTHING) for step in range(0, 900, interval_s)]
            assert value == (MISSING if NOTHING in parts else sum(parts))
    if interval_s >= 900:
        parts_of = found.value.reshape(-1, interval_s // 900)
        for value, parts in zip(raw, parts_of.tolist(), strict=True):
            assert sum(parts) == value if value != NOTHING else set(parts) == {MISSING}
            assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(
    ("flag", "quality"),
    [
        ("A", Quality.VALID),
        ("E54", Quality.ESTIMATED_LINEAR),
        ("S17", Quality.ESTIMATED_LINEAR),
        ("F14", Quality.ESTIMATED_LIKE_DAY),
        ("S11", Quality.ESTIMATED_LIKE_DAY),
        ("E", Quality.ESTIMATED_LIKE_DAY),
        ("N", Quality.MISSING),
    ],
)
def test_each_flag_has_its_quality_and_stays_beside(
    tmp_path: Path, flag: str, quality: Quality
) -> None:
    found = registers(file(tmp_path, details(minutes=15), day("0", flag, 96)))
    assert set(found["quality"]) == {quality}
    assert set(found["import_wh"]) == {MISSING if flag == "N" else 0}
    assert set(found["flag"]) == {b"" if flag == "N" else flag.encode()}


def test_events_refine_a_day_by_interval(tmp_path: Path) -> None:
    path = file(
        tmp_path, details(minutes=15), day("1", "V", 96), "400,1,90,A,,\n", "400,91,96,S14,4,\n"
    )
    found = registers(path)
    assert found["quality"] == [1] * 90 + [3] * 6
    assert found["flag"] == [b"A"] * 90 + [b"S14"] * 6


def test_on_the_day_one_channel_gives_way_to_another_nothing_is_lost(tmp_path: Path) -> None:
    first = (details("E1"), day("1", "V"), "400,1,24,A,,\n", "400,25,48,N,,\n")
    second = (details("E2", beside="B2E2"), day("2", "V"), "400,1,24,N,,\n", "400,25,48,A,,\n")
    found = registers(file(tmp_path, *first, *second))
    assert found["import_wh"] == [500] * 48 + [1000] * 48
    both = [part.replace(",B2E2,", ",E1E2,").replace(",E1,1,", ",E1E2,1,") for part in second]
    found = registers(file(tmp_path, *[one.replace(",E1,1,", ",E1E2,1,") for one in first], *both))
    assert set(found["import_wh"]) == {MISSING}


def test_market_time_has_no_summer(tmp_path: Path) -> None:
    summer = file(tmp_path, details(), day(date="20260101"), day(date="20260701"))
    starts = [interval.label(block.start_s) for block in blocks(summer)[0]]
    assert starts == ["2025-12-31T14:00Z", "2026-06-30T14:00Z"]


@pytest.mark.parametrize(
    ("records", "line", "reason"),
    [
        ((day(),), 2, "record '300' without a good 200 record before it"),
        ((details(), day(count=47)), 3, "IntervalValue48 'A'"),
        ((details(), day(count=20)), 3, "record 300 of 48 intervals has 27 fields, must have 51"),
        ((details(), day(count=96)), 3, "has more than 55 fields"),
        ((details(), day("-1")), 3, "IntervalValue1 '-1': must be a decimal"),
        ((details(), day("1e3")), 3, "IntervalValue1 '1e3'"),
        ((details(), day("nan")), 3, "IntervalValue1 'nan'"),
        ((details(), day("0.1234567")), 3, "IntervalValue1 '0.1234567'"),
        ((details(), day("1234567890")), 3, "IntervalValue1 '1234567890'"),
        ((details(), day("")), 3, "IntervalValue1 '': empty, its quality is A"),
        ((details(), day(date="20260230")), 3, "IntervalDate '20260230': must be a day"),
        ((details(), day(date="2026051")), 3, "IntervalDate '2026051'"),
        ((details(), day(flag="X")), 3, "QualityMethod 'X'"),
        ((details(), day(flag="S1")), 3, "QualityMethod 'S1'"),
        ((details(), day(flag="V")), 3, "QualityMethod 'V': no 400 record tells of interval 1"),
        ((details(), day(flag="V"), "400,1,47,A,,\n"), 3, "no 400 record tells of interval 48"),
        ((details(), day(flag="V"), "400,1,49,A,,\n"), 4, "'1' to '49': must be within 1 to 48"),
        ((details(), day(flag="V"), "400,9,8,A,,\n"), 4, "intervals '9' to '8'"),
        ((details(), day(flag="V"), "400,1,48,V,,\n"), 4, "QualityMethod 'V': must be A, N, or"),
        ((details(), day(flag="V"), "400,1,48,A,,\n", "400,8,9,S14,,\n"), 5, "a 400 record before"),
        ((details(), day(), "400,1,2,A,abcd,\n"), 4, "ReasonCode 'abcd'"),
        ((details(), "400,1,2,A,,\n"), 3, "record '400' without a good 300 record before it"),
        ((details(minutes=7),), 2, "IntervalLength '7': must be 5, 15 or 30 minutes"),
        ((details("V1", "V", 7),), 2, "IntervalLength '7': must be a whole part of an hour"),
        ((details("E"),), 2, "NMISuffix 'E'"),
        ((details(), "301,20260501\n"), 3, "RecordIndicator '301': no record of NEM12"),
        ((details(), "900\n", day()), 4, "record '300' after the 900 of line 3"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_field_value_and_limit(
    tmp_path: Path, records: tuple[str, ...], line: int, reason: str
) -> None:
    _, refused = blocks(file(tmp_path, *records))
    assert refused.findings[0].message.startswith(f"a.csv line {line}: ")
    assert reason in refused.findings[0].message


def test_a_refused_day_takes_its_events_with_it_and_no_other_day(tmp_path: Path) -> None:
    path = file(
        tmp_path, details(), day("1", "A"), day("x", "V", date="20260502"), "400,1,48,S14,,\n",
        day("2", "A", date="20260503"),
    )  # fmt: skip
    found, refused = blocks(path)
    assert [set(block.flag.tolist()) for block in found] == [{b"A"}, {b"A"}]
    assert [block.line for block in found] == [3, 6]
    assert refused.count == 1


@pytest.mark.parametrize("head", ["", "\n", "100,NEM14,202605020000,A,B\n", "100,NEM12,x,A,B\n"])
def test_a_file_without_its_header_is_refused(tmp_path: Path, head: str) -> None:
    _, refused = blocks(file(tmp_path, details(), day(), head=head))
    assert "a.csv line 1: " in refused.findings[0].message


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    _, refused = blocks(file(tmp_path, details(), day(), end=""))
    assert refused.findings[-1].message == "a.csv line 3: ends without a 900 record: cut short"


def test_a_correction_of_accumulated_reads_is_read_and_cannot_be_taken(tmp_path: Path) -> None:
    record = "250,6305000001,11,1,11,11,M,E,100,20260301,A,,,90,20260401,E62,,,-10,kWh,,20260401,\n"
    path = file(tmp_path, record, "550,N,,A,\n", head=HEAD.replace("NEM12", "NEM13"))
    with open_source(path) as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused, spread=True) as spill:
            (block,) = spill.take(NemReader(refused).read(source.lines()))
    assert (block.raw.tolist(), block.flag.tolist()) == ([-10_000_000], [b"E62"])
    assert "a.csv line 2: 6305000001 11 2026-02-28T14:00Z: -10000 Wh is negative" in (
        refused.findings[0].message
    )


def test_a_read_of_a_hundred_years_is_refused_at_once(tmp_path: Path) -> None:
    # One bit turns the year 2026 into 2126.
    record = "250,6305000001,11,1,11,11,M,E,1,{},A,,,2,{},A,,,1,kWh,,20260502,\n"
    rows = [record.format(*dates) for dates in (("20260401", "21260501"), ("20240401", "20260401"))]
    path = file(tmp_path, *rows, head=HEAD.replace("NEM12", "NEM13"))
    with open_source(path) as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused, spread=True) as spill:
            began = time.process_time()
            list(spill.take(NemReader(refused).read(source.lines())))
            spent_s = time.process_time() - began
    (finding,) = refused.findings
    assert finding.message.endswith("3158265600 s must be at most 63244800 s to be spread")
    assert finding.message.startswith("a.csv line 2: ")
    assert spent_s < 0.05


def test_an_archive_is_read_as_the_file_in_it(tmp_path: Path) -> None:
    path = file(tmp_path, details(), day())
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "inner.csv")
    assert blocks(packed)[0][0].raw.tolist() == blocks(path)[0][0].raw.tolist()
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("second.csv", "x")
    with pytest.raises(BadInputError, match="must hold one file, not 2"):
        blocks(packed)


def test_an_archive_whose_file_has_no_name_is_read(tmp_path: Path) -> None:
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), b"time,in\n")
    content = bytearray(packed.read_bytes())
    # A name that begins with a null byte is cut there, to nothing.
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        at = content.index(mark) + (30 if mark.endswith(b"\x04") else 46)
        assert content[at : at + 1] == b"x"
        content[at] = 0
    packed.write_bytes(content)
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [""]
    _, refused = blocks(packed)
    assert "a.zip line 1: " in refused.findings[0].message


def test_an_archive_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), b"time,in\n")
    content = bytearray(packed.read_bytes())
    content[7] |= 8  # the name beside the content is in UTF-8,
    content[30] = 0xFF  # which it is not
    packed.write_bytes(content)
    with pytest.raises(BadInputError, match="the archive is broken"):
        blocks(packed)


def test_an_archive_that_swells_is_refused_without_filling_the_memory(tmp_path: Path) -> None:
    packed = tmp_path / "bomb.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", HEAD + ("0" * 60_000 + "\n") * 3_000)
    tracemalloc.start()
    with pytest.raises(BadInputError, match="times the packed size"):
        blocks(packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_file_of_nothing_or_of_noise_ends_early(tmp_path: Path) -> None:
    for noise, reason in (("\n", "more than 100000 empty lines"), ("x\n", "and 100000 more")):
        with pytest.raises(BadInputError, match=reason):
            blocks(file(tmp_path, noise * 1_000_000))


def test_a_broken_or_locked_archive_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", HEAD + details() + day() + "900\n")
    content = packed.read_bytes()
    for at in range(len(content)):
        packed.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            blocks(packed)
        except BadInputError as error:
            assert str(error)  # noqa: PT017  what else is raised is what this looks for


def test_an_endless_line_is_refused_without_filling_the_memory(tmp_path: Path) -> None:
    path = file(tmp_path, "x" * 5_000_000)
    with pytest.raises(BadInputError, match="line 2: longer than 65536 bytes"):
        blocks(path)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 40))
@settings(max_examples=500, deadline=None)
def test_no_bytes_raise_anything_but_a_refusal(noise: bytes, at: int, cut: int) -> None:
    good = (HEAD + details() + day("1", "V") + "400,1,48,A,,\n900\n").encode()
    spoilt = good[:at] + noise + good[at + cut :]
    lines = enumerate(spoilt.split(b"\n"), 1)
    refused = Refused("a.csv", "nem12.refused")
    with Spill(refused) as spill:
        list(spill.take(NemReader(refused).read(lines)))
        for point in spill.points:
            spill.dataset(point, "UP-001")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    days = "".join(
        day("0.123", count=288, date=f"2025{m:02d}{d:02d}")
        for m in range(1, 13)
        for d in range(1, 29)
    )
    texts = [details(minutes=5).replace("6305000001", f"63050{n:05d}") + days for n in range(6)]
    path = file(tmp_path, *texts)
    assert path.stat().st_size > 3_000_000
    tracemalloc.start()
    with open_source(path) as source:
        refused = Refused(source.name, "nem12.refused")
        with Spill(refused) as spill:
            count = sum(
                len(block.raw) for block in spill.take(NemReader(refused).read(source.lines()))
            )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 6 * 336 * 288
    assert peak < 1_500_000
