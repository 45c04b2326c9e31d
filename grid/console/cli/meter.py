"""``khazri meter read|simulate|profiles|import``."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grid.console.cli.options import UsageError, answer, as_json, checked, directory, seconds
from grid.errors import BadInputError, PeerError
from grid.interval import label

if TYPE_CHECKING:
    from meters.reading import Ciphering

_LLS_BYTES = 64
_URLS = (
    "modbus://HOST:PORT/UNIT, dlms:// or hdlc://HOST:PORT/SERVER, hdlc+serial:///dev/NAME/SERVER"
)
_DLMS = ("dlms:", "hdlc:", "hdlc+serial:")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    read = verbs.add_parser("read", help="read one meter now")
    read.add_argument("url", type=_url, help=_URLS)
    read.add_argument("--profile", help="register map; by protocol when not given")
    read.add_argument(
        "--auth", type=_auth, default="none", help="none, lls:PASSWORD, or hls-gmac with --keys"
    )
    read.add_argument("--keys", type=Path, metavar="FILE", help="title and keys of a DLMS client")
    read.add_argument(
        "--counters", type=Path, metavar="DIR", help="where invocation counters are kept"
    )
    read.add_argument("--timeout", type=seconds(0.1, 600), default=5.0, help="seconds")
    as_json(read)
    read.set_defaults(run=run_read)
    simulate = verbs.add_parser("simulate", help="serve the simulated field of a site folder")
    directory(simulate)
    simulate.set_defaults(run=run_simulate)
    profiles = verbs.add_parser("profiles", help="list the register maps")
    as_json(profiles)
    profiles.set_defaults(run=run_profiles)
    take = verbs.add_parser("import", help="take a history of intervals (CSV) into the store")
    take.add_argument("file", type=Path, metavar="FILE")
    directory(take)
    as_json(take)
    take.set_defaults(run=run_import)


@checked
def _url(text: str) -> str:
    from meters.dlms.client import parse_url as dlms
    from meters.modbus.gateway import parse_url as modbus

    if not text.startswith(("modbus:", *_DLMS)):
        raise BadInputError(f"{text!r} must be {_URLS}")
    (dlms if text.startswith(_DLMS) else modbus)(text)
    return text


@checked
def _auth(text: str) -> str:
    word, _, password = text.partition(":")
    # The password is not shown again.
    if text not in ("none", "hls-gmac") and not (
        word == "lls" and 0 < len(password.encode()) <= _LLS_BYTES
    ):
        raise BadInputError(f"must be none, lls:PASSWORD of 1 to {_LLS_BYTES} bytes, or hls-gmac")
    return text


def _profile(url: str, name: str | None) -> str:
    """Return the register map to read with, checked against the protocol."""
    from meters.dlms.profile import load_profile as dlms
    from meters.modbus.profile import load_profile as modbus

    is_dlms = url.startswith(_DLMS)
    chosen = name or ("cosem" if is_dlms else "sdm630")
    try:
        (dlms if is_dlms else modbus)(chosen)
    except BadInputError as error:
        raise UsageError(f"--profile: {error}") from error
    return chosen


def _ciphering(options: argparse.Namespace) -> Ciphering | None:
    from meters.dlms.keys import read_keys

    if options.keys is None:
        if options.auth == "hls-gmac":
            raise UsageError("--auth hls-gmac needs --keys FILE")
        return None
    return read_keys(options.keys)


def run_read(options: argparse.Namespace) -> int:
    """Read one meter and print its registers."""
    from platformdirs import user_state_path

    from meters.dlms.counters import FileCounterStore
    from meters.reader import read_meters
    from meters.reading import CHANNELS, MeterAddress

    auth, _, password = options.auth.partition(":")
    address = MeterAddress(
        meter="meter",
        url=options.url,
        profile=_profile(options.url, options.profile),
        auth=auth,
        secret=password.encode(),
        ciphering=_ciphering(options),
    )
    now_s = int(time.time())
    counters = FileCounterStore(options.counters or user_state_path("khazri") / "counters")
    reads, findings = asyncio.run(
        read_meters([address], at_s=now_s, timeout_s=options.timeout, counters=counters)
    )
    if not reads:
        raise PeerError("; ".join(finding.message for finding in findings))
    read = reads[0]
    registers = dict(zip(CHANNELS, read.now.values, strict=True))
    facts = {"at": label(read.now.at_s), **registers, "voltage_v": read.voltage_v}
    text = "\n".join(f"{name:<12} {value}" for name, value in facts.items())
    answer(options, facts, text)
    return 0


def run_simulate(options: argparse.Namespace) -> int:
    """Serve the field until it is told to stop."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.field.serve import serve
    from grid.store import control

    commission.ensure(options.dir / site_file.SITE_FILE, now_s=int(time.time()))
    store = commission.open_store(options.dir)
    with store.read() as tx:
        start_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    store.close()
    site = site_file.read(options.dir / site_file.SITE_FILE)
    print(f"serving {len(site.meter)} meters; addresses in {options.dir / 'field.json'}")
    asyncio.run(serve(options.dir, site, start_s=start_s))
    return 0


def run_profiles(options: argparse.Namespace) -> int:
    """List the register maps that come with Khazri."""
    import meters

    names = sorted(path.stem for path in (Path(meters.__file__).parent / "profiles").glob("*.toml"))
    answer(options, {"profiles": names}, "\n".join(names))
    return 0


def run_import(options: argparse.Namespace) -> int:
    """Take a history file; nothing is stored when a line is refused."""
    from grid import site_file
    from grid.operation import commission, history

    store = commission.open_store(options.dir)
    site = site_file.read(options.dir / site_file.SITE_FILE)
    count = history.import_history(store, site, options.file)
    store.close()
    answer(options, {"intervals": count}, f"{count} intervals taken from {options.file}")
    return 0
