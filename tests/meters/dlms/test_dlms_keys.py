"""``khazri meter read`` through a ciphered association, with keys from a file."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from grid.errors import BadInputError
from meters.dlms.keys import read_keys
from meters.reading import Ciphering
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
KEYS = f"""
title = "4b485a0000000001"
encryption_key = "{EK.hex()}"
authentication_key = "{AK.hex()}"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_are_read_from_their_file(tmp_path: Path) -> None:
    path = written(tmp_path, KEYS + "suite = 1\ngeneral = true\n")
    assert read_keys(path) == Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK, 1, general=True)


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        (KEYS, 0o640, "others may read"),
        ("title = ", 0o600, "not TOML"),
        ('colour = "red"', 0o600, "unknown key 'colour'"),
        ('title = "4b48"', 0o600, "encryption_key must be hexadecimal"),
        (KEYS.replace(EK.hex(), "0001"), 0o600, "has 2 bytes, must have 16"),
        (KEYS + "suite = true", 0o600, "suite must be of type int"),
    ],
)
def test_file_of_keys_that_is_wrong_is_refused_without_showing_it(
    tmp_path: Path, text: str, mode: int, message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as refused:
        read_keys(written(tmp_path, text, mode))
    assert AK.hex() not in str(refused.value)


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_command_reads_a_ciphered_meter(tmp_path: Path, link: str) -> None:
    path = written(tmp_path, KEYS)

    async def run() -> bytes:
        servers = DlmsServers()
        point = MeterPoint("M-1", T, [5_000, 4, 3, 2], 230.0)
        setups = {"M-1": MeterSetup(ciphering=METER, link=link)}
        urls = await servers.start([point], setups=setups)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "grid.console.cli", "meter", "read", urls["M-1"]),
            *("--auth", "hls-gmac", "--keys", str(path), "--counters", str(tmp_path / "c")),
            "--json",
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        await servers.stop()
        assert process.returncode == 0
        return told.splitlines()[-1]

    assert json.loads(asyncio.run(run()))["import_wh"] == 5_000
    assert len(list((tmp_path / "c").glob("*.counter"))) == 2
