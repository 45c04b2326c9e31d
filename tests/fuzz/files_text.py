"""Targets of files and texts: NEM, Green Button, CSV, TOML, MQTT payloads, URLs, OBIS codes."""

from __future__ import annotations

import io
import os
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

from grid.errors import GridError
from grid.ids import SensorId
from grid.site_sensors import PayloadForm, Sensor
from meters import obis, transport
from meters.dlms import client as dlms_client
from meters.dlms import keys
from meters.dlms import profile as dlms_profile
from meters.formats.column_map import load_map, parse_map
from meters.formats.detect import read_blocks
from meters.formats.history import HEADER, read_history
from meters.formats.source import Refused, Source, open_source
from meters.formats.spill import Spill
from meters.modbus import address
from meters.modbus import profile as modbus_profile
from meters.mqtt.mapping import Message, read
from tests.fuzz.target import Target

# In memory where the system has such a folder: a file on disk costs six times what its parser does.
_MEMORY = Path("/dev/shm")
_FOLDER = tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
_MAP_TOML = b"""interval_minutes = 15
[time]
column = "time"
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[usage_point]
column = "point"
[import_wh]
column = "in"
unit = "kWh"
[quality]
column = "q"
values = { W = "valid" }
"""
_MAP = parse_map(tomllib.loads(_MAP_TOML.decode()))


def _file(kind: str) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        refused = Refused("a", f"{kind}.refused")
        source = Source("a", "", len(octets), io.BytesIO(octets))
        with Spill(refused, spread=True) as spill:
            for _ in spill.take(read_blocks(source, kind, refused, _MAP)):
                pass
            spill.findings()

    return run


def _toml(octets: bytes) -> None:
    path = Path(_FOLDER.name) / "map.toml"
    path.write_bytes(octets)
    load_map(path)


def _written(name: str, parse: Callable[[Path], object]) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        path = Path(_FOLDER.name) / name
        path.write_bytes(octets)
        path.chmod(0o600)
        parse(path)

    return run


def _packed(path: Path) -> None:
    with open_source(path) as source:
        for _ in source.lines():
            pass


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "time,in\n" * 4)
    return packed.getvalue()


def _text(*parsers: Callable[[str], object]) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        said = octets.decode("utf-8", "replace")
        for parse in parsers:
            try:
                parse(said)
            except GridError:
                continue

    return run


def _sensor(form: PayloadForm, value: str = "", time: str = "") -> Sensor:
    kind = "street_light_on" if form is PayloadForm.BOOLEAN else "temperature_celsius"
    return Sensor(SensorId("S-1"), kind, "t", location="x", payload=form, value=value, time=time)


_SENSORS = (
    _sensor(PayloadForm.NUMBER),
    _sensor(PayloadForm.BOOLEAN),
    _sensor(PayloadForm.JSON, "/d/0/t", "/at"),
    _sensor(PayloadForm.JSON),
)


def _mqtt(octets: bytes) -> None:
    for sensor in _SENSORS:
        try:
            read(sensor, Message("t", octets, False, 1_780_056_000))
        except GridError:
            continue


def _code(text: str) -> None:
    code = obis.parse(text)
    if obis.parse(obis.label(code)) != code:
        raise AssertionError(text)


_DAY = b"300,20260501," + b"0.5," * 48 + b"A,,,20260502000000,\n"
_NEM12 = (
    b"100,NEM12,202605020000,MDP,RET\n200,6305000001,E1,1,E1,N1,METER,kWh,30,\n" + _DAY + b"900\n"
)
_NEM13 = (
    b"100,NEM13,202605020000,MDP,RET\n250,6305000001,E1,1,E1,,METER,E,1,20260401000000,A,,,2,"
    b"20260501000000,A,,,1,kWh,,20260502000000,\n900\n"
)
_ESPI = (
    b'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">'
    b'<entry><link rel="self" href="U/1"/><link rel="related" href="U/1/M"/><content>'
    b'<e:UsagePoint/></content></entry><entry><link rel="self" href="U/1/M/1"/><link rel="up" '
    b'href="U/1/M"/><link rel="related" href="R/1"/><link rel="related" href="U/1/M/1/I"/>'
    b'<content><e:MeterReading/></content></entry><entry><link rel="self" href="R/1"/><content>'
    b"<e:ReadingType><e:uom>72</e:uom></e:ReadingType></content></entry><entry><link rel="
    b'"self" href="U/1/M/1/I/1"/><link rel="up" href="U/1/M/1/I"/><content><e:IntervalBlock>'
    b"<e:IntervalReading><e:timePeriod><e:duration>900</e:duration><e:start>1777593600</e:start>"
    b"</e:timePeriod><e:value>7</e:value></e:IntervalReading></e:IntervalBlock></content></entry>"
    b"</feed>"
)
_PROFILES = Path(modbus_profile.__file__).parents[1] / "profiles"
TARGETS = {
    "nem": Target(_file("nem12"), (_NEM12, _NEM13), 1024),
    "espi": Target(_file("espi"), (_ESPI,), 2048),
    "csv": Target(
        _file("csv"),
        (b"time,point,in,q\n01.05.2026 02:00,DE1,0.125,W\n25.10.2026 02:15,DE1,1,W\n",),
        1024,
    ),
    "history": Target(
        _written("history.csv", read_history),
        (
            (",".join(HEADER) + "\nDE1,2026-05-01T00:00Z,125,0,0,0,valid\n").encode(),
            (",".join(HEADER) + "\n").encode(),
        ),
        512,
        quick=False,
    ),
    "zip": Target(_written("a.zip", _packed), (_zip(),), 400),
    "keys": Target(
        _written("keys.toml", keys.read_keys),
        [
            (
                b'title = "4b485a0000000001"\nencryption_key = "000102030405060708090a0b0c0d0e0f"'
                b'\nauthentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"\nsuite = 1'
            )
        ],
        400,
    ),
    "column-map": Target(_toml, (_MAP_TOML,), 1024),
    "profile-toml": Target(
        _text(
            lambda text: modbus_profile.parse_profile("a", text),
            lambda text: dlms_profile.parse_profile("a", text),
        ),
        [(_PROFILES / name).read_bytes() for name in ("sdm630.toml", "cosem.toml")],
        1500,
        quick=False,
    ),
    "mqtt": Target(_mqtt, (b"21.5", b"on", b'{"d": [{"t": 7}], "at": 1780056000}'), 256),
    "url": Target(
        _text(transport.parse_url, address.parse_url, dlms_client.parse_url),
        (b"dlms://h:4059/1", b"modbus+serial:///dev/ttyS0/3?baud=9600&parity=N"),
        256,
    ),
    "obis": Target(_text(_code), (b"1-0:1.8.0", b"1.0.99.1.0.255", b"0-0:1.0.0*1"), 40),
}
