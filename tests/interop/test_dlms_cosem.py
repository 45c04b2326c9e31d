"""dlms-cosem 21.3.2, its last release under MIT, encodes the same bytes as we do."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meters.dlms import acse, data, hdlc, initiate, wrapper, writing, xdlms
from meters.dlms.acse import Context, Mechanism
from meters.dlms.civil_time import encode_date_time
from meters.dlms.counters import MemoryCounterStore, name_of
from meters.dlms.data import Tag
from meters.dlms.hdlc import Frame
from meters.dlms.initiate import Conformance, InitiateRequest
from meters.dlms.security import AUTHENTICATED, Cipher, Key
from meters.dlms.selection import encode_range
from meters.reading import Ciphering

from .peers import environment, python_of

SCRIPT = Path(__file__).with_name("cosem_encoder.py")
CASES = 40
SHORT = 127
"""Bytes above which the peer writes the length of an octet string or an AARQ wrongly."""

CLASSES = (1, 3, 4, 5, 7, 8, 15, 70)
SERVICES = {
    "general_protection": Conformance.GENERAL_PROTECTION,
    "general_block_transfer": Conformance.GENERAL_BLOCK_TRANSFER,
    "block_transfer_with_get_or_read": Conformance.BLOCK_TRANSFER_WITH_GET,
    "block_transfer_with_set_or_write": Conformance.BLOCK_TRANSFER_WITH_SET,
    "multiple_references": Conformance.MULTIPLE_REFERENCES,
    "data_notification": Conformance.DATA_NOTIFICATION,
    "get": Conformance.GET,
    "set": Conformance.SET,
    "selective_access": Conformance.SELECTIVE_ACCESS,
    "action": Conformance.ACTION,
}
INTEGERS = {
    Tag.INT8: (-(1 << 7), (1 << 7) - 1),
    Tag.INT16: (-(1 << 15), (1 << 15) - 1),
    Tag.INT32: (-(1 << 31), (1 << 31) - 1),
    Tag.INT64: (-(1 << 63), (1 << 63) - 1),
    Tag.UINT8: (0, 0xFF),
    Tag.UINT16: (0, 0xFFFF),
    Tag.UINT32: (0, 0xFFFF_FFFF),
    Tag.UINT64: (0, (1 << 64) - 1),
    Tag.ENUM: (0, 0xFF),
}
Case = tuple[dict[str, Any], Any]
"""What the peer is given, and what it must answer."""


def attribute(draw: random.Random) -> tuple[dict[str, Any], xdlms.Attribute]:
    class_id, code = draw.choice(CLASSES), draw.randbytes(6)
    index, invoke_id = draw.randint(1, 9), draw.randint(0, 15)
    facts = {"class": class_id, "obis": code.hex(), "index": index, "invoke_id": invoke_id}
    return facts, xdlms.Attribute(class_id, code, index)


def get(draw: random.Random) -> Case:
    facts, wanted = attribute(draw)
    selection = b""
    if draw.random() < 0.5:
        facts |= {"since_s": draw.randint(10**9, 2 * 10**9)}
        facts |= {"until_s": facts["since_s"] + draw.randint(0, 10**6)}
        # The peer leaves the day of the week unspecified.
        both = [encode_date_time(facts[name]) for name in ("since_s", "until_s")]
        times = [octets[:4] + b"\xff" + octets[5:] for octets in both]
        selection = encode_range(*times, bytes.fromhex("0000010000ff"))
    return facts, xdlms.encode_get(facts["invoke_id"], wanted, selection)


def get_next(draw: random.Random) -> Case:
    facts = {"invoke_id": draw.randint(0, 15), "number": draw.randrange(1 << 32)}
    return facts, xdlms.encode_next(facts["invoke_id"], facts["number"])


def typed(draw: random.Random, depth: int = 0) -> tuple[list[Any], data.Typed]:
    if depth < 3 and draw.random() < 0.3:
        parts = [typed(draw, depth + 1) for _ in range(draw.randint(0, 5))]
        return [2, [one for one, _ in parts]], (Tag.STRUCTURE, [two for _, two in parts])
    if draw.random() < 0.3:
        octets = draw.randbytes(draw.randint(0, SHORT))
        return [9, octets.hex()], (Tag.OCTET_STRING, octets)
    tag = draw.choice(list(INTEGERS))
    value = draw.randint(*INTEGERS[tag])
    return [int(tag), value], (tag, value)


def value(draw: random.Random) -> Case:
    facts, ours = typed(draw)
    return {"value": facts}, data.encode(*ours)


def plain(decoded: Any) -> Any:
    if isinstance(decoded, bytes):
        return decoded.hex()
    if isinstance(decoded, list | tuple):
        return [plain(one) for one in decoded]
    return decoded


def decoded(draw: random.Random) -> Case:
    octets = data.encode(*typed(draw)[1])
    return {"octets": octets.hex()}, plain(data.decode(octets))


def set_(draw: random.Random) -> Case:
    facts, wanted = attribute(draw)
    octets = data.encode(*typed(draw)[1])
    return facts | {"value": octets.hex()}, writing.encode_set(facts["invoke_id"], wanted, octets)


def action(draw: random.Random) -> Case:
    facts, wanted = attribute(draw)
    octets = b"" if draw.random() < 0.3 else data.encode(*typed(draw)[1])
    method = writing.Method(wanted.class_id, wanted.obis, wanted.index)
    ours = writing.encode_action(facts["invoke_id"], method, octets)
    return facts | {"value": octets.hex()}, ours


def initiate_(draw: random.Random, *, dedicated: bool = True) -> Case:
    services = draw.sample(sorted(SERVICES), draw.randint(1, len(SERVICES)))
    key = draw.randbytes(16) if dedicated and draw.random() < 0.5 else b""
    facts = {"services": services, "max_pdu": draw.randrange(1 << 16), "key": key.hex()}
    conformance = sum(SERVICES[name] for name in services)
    return facts, initiate.encode_request(InitiateRequest(conformance, facts["max_pdu"], key))


def keys(draw: random.Random) -> tuple[dict[str, Any], Ciphering, MemoryCounterStore]:
    title, key, auth_key = draw.randbytes(8), draw.randbytes(16), draw.randbytes(16)
    suite, counter = draw.randint(0, 1), draw.randrange(1 << 31)
    counters = MemoryCounterStore()
    counters.reserve(name_of(key, title), counter, 0)
    facts = {"system_title": title.hex(), "key": key.hex(), "auth_key": auth_key.hex()}
    facts |= {"suite": suite, "counter": counter}
    return facts, Ciphering(title, key, auth_key, suite, general=True), counters


def aarq(draw: random.Random) -> Case:
    asked, wanted = initiate_(draw, dedicated=False)
    if draw.random() < 0.3:
        plain_request = acse.AssociationRequest(Mechanism.NONE, b"", wanted)
        return {"ciphered": False, "initiate": asked}, acse.encode_aarq(plain_request)
    facts, ciphering, counters = keys(draw)
    challenge = draw.randbytes(draw.randint(8, 16))
    request = acse.AssociationRequest(
        Mechanism.HLS_GMAC,
        challenge,
        Cipher(ciphering, counters).protect(wanted),
        Context.CIPHERED,
        ciphering.title,
    )
    facts |= {"ciphered": True, "initiate": asked, "challenge": challenge.hex()}
    ours = acse.encode_aarq(request)
    assert len(ours) <= SHORT + 2
    return facts, ours


def general(draw: random.Random) -> Case:
    facts, ciphering, counters = keys(draw)
    octets = get(draw)[1]
    return facts | {"plain": octets.hex()}, Cipher(ciphering, counters).protect(octets)


def opened(draw: random.Random) -> Case:
    facts, ciphering, counters = keys(draw)
    octets = get(draw)[1]
    return facts | {"apdu": Cipher(ciphering, counters).protect(octets).hex()}, octets


def gmac(draw: random.Random) -> Case:
    facts, ciphering, _ = keys(draw)
    challenge = draw.randbytes(draw.randint(8, 64))
    nonce = ciphering.title + facts["counter"].to_bytes(4, "big")
    sealed = Key(ciphering.encryption_key).seal(
        AUTHENTICATED | ciphering.suite, nonce, challenge, ciphering.authentication_key
    )
    return facts | {"challenge": challenge.hex()}, sealed[len(challenge) :]


def hdlc_(draw: random.Random) -> Case:
    # The peer leaves out bytes of an address that are zero: only halves without one.
    logical, physical = draw.randint(1, 0x7F), None
    number = logical
    if draw.random() < 0.5:
        logical, physical = (draw.randint(1, 0x7F) << 7 | draw.randint(1, 0x7F) for _ in range(2))
        number = logical << 14 | physical
    payload = draw.randbytes(draw.randint(1, 900))
    facts = {
        "logical": logical,
        "physical": physical,
        "client": draw.randint(1, 0x7F),
        "payload": payload.hex(),
        "segmented": draw.random() < 0.5,
        "final": draw.random() < 0.5,
        "sent": draw.randint(0, 7),
        "received": draw.randint(0, 7),
    }
    poll = hdlc.POLL if facts["final"] else 0
    control = facts["received"] << 5 | poll | facts["sent"] << 1
    source = hdlc.address(facts["client"])
    frame = Frame(hdlc.address(number), source, control, payload, facts["segmented"])
    return facts, hdlc.encode(frame)


def wrapper_(draw: random.Random) -> Case:
    source, destination = draw.randrange(1 << 16), draw.randrange(1 << 16)
    payload = draw.randbytes(draw.randint(1, 2000))
    facts = {"source": source, "destination": destination, "payload": payload.hex()}
    return facts, wrapper.frame(source, destination, payload)


KINDS: dict[str, Callable[[random.Random], Case]] = {
    "get": get,
    "get_next": get_next,
    "set": set_,
    "action": action,
    "initiate": initiate_,
    "aarq": aarq,
    "general": general,
    "opened": opened,
    "gmac": gmac,
    "data": value,
    "decoded": decoded,
    "hdlc": hdlc_,
    "wrapper": wrapper_,
}


@pytest.mark.parametrize("kind", KINDS)
def test_peer_encodes_and_understands_the_same(kind: str) -> None:
    python = python_of("dlms-cosem")
    draw = random.Random(kind)
    cases = [KINDS[kind](draw) for _ in range(CASES)]
    asked = [facts | {"kind": kind} for facts, _ in cases]
    done = subprocess.run(
        [str(python), str(SCRIPT)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for (facts, ours), theirs in zip(cases, json.loads(done.stdout), strict=True):
        assert plain(ours) == theirs, facts
