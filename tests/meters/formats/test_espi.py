"""Green Button feeds: what is written is read back equal, and hostile XML is refused at once."""

from __future__ import annotations

import json
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from meters.formats import espi
from meters.formats.blocks import Block
from meters.formats.espi_export import write_espi
from meters.formats.source import Refused, open_source
from meters.formats.spill import Spill
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality

START = interval.parse("2026-05-01T00:00Z")
ATOM, ESPI = f"{{{espi.ATOM}}}", f"{{{espi.ESPI}}}"
KNOWN = [Quality(number) for number in range(1, 8)]
"""What Green Button has a word for each; the others are told by the nearest."""


def readings(points: int = 2, count: int = 200, seed: int = 3) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    dims, shape = ("usage_point", "interval"), (points, count)
    hole = rng.random(shape) < 0.1
    hole[:, [0, -1]] = False
    values = {n: (dims, np.where(hole, MISSING, rng.integers(0, 4000, shape))) for n in CHANNELS}
    quality = np.where(hole, Quality.MISSING, rng.choice(KNOWN, shape)).astype(np.uint16)
    return xr.Dataset(
        {**values, "quality": (dims, quality)},
        coords={
            "usage_point": [f"UP-{row:03d}" for row in range(points)],
            "interval": interval.starts(START, count, 900),
        },
    )


def blocks(path: Path) -> tuple[list[Block], Refused]:
    with open_source(path) as source:
        refused = Refused(source.name, "espi.refused")
        return list(espi.read(source, refused)), refused


def taken(path: Path) -> xr.Dataset:
    with open_source(path) as source:
        refused = Refused(source.name, "espi.refused")
        with Spill(refused) as spill:
            list(spill.take(espi.read(source, refused)))
            found = [spill.dataset(point, point) for point in spill.points]
    assert refused.findings == []
    return xr.concat([one for one in found if one is not None], "usage_point", join="exact")


def feed(entries: str) -> str:
    return f'<feed xmlns="{espi.ATOM}" xmlns:e="{espi.ESPI}">{entries}</feed>'


def entry(own: str, up: str, related: tuple[str, ...], content: str) -> str:
    links = f'<link rel="self" href="{own}"/><link rel="up" href="{up}"/>'
    links += "".join(f'<link rel="related" href="{href}"/>' for href in related)
    return f"<entry>{links}<content>{content}</content></entry>"


def written(
    tmp_path: Path, readings: str, *, uom: int = 72, flow: int = 1, power: int = 0, more: str = ""
) -> Path:
    text = feed(
        entry("/B/1", "/U/7/M/1/B", (), f"<e:IntervalBlock>{readings}</e:IntervalBlock>")
        + entry("/U/7/M/1", "/U/7/M", ("/U/7/M/1/B", "/T/1"), "<e:MeterReading/>")
        + entry("/U/7", "/U", ("/U/7/M",), "<e:UsagePoint/>")
        + entry(
            "/T/1", "/T", (),
            f"<e:ReadingType><e:flowDirection>{flow}</e:flowDirection>{more}"
            f"<e:powerOfTenMultiplier>{power}</e:powerOfTenMultiplier><e:uom>{uom}</e:uom>"
            "</e:ReadingType>",
        )
    )  # fmt: skip
    path = tmp_path / "feed.xml"
    path.write_text(text)
    return path


def reading(start_s: int, value: object, duration_s: int = 900, quality: str = "") -> str:
    told = f"<e:ReadingQuality><e:quality>{quality}</e:quality></e:ReadingQuality>"
    return (
        f"<e:IntervalReading>{told if quality else ''}<e:timePeriod><e:duration>{duration_s}"
        f"</e:duration><e:start>{start_s}</e:start></e:timePeriod><e:value>{value}</e:value>"
        "</e:IntervalReading>"
    )


def test_an_exported_feed_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    given = readings()
    write_espi(given, path, updated_s=START)
    found = taken(path)
    for name in (*CHANNELS, "quality"):
        assert found[name].values.tolist() == given[name].values.tolist(), name
    assert found["interval"].equals(given["interval"])
    assert found["usage_point"].values.tolist() == given["usage_point"].values.tolist()
    assert [item.name for item in tmp_path.iterdir()] == ["feed.xml"]


def test_an_exported_feed_has_the_shape_of_the_schema(tmp_path: Path) -> None:
    """Every entry has an id of its own, links that meet, and elements in the schema's order."""
    path = tmp_path / "feed.xml"
    write_espi(readings(), path, updated_s=START)
    root = ElementTree.fromstring(path.read_text())
    assert root.tag == f"{ATOM}feed"
    entries = root.findall(f"{ATOM}entry")
    names = [one.findtext(f"{ATOM}id") for one in entries]
    assert len(set(names)) == len(names)
    hrefs = {
        rel: {one.get("href") for one in root.iter(f"{ATOM}link") if one.get("rel") == rel}
        for rel in ("self", "up", "related")
    }
    assert {up for up in hrefs["up"] if "IntervalBlock" in str(up)} <= hrefs["related"]
    assert {one for one in hrefs["related"] if "ReadingType" in str(one)} <= hrefs["self"]
    order = [
        "accumulationBehaviour", "commodity", "dataQualifier", "defaultQuality", "flowDirection",
        "intervalLength", "kind", "phase", "powerOfTenMultiplier", "timeAttribute", "uom",
    ]  # fmt: skip
    types = list(root.iter(f"{ESPI}ReadingType"))
    assert {tuple(child.tag.removeprefix(ESPI) for child in one) for one in types} == {tuple(order)}
    facts = {(one.findtext(f"{ESPI}uom"), one.findtext(f"{ESPI}flowDirection")) for one in types}
    assert facts == {("72", "1"), ("72", "19"), ("73", "1"), ("73", "19")}
    for block in root.iter(f"{ESPI}IntervalBlock"):
        assert block[0].tag == f"{ESPI}interval"
        end_s = int(block[0].findtext(f"{ESPI}start", "")) + int(
            block[0].findtext(f"{ESPI}duration", "")
        )
        last = block[-1].find(f"{ESPI}timePeriod")
        assert last is not None
        assert int(last.findtext(f"{ESPI}start", "")) + 900 == end_s
        for one in block[1:]:
            children = [child.tag.removeprefix(ESPI) for child in one]
            assert children[-2:] == ["timePeriod", "value"]
            assert set(children[:-2]) == {"ReadingQuality"}


@pytest.mark.parametrize(
    ("uom", "flow", "power", "register", "wh"),
    [
        (72, 1, 0, "import_wh", 1500),
        (72, 19, 3, "export_wh", 1_500_000),
        (73, 1, -2, "import_varh", 15),
        (73, 19, 0, "export_varh", 1500),
    ],
)
def test_unit_direction_and_multiplier_say_which_register_counts_what(
    tmp_path: Path, uom: int, flow: int, power: int, register: str, wh: int
) -> None:
    path = written(tmp_path, reading(START, 1500), uom=uom, flow=flow, power=power)
    found = taken(path)
    assert found["usage_point"].values.tolist() == ["7"]
    assert {name: found[name].values.tolist() for name in CHANNELS} == {
        name: [[wh if name == register else MISSING]] for name in CHANNELS
    }


def test_hours_are_shared_out_and_entries_stand_in_any_order(tmp_path: Path) -> None:
    found = taken(written(tmp_path, reading(START, 1001, 3600) + reading(START + 3600, 7, 3600)))
    assert found["import_wh"].values.tolist() == [[251, 250, 250, 250, 2, 2, 2, 1]]
    assert set(found["quality"].values.ravel()) == {Quality.SCALED}


def test_what_is_no_energy_of_an_interval_adds_to_no_register(tmp_path: Path) -> None:
    for options in ({"uom": 38}, {"more": "<e:accumulationBehaviour>3</e:accumulationBehaviour>"}):
        (block,), refused = blocks(written(tmp_path, reading(START, 5), **options))  # type: ignore[arg-type]
        assert (block.register, refused.count) == ("", 0)


@pytest.mark.parametrize(
    ("code", "quality"),
    [("0", 1), ("19", 1), ("7", 6), ("8", 3), ("9", 2), ("10", 7), ("11", 4), ("14", 7)],
)
def test_each_quality_code_has_its_quality(tmp_path: Path, code: str, quality: int) -> None:
    (block,), _ = blocks(written(tmp_path, reading(START, 5, quality=code)))
    assert (block.quality.tolist(), block.flag.tolist()) == ([quality], [code.encode()])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reading(START, "1.5"), "value '1.5': must be a whole number"),
        (reading(START, "1e9"), "value '1e9'"),
        (reading(START, 5, 0), "duration 0"),
        (reading(START, 5, quality="99"), "quality '99'"),
        ("<e:IntervalReading><e:value>5</e:value></e:IntervalReading>", "start ''"),
    ],
)
def test_a_bad_reading_is_refused_by_line(tmp_path: Path, bad: str, reason: str) -> None:
    found, refused = blocks(written(tmp_path, f"{reading(START, 4)}\n{bad}"))
    assert [one.raw.tolist() for one in found] == [[4]]
    (finding,) = refused.findings
    assert finding.message.startswith("feed.xml line 2: ")
    assert reason in finding.message


def test_a_block_without_a_meter_reading_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    block = f"<e:IntervalBlock>{reading(START, 5)}</e:IntervalBlock>"
    path.write_text(feed("\n" + entry("/B/1", "/U/7/M/9/B", (), block)))
    found, refused = blocks(path)
    assert found == []
    assert "line 2: IntervalBlock '/U/7/M/9/B': no MeterReading" in refused.findings[0].message


BOMB = '<!DOCTYPE f [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY a{n + 1} "{f"&a{n or str()};" * 10}">' for n in range(9)
)
HOSTILE = {
    "a billion laughs": (BOMB + f"]>{feed('&a9;')}", "document type"),
    "an outside entity": (
        '<!DOCTYPE f [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + feed("&a;"), "document type",
    ),
    "an outside document type": ('<!DOCTYPE f SYSTEM "http://127.0.0.1/x">' + feed(""), "document"),
    "a deep tree": (feed("<a>" * 100_000), "nested deeper"),
    "a long text": (feed("<a>" + "x" * 5_000_000 + "</a>"), "characters"),
    "a long tag": (feed(f'<a b="{"x" * 5_000_000}"/>'), "bytes"),
    "an endless tag": ("<" + "a" * 20_000_000, "bytes"),
    "many attributes": (feed("<a " + " ".join(f'b{n}=""' for n in range(400_000))), "bytes"),
    "entries in entries": (feed("<entry>" * 3), "nested"),
    "another root": ("<html/>", "root element"),
    "a cut": (feed("<entry>")[:-20], "line 1"),
    "no XML": ("\x00\x01\x02", "line 1"),
    "an unknown encoding": ('<?xml version="1.0" encoding="x-none"?>' + feed(""), "line 1"),
    "an unbound prefix": ("<x:feed/>", "line 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused_within_a_second(tmp_path: Path, name: str) -> None:
    text, reason = HOSTILE[name]
    path = tmp_path / "feed.xml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(BadInputError, match=r"feed\.xml line") as caught:
        blocks(path)
    assert time.monotonic() - start < 1
    assert reason in str(caught.value)


def test_every_cut_of_a_feed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    whole = written(tmp_path, reading(START, 5, quality="0")).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInputError):
            blocks(path)


PEER = """
import json, sys
from greenbutton_objects.parse import parse_feed
found = {}
for point in parse_feed(sys.argv[1]):
    for reading in point.meterReadings:
        kind = reading.readingType
        found[f"{point.title} {kind.uom.value} {kind.flowDirection.value}"] = [
            [int(one.timePeriod.start.timestamp()), one.timePeriod.duration.seconds, one.value,
             sorted(told.quality.value for told in one.readingQualities)]
            for one in reading.intervalReadings]
json.dump(found, sys.stdout)
"""


def test_another_reader_takes_every_reading_of_an_exported_feed(tmp_path: Path, peer: Any) -> None:
    python = peer("greenbutton-2024.7.11", "greenbutton-objects==2024.7.11")
    path, given = tmp_path / "feed.xml", readings()
    write_espi(given, path, updated_s=START)
    done = subprocess.run(
        [str(python), "-c", PEER, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    codes = {1: [0], 2: [9], 3: [8], 4: [11], 5: [0, 11], 6: [7], 7: [10]}
    starts = given["interval"].values.astype(np.int64).tolist()
    ours = {}
    for row, point in enumerate(given["usage_point"].values.tolist()):
        quality = given["quality"].values[row].tolist()
        for (uom, flow), register in espi.REGISTERS.items():
            values = given[register].values[row].tolist()
            ours[f"{point} {uom} {flow}"] = [
                [at_s, 900, value, codes[how]]
                for at_s, value, how in zip(starts, values, quality, strict=True)
                if value != MISSING
            ]
    assert theirs == ours
