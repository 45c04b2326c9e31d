"""Passwords and keys of DLMS meters: in the store, never in the site file, never shown.

Meters that exist bring theirs in ``meter-keys.toml`` beside the site file, which is read
when the site is made and may be deleted then::

    [M-17]
    password = "…"                   # auth = "lls"

    [M-18]                           # auth = "hls-gmac"
    title = "4b485a0000000001"       # ours, as the client
    encryption_key = "…"
    authentication_key = "…"
    suite = 0                        # these three may be left out
    general = false
    dedicated = false
    master_key = "…"                 # wraps a key that is to replace one; without it none can
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from grid.errors import BadInputError
from grid.site import Site
from grid.store import Transaction, control
from meters.dlms.keys import ciphering_of, text_of_owner
from meters.reading import KEY_BYTES, TITLE_BYTES, Ciphering
from meters.simulator.dlms import MeterSetup

PASSWORD_SECRET = "dlms/"
KEYS_SECRET = "dlms-keys/"
PENDING_SECRET = "dlms-keys-pending/"
CANDIDATE_SECRET = "dlms-keys-candidate/"
MASTER_SECRET = "dlms-master/"
KEYS_TOML = "meter-keys.toml"
_PASSWORD_BYTES = 64
_FILE_MAX = 16 * 1024 * 1024


def password(tx: Transaction, meter: str) -> bytes:
    """Return the low-level-security password of a meter.

    Raises
    ------
    StoreError
        When it has none.
    """
    return control.get_secret(tx, f"{PASSWORD_SECRET}{meter}")


def ciphering(tx: Transaction, meter: str) -> Ciphering | None:
    """Return our title and keys for a meter, ``None`` when it is read in clear."""
    found = control.secrets(tx, f"{KEYS_SECRET}{meter}")
    return _decoded(found[""]) if "" in found else None


def all_ciphering(tx: Transaction) -> dict[str, Ciphering]:
    """Return our title and keys for each ciphered meter."""
    return {meter: _decoded(content) for meter, content in control.secrets(tx, KEYS_SECRET).items()}


def put_keys(tx: Transaction, meter: str, keys: Ciphering) -> None:
    """Keep the title and keys of a meter, in place of those before."""
    control.replace_secret(tx, f"{KEYS_SECRET}{meter}", _encoded(keys))


def master_key(tx: Transaction, meter: str) -> bytes | None:
    """Return the key that wraps new keys for a meter, ``None`` when it is not known."""
    found = control.secrets(tx, f"{MASTER_SECRET}{meter}").get("")
    return None if found is None else bytes.fromhex(found.decode())


def make_pending(tx: Transaction, meter: str) -> Ciphering:
    """Draw a new encryption key for a meter and keep it beside the one in use.

    One that was drawn and never came to be used is taken again.

    Raises
    ------
    StoreError
        When the meter has no keys.
    """
    fresh = pending(tx, meter)
    if fresh is None:
        now = _decoded(control.get_secret(tx, f"{KEYS_SECRET}{meter}"))
        fresh = replace(now, encryption_key=secrets.token_bytes(KEY_BYTES))
        control.replace_secret(tx, f"{PENDING_SECRET}{meter}", _encoded(fresh))
    return fresh


def pending(tx: Transaction, meter: str) -> Ciphering | None:
    """Return the keys that a meter has or will have soon, ``None`` when none are under way."""
    found = control.secrets(tx, f"{PENDING_SECRET}{meter}").get("")
    return None if found is None else _decoded(found)


def keep_pending(tx: Transaction, meter: str) -> None:
    """Let the pending keys of a meter take the place of those before: it answered under them.

    Their invocation counter begins anew, for it is kept by the key.

    Raises
    ------
    StoreError
        When none are pending.
    """
    fresh = control.get_secret(tx, f"{PENDING_SECRET}{meter}")
    put_keys(tx, meter, _decoded(fresh))
    drop_pending(tx, meter)


def drop_pending(tx: Transaction, meter: str) -> None:
    """Forget the pending keys of a meter: it is known not to have them."""
    control.drop_secret(tx, f"{PENDING_SECRET}{meter}")


def set_aside(tx: Transaction, meter: str) -> None:
    """Let the pending keys of a meter be those that it may have, until it answers under one.

    Raises
    ------
    StoreError
        When none are pending.
    """
    fresh = control.get_secret(tx, f"{PENDING_SECRET}{meter}")
    control.replace_secret(tx, f"{CANDIDATE_SECRET}{meter}", fresh)
    drop_pending(tx, meter)


def candidates(tx: Transaction) -> dict[str, Ciphering]:
    """Return the keys that meters may have in place of those in use."""
    found = control.secrets(tx, CANDIDATE_SECRET)
    return {meter: _decoded(content) for meter, content in found.items()}


def settle_candidate(tx: Transaction, meter: str, *, is_kept: bool) -> None:
    """Put the candidate in place of the keys in use, or forget it: the meter answered."""
    if is_kept:
        put_keys(tx, meter, _decoded(control.get_secret(tx, f"{CANDIDATE_SECRET}{meter}")))
    control.drop_secret(tx, f"{CANDIDATE_SECRET}{meter}")


def made_up(site: Site, root: bytes) -> dict[str, bytes]:
    """Return passwords and keys for the meters of a simulated field, by names of secrets."""
    made: dict[str, bytes] = {}
    for meter in site.meter:
        secret = hmac.digest(root, f"{PASSWORD_SECRET}{meter.id}".encode(), "sha256")
        if meter.auth == "lls":
            text = hashlib.sha256(secret).hexdigest()[:16]
            made[f"{PASSWORD_SECRET}{meter.id}"] = text.encode()
        elif meter.auth == "hls-gmac":
            keys = hashlib.sha512(secret).digest()
            own = hashlib.sha256(site.id.encode()).digest()[: TITLE_BYTES - 3]
            made[f"{KEYS_SECRET}{meter.id}"] = _encoded(
                Ciphering(b"KHZ" + own, keys[:KEY_BYTES], keys[KEY_BYTES : 2 * KEY_BYTES])
            )
            master = hmac.digest(root, f"{MASTER_SECRET}{meter.id}".encode(), "sha256")
            made[f"{MASTER_SECRET}{meter.id}"] = master[:KEY_BYTES].hex().encode()
    return made


def setups(access: Mapping[str, bytes]) -> dict[str, MeterSetup]:
    """Return how simulated meters let in whoever has what :func:`made_up` made."""
    found: dict[str, MeterSetup] = {}
    for name, value in access.items():
        if name.startswith(KEYS_SECRET):
            meter = name.removeprefix(KEYS_SECRET)
            title = b"MTR" + hashlib.sha256(meter.encode()).digest()[: TITLE_BYTES - 3]
            master = bytes.fromhex(access.get(f"{MASTER_SECRET}{meter}", b"").decode())
            found[meter] = MeterSetup(
                ciphering=replace(_decoded(value), title=title), master_key=master
            )
        elif name.startswith(PASSWORD_SECRET):
            found[name.removeprefix(PASSWORD_SECRET)] = MeterSetup(value)
    return found


def replaced(value: bytes, keys: Ciphering) -> bytes:
    """Return what :func:`made_up` made for a meter, with the keys that it has by now."""
    return _encoded(
        replace(
            _decoded(value),
            encryption_key=keys.encryption_key,
            authentication_key=keys.authentication_key,
        )
    )


def brought(site: Site, path: Path) -> dict[str, bytes]:
    """Return the passwords and keys of a file for the meters of a site, by names of secrets.

    Raises
    ------
    BadInputError
        When a meter needs one that is not there, one is there of no meter that needs it, a
        value is wrong, or others than its owner may read the file; what it holds is not shown.
    """
    needed = {str(meter.id): meter.auth for meter in site.meter if meter.auth != "none"}
    if not needed:
        return {}
    if not path.exists():
        meter, auth = next(iter(needed.items()))
        raise BadInputError(
            f"{path}: there is no such file, and meter {meter} has auth {auth!r}; write one with "
            f"a table [{meter}], readable to its owner only"
        )
    try:
        tables = tomllib.loads(text_of_owner(path, _FILE_MAX))
    except (ValueError, RecursionError) as error:
        where = str(error).rpartition("(at ")[2].rstrip(")")
        raise BadInputError(f"{path} is not TOML: {where[:40]}") from None
    if strange := sorted(set(tables) - set(needed)):
        raise BadInputError(f"{path}: [{strange[0][:64]}] is no meter of the site with auth")
    found: dict[str, bytes] = {}
    for meter, auth in needed.items():
        table = tables.get(meter)
        if not isinstance(table, dict):
            raise BadInputError(f"{path}: there is no table [{meter}], which has auth {auth!r}")
        where = f"{path} [{meter}]"
        if auth == "lls":
            found[f"{PASSWORD_SECRET}{meter}"] = _password(where, table)
        else:
            if (master := table.pop("master_key", None)) is not None:
                found[f"{MASTER_SECRET}{meter}"] = _master(where, master)
            found[f"{KEYS_SECRET}{meter}"] = _encoded(ciphering_of(table, where))
    return found


def _password(where: str, table: dict[str, Any]) -> bytes:
    text = table.get("password")
    if set(table) != {"password"} or not isinstance(text, str):
        raise BadInputError(f"{where}: has a password in quotes, and nothing else")
    if not 0 < len(text.encode()) <= _PASSWORD_BYTES:
        raise BadInputError(f"{where}: the password must have 1 to {_PASSWORD_BYTES} bytes")
    return text.encode()


def _master(where: str, text: Any) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise BadInputError(f"{where}: master_key must be hexadecimal digits in quotes") from None
    if len(octets) != KEY_BYTES:
        raise BadInputError(f"{where}: master_key has {len(octets)} bytes, must have {KEY_BYTES}")
    return octets.hex().encode()


def _encoded(keys: Ciphering) -> bytes:
    facts = {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(keys).items()}
    return json.dumps(facts, sort_keys=True).encode()


def _decoded(content: bytes) -> Ciphering:
    facts = json.loads(content)
    for name in ("title", "encryption_key", "authentication_key"):
        facts[name] = bytes.fromhex(facts[name])
    return Ciphering(**facts)
