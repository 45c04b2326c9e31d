"""The public NEM12 and NEM13 examples: reading by reading what their own reader says."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from meters.formats.blocks import NOTHING
from meters.formats.nem import NemReader
from meters.formats.nem_records import MARKET_OFFSET_S
from meters.formats.source import Refused, open_source
from meters.formats.spill import Spill
from meters.reading import MISSING

SPLIT_BY_A_LINE_END = "NEM12#Scenario10#ETSAMDP#NEMMCO.zip"
"""A valid example but for one 300 record that is broken over three lines.

The other reader leaves that record out and gives the qualities of its 400 records to the day
before; here they go with the record they refine.
"""

PEER = """
import calendar, json, sys
from nemreader import NEMFile
found = {}
for path in json.load(sys.stdin):
    channels = {}
    for nmi, suffixes in NEMFile(path, strict=True).nem_data().readings.items():
        for suffix, readings in suffixes.items():
            channels[nmi + " " + suffix.upper()] = [
                [calendar.timegm(one.t_start.timetuple()), calendar.timegm(one.t_end.timetuple()),
                 None if one.read_value is None else round(one.read_value * 10**6),
                 one.quality_method]
                for one in readings]
    found[path] = channels
json.dump(found, sys.stdout)
"""


def _examples(root: Path, *, valid: bool) -> list[Path]:
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in (".zip", ".csv") and (path.parent.name == "invalid") != valid
    )


def _ours(path: Path) -> tuple[dict[str, list[list[Any]]], Refused]:
    channels: dict[str, list[list[Any]]] = {}
    with open_source(path) as source:
        refused = Refused(source.name, "nem.refused")
        for block in NemReader(refused).read(source.lines()):
            rows = channels.setdefault(f"{block.point} {block.channel}", [])
            at_s = block.start_s + MARKET_OFFSET_S
            for raw, flag in zip(block.raw.tolist(), block.flag.tolist(), strict=True):
                value = None if raw == NOTHING else raw
                rows.append([at_s, at_s + block.interval_s, value, flag.decode()])
                at_s += block.interval_s
    return channels, refused


def _values(channels: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    return {name: [row[:3] for row in rows] for name, rows in channels.items()}


def test_every_reading_of_the_public_examples_is_read_as_by_another_reader(
    nem_examples: Path, peer: Any
) -> None:
    paths = _examples(nem_examples, valid=True)
    python = peer("nemreader-0.9.2", "nemreader==0.9.2")
    asked = json.dumps([str(path) for path in paths])
    done = subprocess.run(
        [str(python), "-c", PEER], input=asked, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    readings, total = 0, 0
    for path in paths:
        ours, refused = _ours(path)
        if path.name == SPLIT_BY_A_LINE_END:
            assert f"{path.name} line 27: record 300" in refused.findings[0].message
            assert _values(ours) == _values(theirs[str(path)])
        else:
            assert ours == theirs[str(path)], path.name
            assert not refused.findings
        readings += sum(len(rows) for rows in ours.values())
        total += sum(row[2] or 0 for rows in ours.values() for row in rows)
    flags = {row[3][0] for found in theirs.values() for rows in found.values() for row in rows}
    assert (len(paths), readings) == (169, 128_523)
    assert total > 0
    assert flags == set("AEFNS")


def test_the_registers_of_the_public_interval_examples_add_up_to_their_readings(
    nem_examples: Path,
) -> None:
    taken = 0
    for path in _examples(nem_examples, valid=True):
        exact: dict[tuple[str, str], Fraction] = {}
        with open_source(path) as source:
            refused = Refused(source.name, "nem.refused")
            reader = NemReader(refused)
            with Spill(refused) as spill:
                count = 0
                for block in spill.take(reader.read(source.lines())):
                    if reader.version == "NEM12" and block.register:
                        told = block.raw[(block.raw != NOTHING) & (block.flag != b"N")]
                        key = block.point, block.register
                        part = Fraction(int(told.sum()) * block.up, block.down)
                        exact[key] = exact.get(key, Fraction(0)) + part
                        count += 1
                for (point, register), total in exact.items():
                    found = spill.dataset(point, point)
                    assert found is not None
                    value = found[register].values
                    assert abs(int(value[value != MISSING].sum()) - total) * 2 <= count, path.name
                    taken += int(total)
    assert taken > 0


def test_every_invalid_example_is_refused_with_a_line(nem_examples: Path) -> None:
    paths = _examples(nem_examples, valid=False)
    assert len(paths) == 11
    for path in paths:
        _, refused = _ours(path)
        assert refused.findings, path.name
        assert f"{path.name} line " in refused.findings[0].message


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("NEM12_15min_200_30min_300.csv", 3, "record 300 of 96 intervals has 55 fields"),
        ("NEM12_15min_200_30min_400.csv", 3, "no 400 record tells of interval 49"),
        ("NEM12_30min_200_15min_300.csv", 3, "has more than 55 fields"),
        ("NEM12_30min_200_15min_400.csv", 3, "has more than 55 fields"),
        ("NEM12_empty.csv", 2, "without any 200 record"),
        ("NEM12_incomplete_interval.csv", 3, "has 7 fields, must have 51"),
        ("NEM12_missing_header.csv", 1, "begins with a 100 record"),
        ("NEM12_powercor.csv", 1, "begins with a 100 record"),
        ("NEM12_powercor_missing_fields.csv", 1, "begins with a 100 record"),
        ("empty_file.csv", 1, "cut short"),
    ],
)
def test_an_invalid_example_is_refused_for_what_is_wrong_with_it(
    nem_examples: Path, name: str, line: int, reason: str
) -> None:
    path = nem_examples / "invalid" / f"Example_{name}"
    first = _ours(path)[1].findings[0].message
    assert first.startswith(f"{path.name} line {line}: ")
    assert reason in first
