"""Verify a network certificate: ``python -m networks.verify_certificate FILE``.

One file that needs nothing but Python and numpy and shares no code with the
programs that write certificates: copy it anywhere and run
``python verify_certificate.py FILE``. A certificate says that a plan's powers
have a state of the network that keeps its limits. What is trusted is given
from outside, never read from FILE:

--topology HASH      of the network as it is switched and fed; once for each network in FILE
--injections HASH    of the powers by interval
--claim HASH         of all that is claimed: networks, limits, intervals and powers
--certificate HASH   of the whole document

Everything that can be computed is computed again: the admittance matrix from the
two-ports of the branches, the hashes, the power balance of every node in every
interval, voltages and loadings against the limits, which limits bind, and whether
the state is the only one near. A number is never taken from FILE because FILE says so.

The document is canonical JSON (RFC 8785) without floating-point numbers: powers are
integers, W and var into the network; every other number is a string, the shortest
that reads back as the same double.

networks    buses (index, name, kV, node, -1 where dead, shunt), held voltages, lines and
            transformers as two-ports per unit, ``i_from = yff v_from + yft v_to``, ratings
limits      voltage band, loading, and how near to a limit it is said to bind
intervals   start, network (null where all is dead), power at each bus
states      node voltages, largest mismatch, existence margin, binding limits
hashes      SHA-256 in hexadecimal

An admittance enters the topology hash with 9 digits; what lies below is bound by
``--claim`` and ``--certificate``. Voltages enter the last one only: they follow from the
claim, and the balance proves them.

The existence margin. With ``v = w + Z conj(s / v)`` for the nodes that no source holds, and
any positive weights h, the map contracts in ``|v_j - u_j| <= r h_j`` around given voltages u
when ``max_i sum_j |Z_ij| |s_j| h_j / (|u_j| - r h_j)^2 / h_i < 1``, and maps that set into
itself when ``max_i (|d_i| + r sum_j |Z_ij| |s_j| h_j / ((|u_j| - r h_j) |u_j|)) / h_i <= r``,
d being how far the map moves u. Then exactly one solution is in it (Banach). This is the
condition of Wang, Bernstein, Le Boudec and Paolone, IEEE Trans. Smart Grid 9(2), 2018,
doi:10.1109/TSG.2016.2572060, at the given solution itself, which develops that of Bolognani
and Zampieri, IEEE Trans. Power Syst. 31(1), 2016, doi:10.1109/TPWRS.2015.2395452; the weights
come near to the best ones by 20 power steps. The margin is 1 less the left side at r = 0;
where it is not above 0, or r not found, the state is proved by its balance only.

Exit status: 0 verified; 1 not verified, naming what; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Int = npt.NDArray[np.int64]

FORMAT = "khazri network certificate 1"
BYTES_MAX = 32 * 1024 * 1024
PARTS_MAX = 1_000_000
INTEGER_MAX = 2**53 - 1
NODES_MAX = 2_000
BUSES_MAX = 20_000
BRANCHES_MAX = 20_000
INTERVALS_MAX = 10_000
NAME_MAX = 1_000
POWER_MAX = 10**12
RESIDUAL_MAX_W = 0.1
"""Whole W and var are told apart, and the last digit of a voltage is far below it."""
VOLTAGE_SLACK_PU = 1e-5
LOADING_SLACK_PERCENT = 1e-2
"""Beyond a limit: what rounding powers to whole W may move."""
WEIGHT_LEAST = 0.2
POWER_STEPS = 20
HALVINGS = 40
REASONS_MAX = 20

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-][0-9]{2,3})?", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_START = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


class UsageError(Exception):
    """What the verifier was given is wrong: exit status 2."""


class NotVerified(Exception):  # noqa: N818 - a verdict, not an error of the program
    """The certificate does not hold: exit status 1."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(reasons[0])
        self.reasons = list(reasons)


# Reading


def canonical(value: Any) -> bytes:
    """Return canonical JSON; names are ASCII here, so that they sort as RFC 8785 wants."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        raise NotVerified("a text has a lone surrogate") from error


def _integer(text: str) -> int:
    if len(text) > 17 or not -INTEGER_MAX <= int(text) <= INTEGER_MAX:
        raise NotVerified(f"the integer {text[:24]} is beyond 2^53 - 1")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise NotVerified(f"the number {text[:24]} is no integer: it must be a string")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotVerified(f"the member {plain(name)} is there twice")
        found[name] = value
    return found


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_DECODER = json.JSONDecoder(
    parse_int=_integer,
    parse_float=_no_number,
    parse_constant=_no_number,
    object_pairs_hook=_once,
)


def plain(text: str) -> str:
    """Return a text from outside as it may be printed: short and without control characters."""
    return ascii(text[:80])


def parse(data: bytes) -> Any:
    """Return the value whose canonical bytes are `data`."""
    if len(data) > BYTES_MAX:
        raise NotVerified(f"the document is longer than {BYTES_MAX} bytes")
    if data.count(b"[") + data.count(b"{") > PARTS_MAX:
        raise NotVerified(f"the document has more than {PARTS_MAX} lists and objects")
    try:
        value = _DECODER.decode(data.decode())
        same = canonical(value) == data
    except ValueError as error:
        raise NotVerified(f"no JSON: {plain(str(error))}") from error
    except RecursionError as error:
        raise NotVerified("the document is nested too deep") from error
    if not same:
        raise NotVerified("the document is not in its canonical form (RFC 8785)")
    return value


def members(value: Any, where: str, *names: str) -> list[Any]:
    """Return the members of an object that has exactly these."""
    if not isinstance(value, dict):
        raise NotVerified(f"{where} is no object")
    if set(value) != set(names):
        missing = sorted(set(names) - set(value))
        if missing:
            raise NotVerified(f"{where} has no member {missing[0]}")
        raise NotVerified(f"{where} has a member {plain(min(set(value) - set(names)))} too many")
    return [value[name] for name in names]


def rows(value: Any, where: str, most: int, least: int = 0) -> list[Any]:
    """Return a list of a bounded length."""
    if not isinstance(value, list):
        raise NotVerified(f"{where} is no list")
    if not least <= len(value) <= most:
        raise NotVerified(f"{where} has {len(value)} entries, must have {least} to {most}")
    return value


def whole(value: Any, where: str, low: int = -INTEGER_MAX, high: int = INTEGER_MAX) -> int:
    """Return an integer within bounds."""
    if type(value) is not int:
        raise NotVerified(f"{where} is no integer")
    if not low <= value <= high:
        raise NotVerified(f"{where} is {value}, must be within {low} to {high}")
    return value


def real(value: Any, where: str, low: float, high: float) -> float:
    """Return a number written as a string, within bounds."""
    if not isinstance(value, str) or len(value) > 32 or not _NUMBER.fullmatch(value):
        told = plain(value) if isinstance(value, str) else type(value).__name__
        raise NotVerified(f"{where} is {told}, must be a decimal number in a string")
    number = float(value)
    if not math.isfinite(number) or written(number) != value:
        raise NotVerified(f"{where} is {value}, not the shortest form of a double")
    if not low <= number <= high:
        raise NotVerified(f"{where} is {value}, must be within {low:g} to {high:g}")
    return number


def written(number: float) -> str:
    """Return a number as the document writes it."""
    text = repr(number + 0.0)
    return text.removesuffix(".0")


def text(value: Any, where: str) -> str:
    """Return a text of a bounded length."""
    if not isinstance(value, str) or len(value) > NAME_MAX:
        raise NotVerified(f"{where} is no text of at most {NAME_MAX} characters")
    return value


def digest_text(value: Any, where: str) -> str:
    """Return a SHA-256 in hexadecimal."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise NotVerified(f"{where} is no SHA-256 of 64 lower-case hexadecimal digits")
    return value


def pair(value: Any, where: str, most: float) -> complex:
    """Return a complex number written as [real, imaginary]."""
    parts = rows(value, where, 2, 2)
    return complex(real(parts[0], where, -most, most), real(parts[1], where, -most, most))


def powers(value: Any, where: str, count: int) -> list[int]:
    """Return whole W or var, one for each bus."""
    return [whole(one, where, -POWER_MAX, POWER_MAX) for one in rows(value, where, count, count)]


def voltages(value: Any, where: str, count: int) -> list[float]:
    """Return parts of voltages, one for each node."""
    return [real(one, where, -10.0, 10.0) for one in rows(value, where, count, count)]


# The network


_Y_MAX = 1e12
_PORTS = ("yff", "yft", "ytf", "ytt")


@dataclass(frozen=True, eq=False)
class Branches:
    """Lines or transformers as they are in the document."""

    table: str
    index: list[int]
    name: list[str]
    bus: Int
    node: Int
    two_port: Complex
    rated: Float

    def label(self, row: int) -> str:
        """Return how a branch is named."""
        return f"{self.table} {self.index[row]}"


@dataclass(frozen=True, eq=False)
class Network:
    """One network of the document, and what follows from it."""

    base_mva: float
    bus: list[int]
    name: list[str]
    kv: Float
    node: Int
    shunt: Complex
    held_bus: list[int]
    held_pu: Complex
    line: Branches
    trafo: Branches
    held: Int = field(init=False)
    node_kv: Float = field(init=False)
    entries: dict[tuple[int, int], complex] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "held", self._held())
        kv = np.zeros(self.nodes)
        alive = np.flatnonzero(self.node >= 0)
        # The first bus of a node gives its base voltage.
        kv[self.node[alive][::-1]] = self.kv[alive][::-1]
        object.__setattr__(self, "node_kv", kv)
        object.__setattr__(self, "entries", self._admittances())

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.node.max(initial=-1)) + 1

    def _held(self) -> Int:
        place = {bus: position for position, bus in enumerate(self.bus)}
        return np.array([self.node[place[bus]] for bus in self.held_bus], dtype=np.int64)

    def _admittances(self) -> dict[tuple[int, int], complex]:
        """Return the entries of the admittance matrix, summed in the order of the document."""
        found: dict[tuple[int, int], complex] = {}
        for table in (self.line, self.trafo):
            on = np.flatnonzero(table.node[:, 0] >= 0).tolist()
            for column, (a, b) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
                for row in on:
                    at = int(table.node[row, a]), int(table.node[row, b])
                    value = complex(table.two_port[row, column])
                    found[at] = found[at] + value if at in found else value
        for position in np.flatnonzero(self.node >= 0).tolist():
            at = int(self.node[position]), int(self.node[position])
            value = complex(self.shunt[position])
            found[at] = found[at] + value if at in found else value
        return found

    def ybus(self) -> Complex:
        """Return the admittance matrix, per unit."""
        matrix = np.zeros((self.nodes, self.nodes), dtype=np.complex128)
        for at, value in self.entries.items():
            matrix[at] = value
        return matrix

    def topology(self) -> str:
        """Return the SHA-256 over buses, branches, admittances, ratings and held voltages."""
        digest = sha256(b"khazri network 2\0")

        def told(*items: object) -> None:
            digest.update(("\x1f".join(map(str, items)) + "\x1e").encode())

        def numbers(values: Any) -> None:
            told(*(f"{value + 0.0:.9g}" for value in values))

        told(f"{self.base_mva:.9g}", *self.held_bus)
        numbers(self.held_pu.real.tolist())
        numbers(self.held_pu.imag.tolist())
        told(*self.bus)
        told(*self.name)
        told(*self.node.tolist())
        numbers(self.kv.tolist())
        order = sorted(self.entries)
        told(*(row for row, _ in order))
        told(*(column for _, column in order))
        numbers([self.entries[at].real for at in order])
        numbers([self.entries[at].imag for at in order])
        for table in (self.line, self.trafo):
            told(*table.index)
            told(*table.name)
            told(*table.bus[:, 0].tolist(), *table.bus[:, 1].tolist())
            told(*table.node[:, 0].tolist(), *table.node[:, 1].tolist())
            numbers(table.rated[:, 0].tolist())
            numbers(table.rated[:, 1].tolist())
        return digest.hexdigest()


def read_branches(value: Any, where: str, table: str, node_of: dict[int, int]) -> Branches:
    """Return the lines or transformers of a network."""
    index, name, bus, node, two_port, rated = [], [], [], [], [], []
    for number, row in enumerate(rows(value, where, BRANCHES_MAX)):
        at = f"{where}[{number}]"
        parts = members(
            row, at, "index", "name", "from_bus", "to_bus", "from_node", "to_node", *_PORTS,
            "rated_from_ka", "rated_to_ka",
        )  # fmt: skip
        index.append(whole(parts[0], f"{at}.index", 0))
        name.append(text(parts[1], f"{at}.name"))
        ends = [whole(end, f"{at}.bus", 0) for end in parts[2:4]]
        nodes = [whole(end, f"{at}.node", -1, NODES_MAX) for end in parts[4:6]]
        ports = [pair(p, f"{at}.{n}", _Y_MAX) for p, n in zip(parts[6:10], _PORTS, strict=True)]
        ratings = [real(part, f"{at}.rated", 1e-9, 1e9) for part in parts[10:12]]
        _check_ends(at, ends, nodes, ports, node_of)
        bus.append(ends)
        node.append(nodes)
        two_port.append(ports)
        rated.append(ratings)
    if len(set(index)) != len(index):
        raise NotVerified(f"{where} has an index twice")
    count = len(index)
    return Branches(
        table,
        index,
        name,
        np.array(bus, dtype=np.int64).reshape(count, 2),
        np.array(node, dtype=np.int64).reshape(count, 2),
        np.array(two_port, dtype=np.complex128).reshape(count, 4),
        np.array(rated, dtype=np.float64).reshape(count, 2),
    )


def _check_ends(
    at: str, ends: list[int], nodes: list[int], ports: list[complex], node_of: dict[int, int]
) -> None:
    """Check that a branch's nodes are those of its buses, or of one where it is open."""
    for end in ends:
        if end not in node_of:
            raise NotVerified(f"{at}: bus {end} is not among the buses")
    if nodes == [-1, -1] or (min(nodes) >= 0 and nodes == [node_of[end] for end in ends]):
        return
    seen = [ports[0], ports[3]]
    open_at_one = nodes[0] == nodes[1] >= 0 and nodes[0] in [node_of[end] for end in ends]
    if not open_at_one or ports[1] or ports[2] or (seen[0] and seen[1]):
        raise NotVerified(f"{at}: its nodes are not those of its buses")


def read_network(value: Any, where: str) -> Network:
    """Return a network of the document, checked for shape and range."""
    base, buses, held, line, trafo = members(
        value, where, "base_mva", "bus", "held", "line", "trafo"
    )
    index, name, kv, node, shunt = [], [], [], [], []
    for number, row in enumerate(rows(buses, f"{where}.bus", BUSES_MAX, 1)):
        at = f"{where}.bus[{number}]"
        parts = members(row, at, "index", "name", "vn_kv", "node", "shunt")
        index.append(whole(parts[0], f"{at}.index", 0))
        name.append(text(parts[1], f"{at}.name"))
        kv.append(real(parts[2], f"{at}.vn_kv", 1e-3, 1e4))
        node.append(whole(parts[3], f"{at}.node", -1, NODES_MAX - 1))
        shunt.append(pair(parts[4], f"{at}.shunt", _Y_MAX))
    if len(set(index)) != len(index):
        raise NotVerified(f"{where}.bus has an index twice")
    numbered = sorted(set(node) - {-1})
    if numbered != list(range(len(numbered))) or not numbered:
        raise NotVerified(f"{where}.bus: nodes are not numbered from 0 without gaps")
    node_of = dict(zip(index, node, strict=True))
    held_bus, held_pu = [], []
    for number, row in enumerate(rows(held, f"{where}.held", len(numbered), 1)):
        at = f"{where}.held[{number}]"
        bus, voltage = members(row, at, "bus", "v_pu")
        held_bus.append(whole(bus, f"{at}.bus", 0))
        held_pu.append(pair(voltage, f"{at}.v_pu", 10.0))
        if node_of.get(held_bus[-1], -1) < 0:
            raise NotVerified(f"{at}: bus {held_bus[-1]} is not there or dead")
        if not abs(held_pu[-1]) >= 0.1:
            raise NotVerified(f"{at}: a source holds {abs(held_pu[-1]):g} pu")
    if len({node_of[bus] for bus in held_bus}) != len(held_bus):
        raise NotVerified(f"{where}.held: two sources hold one node")
    network = Network(
        real(base, f"{where}.base_mva", 1e-6, 1e6),
        index,
        name,
        np.array(kv),
        np.array(node, dtype=np.int64),
        np.array(shunt, dtype=np.complex128),
        held_bus,
        np.array(held_pu, dtype=np.complex128),
        read_branches(line, f"{where}.line", "line", node_of),
        read_branches(trafo, f"{where}.trafo", "trafo", node_of),
    )
    _check_fed(network, where)
    return network


def _check_fed(network: Network, where: str) -> None:
    """Check that a source reaches every node."""
    near: dict[int, list[int]] = {}
    for a, b in network.entries:
        near.setdefault(a, []).append(b)
    reached = set(network.held.tolist())
    ahead = list(reached)
    while ahead:
        for node in near.get(ahead.pop(), ()):
            if node not in reached:
                reached.add(node)
                ahead.append(node)
    if len(reached) != network.nodes:
        lost = min(set(range(network.nodes)) - reached)
        bus = network.bus[int(np.flatnonzero(network.node == lost)[0])]
        raise NotVerified(f"{where}: no source reaches bus {bus}, which is said to be alive")


def check_same(first: Network, second: Network) -> None:
    """Check that two networks of a document are one feeder, fed in two ways."""
    pairs: list[tuple[str, Any, Any]] = [
        ("base_mva", first.base_mva, second.base_mva),
        ("buses", first.bus, second.bus),
        ("names of buses", first.name, second.name),
        ("nominal voltages", first.kv.tolist(), second.kv.tolist()),
        ("shunts", first.shunt.tolist(), second.shunt.tolist()),
    ]
    for one, other in ((first.line, second.line), (first.trafo, second.trafo)):
        if one.index != other.index:
            raise NotVerified(f"networks 0 and 1 differ in their {one.table}s")
        whole_here = (one.node >= 0).all(axis=1) & (one.node[:, 0] != one.node[:, 1])
        whole_here &= (other.node >= 0).all(axis=1) & (other.node[:, 0] != other.node[:, 1])
        for what, a, b in (
            ("name", np.array(one.name), np.array(other.name)),
            ("buses", one.bus, other.bus),
            ("rating", one.rated, other.rated),
            ("two-port", one.two_port[whole_here], other.two_port[whole_here]),
        ):
            pairs.append((f"{what} of a {one.table}", a.tolist(), b.tolist()))
    for what, one_value, other_value in pairs:
        if one_value != other_value:
            raise NotVerified(f"networks 0 and 1 are one feeder, but differ in: {what}")


# Limits, intervals and states


@dataclass(frozen=True)
class Limits:
    """What the network must keep, and how near to a limit it binds."""

    voltage_min_pu: float
    voltage_max_pu: float
    loading_max_percent: float
    binding_within_pu: float
    binding_within_percent: float


def read_limits(value: Any) -> Limits:
    """Return the limits of the document."""
    bounds = {
        "voltage_min_pu": (0.1, 1.0),
        "voltage_max_pu": (1.0, 2.0),
        "loading_max_percent": (0.1, 1000.0),
        "binding_within_pu": (0.0, 0.05),
        "binding_within_percent": (0.0, 10.0),
    }
    parts = members(value, "limits", *bounds)
    return Limits(
        *(
            real(part, f"limits.{name}", *bound)
            for part, (name, bound) in zip(parts, bounds.items(), strict=True)
        )
    )


@dataclass(frozen=True, eq=False)
class Binding:
    """A limit that is said to bind."""

    limit: str
    element: str
    value: float
    bound: float


@dataclass(frozen=True, eq=False)
class State:
    """One interval: what is injected, and what is said of the state it makes."""

    start: str
    network: int | None
    power_w: Complex
    voltage: Complex
    residual_w: float
    margin: float
    unique_within_pu: float
    binding: list[Binding]


_LIMIT_NAMES = ("voltage_min_pu", "voltage_max_pu", "loading_max_percent")


def read_states(intervals: Any, states: Any, networks: list[Network]) -> list[State]:
    """Return the intervals with their states."""
    given = rows(intervals, "intervals", INTERVALS_MAX, 1)
    told = rows(states, "states", INTERVALS_MAX, 1)
    if len(given) != len(told):
        raise NotVerified(f"{len(given)} intervals, but {len(told)} states")
    found: list[State] = []
    for number, (one, other) in enumerate(zip(given, told, strict=True)):
        at = f"intervals[{number}]"
        start, network, p_w, q_var = members(one, at, "start", "network", "p_w", "q_var")
        _check_start(start, at)
        if found and start <= found[-1].start:
            raise NotVerified(f"{at}: {start} is not after {found[-1].start}")
        if network is not None:
            whole(network, f"{at}.network", 0, len(networks) - 1)
        count = len(networks[0].bus)
        at = f"{at} {start}"
        injected = np.array(powers(p_w, f"{at} p_w", count)) * (1.0 + 0.0j)
        injected += 1j * np.array(powers(q_var, f"{at} q_var", count))
        found.append(_read_state(other, number, start, network, injected, networks))
    used = {state.network for state in found} - {None}
    if used != set(range(len(networks))):
        raise NotVerified("a network in the document is of no interval")
    return found


def _check_start(start: Any, at: str) -> None:
    if not isinstance(start, str) or not _START.fullmatch(start):
        raise NotVerified(f"{at}.start is no UTC instant such as 2026-03-29T01:00:00Z")
    try:
        datetime.fromisoformat(start)
    except ValueError as error:
        raise NotVerified(f"{at}.start is {start}, which is no instant") from error


def _read_state(
    value: Any,
    number: int,
    start: str,
    network: int | None,
    power_w: Complex,
    networks: list[Network],
) -> State:
    at = f"states[{number}]"
    if network is None:
        if value is not None:
            raise NotVerified(f"{at} {start}: all is dead, yet there is a state")
        nothing = np.zeros(0, dtype=np.complex128)
        return State(start, None, power_w, nothing, 0.0, 1.0, 0.0, [])
    names = ("v_real_pu", "v_imag_pu", "residual_w", "margin", "unique_within_pu", "binding")
    re_pu, im_pu, residual, margin, unique, binding = members(value, at, *names)
    count = networks[network].nodes
    at = f"{at} {start}"
    voltage = np.array(voltages(re_pu, f"{at} v_real_pu", count)) * (1.0 + 0.0j)
    voltage += 1j * np.array(voltages(im_pu, f"{at} v_imag_pu", count))
    limits = []
    for place, row in enumerate(rows(binding, f"{at}.binding", 3 * BUSES_MAX)):
        here = f"{at} binding[{place}]"
        limit, element, amount, bound = members(row, here, "limit", "element", "value", "bound")
        if limit not in _LIMIT_NAMES:
            raise NotVerified(f"{here}: {plain(str(limit))} is not among the limits")
        value_there = real(amount, here, 0.0, 1e9)
        limits.append(Binding(limit, text(element, here), value_there, real(bound, here, 0.0, 1e9)))
    return State(
        start,
        network,
        power_w,
        voltage,
        real(residual, f"{at} residual_w", 0.0, 1e15),
        real(margin, f"{at} margin", -1e15, 1.0),
        real(unique, f"{at} unique_within_pu", 0.0, 10.0),
        limits,
    )


@dataclass(frozen=True, eq=False)
class Document:
    """A certificate, checked for its shape."""

    raw: dict[str, Any]
    networks: list[Network]
    limits: Limits
    states: list[State]


def read(data: bytes) -> Document:
    """Return a certificate from its bytes."""
    raw = parse(data)
    names = ("format", "hashes", "intervals", "limits", "networks", "states")
    if isinstance(raw, dict) and raw.get("format") != FORMAT:
        raise NotVerified(f"the format is not {FORMAT!r}")
    _, hashes, intervals, limits, networks, states = members(raw, "the document", *names)
    members(hashes, "hashes", "certificate", "claim", "injections", "topology")
    read_networks = [
        read_network(one, f"networks[{number}]")
        for number, one in enumerate(rows(networks, "networks", 2, 1))
    ]
    if len(read_networks) == 2:
        check_same(*read_networks)
    return Document(
        raw, read_networks, read_limits(limits), read_states(intervals, states, read_networks)
    )


# Judging


def hashes(document: Document) -> dict[str, Any]:
    """Return the hashes of a certificate, computed."""
    raw = document.raw
    claim = {name: raw[name] for name in ("format", "intervals", "limits", "networks")}
    found: dict[str, Any] = {
        "claim": sha256(canonical(claim)).hexdigest(),
        "injections": sha256(canonical(raw["intervals"])).hexdigest(),
        "topology": [network.topology() for network in document.networks],
    }
    covered = {name: raw[name] for name in ("format", "intervals", "limits", "networks", "states")}
    found["certificate"] = sha256(canonical({**covered, "hashes": found})).hexdigest()
    return found


def check_hashes(
    document: Document, wanted: dict[str, list[str]]
) -> tuple[dict[str, Any], list[str]]:
    """Return the computed hashes and where the document or the outside says otherwise."""
    found, told, reasons = hashes(document), document.raw["hashes"], []
    for name in ("claim", "injections", "certificate"):
        if digest_text(told[name], f"hashes.{name}") != found[name]:
            reasons.append(f"the {name} hash in the document is not that of its content")
        if name in wanted and found[name] not in wanted[name]:
            reasons.append(
                f"the {name} hash is {found[name]}, not the one given: {wanted[name][0]}"
            )
    for number, one in enumerate(rows(told["topology"], "hashes.topology", 2, 1)):
        if (
            number >= len(found["topology"])
            or digest_text(one, "hashes.topology") != found["topology"][number]
        ):
            reasons.append(f"the topology hash {number} in the document is not that of its network")
    if len(told["topology"]) != len(found["topology"]):
        reasons.append("the document does not have one topology hash for each network")
    for number, one in enumerate(found["topology"]):
        if "topology" in wanted and one not in wanted["topology"]:
            reasons.append(f"the topology hash of network {number} is {one}, not one given")
    return found, reasons


@dataclass
class Report:
    """What was found.

    Attributes
    ----------
    reasons : list of str
        Why the certificate does not hold; none when it does.
    """

    reasons: list[str] = field(default_factory=list)
    residual_w: float = 0.0
    margin: float = 1.0
    unproved: int = 0
    bound: int = 0
    vm_low: float = math.inf
    vm_high: float = -math.inf
    loading: float = 0.0
    unserved_w: int = 0
    dead: int = 0


def judge(document: Document, report: Report) -> None:
    """Judge the states of every network of a certificate."""
    for number, network in enumerate(document.networks):
        states = [state for state in document.states if state.network == number]
        _judge_network(network, states, document.limits, report)
    for state in document.states:
        dead = np.ones(len(document.networks[0].bus), dtype=np.bool_)
        if state.network is not None:
            dead = document.networks[state.network].node < 0
        report.dead = max(report.dead, int(dead.sum()))
        absorbed = np.maximum(-state.power_w.real[dead], 0.0)
        report.unserved_w = max(report.unserved_w, int(absorbed.sum()))


def _judge_network(network: Network, states: list[State], limits: Limits, report: Report) -> None:
    ybus = network.ybus()
    voltage = np.stack([state.voltage for state in states], axis=1)
    power = np.zeros(voltage.shape, dtype=np.complex128)
    alive = np.flatnonzero(network.node >= 0)
    injected = np.stack([state.power_w[alive] for state in states], axis=1)
    np.add.at(power, network.node[alive], injected * (1e-6 / network.base_mva))
    others = np.delete(np.arange(network.nodes), network.held)
    off = np.abs(voltage[network.held] - network.held_pu[:, None]).max(axis=0)
    for column in np.flatnonzero(~(off <= 1e-12)):
        report.reasons.append(
            f"{states[column].start}: a source's voltage is {off[column]:.3g} pu from what it holds"
        )
    if not np.abs(voltage).min(initial=1.0) > 1e-3:
        report.reasons.append("a node has no voltage")
        return
    current = ybus @ voltage
    mismatch = np.abs(voltage * current.conj() - power)[others] * (network.base_mva * 1e6)
    blur = (np.abs(ybus) @ np.abs(voltage) * np.abs(voltage))[others]
    blur *= network.base_mva * 1e6 * 64 * np.finfo(float).eps
    _judge_residual(network, states, others, mismatch, blur, report)
    _judge_limits(network, states, voltage, limits, report)
    _judge_margin(states, others, network, ybus, voltage, power, report)


def _judge_residual(
    network: Network,
    states: list[State],
    others: Int,
    mismatch: Float,
    blur: Float,
    report: Report,
) -> None:
    beyond = ~(mismatch <= RESIDUAL_MAX_W + blur)
    for row, column in np.argwhere(beyond)[:REASONS_MAX]:
        bus = network.bus[int(np.flatnonzero(network.node == others[row])[0])]
        report.reasons.append(
            f"{states[column].start} bus {bus}: power and voltages differ by "
            f"{mismatch[row, column]:.6g} VA, at most {RESIDUAL_MAX_W:g}"
        )
    largest = mismatch.max(axis=0, initial=0.0)
    blurred = blur.max(axis=0, initial=0.0)
    report.residual_w = max(report.residual_w, float(largest.max()))
    for state, found, unsure in zip(states, largest.tolist(), blurred.tolist(), strict=True):
        if not abs(state.residual_w - found) <= 2e-3 + unsure:
            report.reasons.append(
                f"{state.start}: the residual is {found:.3f} VA, not {state.residual_w:g}"
            )


def _judge_limits(
    network: Network, states: list[State], voltage: Complex, limits: Limits, report: Report
) -> None:
    alive = np.flatnonzero(network.node >= 0)
    vm_pu = np.abs(voltage)[network.node[alive]]
    buses = [f"bus {network.bus[position]}" for position in alive.tolist()]
    report.vm_low = min(report.vm_low, float(vm_pu.min()))
    report.vm_high = max(report.vm_high, float(vm_pu.max()))
    near_pu, near_percent = limits.binding_within_pu, limits.binding_within_percent
    low, high = limits.voltage_min_pu, limits.voltage_max_pu
    kinds = [
        ("voltage_min_pu", buses, vm_pu, -1.0, low, VOLTAGE_SLACK_PU, near_pu),
        ("voltage_max_pu", buses, vm_pu, 1.0, high, VOLTAGE_SLACK_PU, near_pu),
    ]
    for table in (network.line, network.trafo):
        on, loading = _loading(network, table, voltage)
        report.loading = max(report.loading, float(loading.max(initial=0.0)))
        labels = [table.label(row) for row in on.tolist()]
        most = limits.loading_max_percent
        kinds.append(
            ("loading_max_percent", labels, loading, 1.0, most, LOADING_SLACK_PERCENT, near_percent)
        )
    listed = [{(b.limit, b.element): b for b in state.binding} for state in states]
    for state, known in zip(states, listed, strict=True):
        if len(known) != len(state.binding):
            report.reasons.append(f"{state.start}: a binding limit is listed twice")
    for limit, labels, values, sign, bound, slack, near in kinds:
        excess = sign * (values - bound)
        for row, column in np.argwhere(~(excess <= slack))[:REASONS_MAX]:
            report.reasons.append(
                f"{states[column].start} {labels[row]}: {values[row, column]:.6f} breaks "
                f"{limit} {bound:g}"
            )
        # On the very edge the last bits decide: either is right.
        for row, column in np.argwhere(excess >= -near - 1e-9):
            state, value = states[column], float(values[row, column])
            known_there = listed[column].pop((limit, labels[row]), None)
            report.bound += 1
            if known_there is None and excess[row, column] >= -near + 1e-9:
                report.reasons.append(
                    f"{state.start} {labels[row]}: {limit} binds at {value:.6f}, but is not listed"
                )
            elif known_there is not None and (
                abs(known_there.value - value) > 2e-6 or known_there.bound != bound
            ):
                report.reasons.append(
                    f"{state.start} {labels[row]}: {limit} {bound:g} binds at {value:.6f}, not at "
                    f"{known_there.value:g} of {known_there.bound:g}"
                )
    for state, rest in zip(states, listed, strict=True):
        report.reasons.extend(
            f"{state.start} {plain(element)}: {limit} does not bind, but is listed"
            for limit, element in rest
        )


def _loading(network: Network, table: Branches, voltage: Complex) -> tuple[Int, Float]:
    """Return (rows, percent of their rating (row, interval)) of the branches that are on."""
    on = np.flatnonzero(table.node[:, 0] >= 0)
    f, t = table.node[on, 0], table.node[on, 1]
    ports = table.two_port[on]
    i_from = ports[:, 0, None] * voltage[f] + ports[:, 1, None] * voltage[t]
    i_to = ports[:, 2, None] * voltage[f] + ports[:, 3, None] * voltage[t]
    base = 100.0 * network.base_mva / math.sqrt(3.0)
    from_scale = base / (network.node_kv[f] * table.rated[on, 0])
    to_scale = base / (network.node_kv[t] * table.rated[on, 1])
    percent = np.maximum(np.abs(i_from) * from_scale[:, None], np.abs(i_to) * to_scale[:, None])
    return on, percent


def _judge_margin(
    states: list[State],
    others: Int,
    network: Network,
    ybus: Complex,
    voltage: Complex,
    power: Complex,
    report: Report,
) -> None:
    inner = ybus[np.ix_(others, others)]
    impedance = np.linalg.inv(inner) if len(others) else inner
    if not np.abs(impedance @ inner - np.eye(len(others))).max(initial=0.0) <= 1e-6:
        raise NotVerified("the admittance matrix cannot be inverted")
    towards = ybus[np.ix_(others, network.held)] @ voltage[network.held]
    idle = -(impedance @ towards)
    v, s = voltage[others], power[others]
    moved = np.abs(v - idle - impedance @ (s.conj() / v.conj()))
    margin, unique = existence(np.abs(impedance), np.abs(s), np.abs(v), moved)
    report.margin = min(report.margin, float(margin.min()))
    report.unproved += int((margin <= 0).sum())
    for state, found, within in zip(states, margin.tolist(), unique.tolist(), strict=True):
        if not abs(state.margin - found) <= 2e-6 * max(1.0, abs(found)):
            report.reasons.append(
                f"{state.start}: the existence margin is {found:.6f}, not {state.margin:g}"
            )
        if not abs(state.unique_within_pu - within) <= 2e-6:
            report.reasons.append(
                f"{state.start}: the state is alone within {within:.6f} pu, "
                f"not {state.unique_within_pu:g}"
            )


def existence(z: Float, s: Float, v: Float, moved: Float) -> tuple[Float, Float]:
    """Return the existence margin and the radius in pu within which the state is the only one.

    Parameters
    ----------
    z : float64 (node, node)
        Magnitudes of the impedances of the nodes that no source holds.
    s, v, moved : float64 (node, interval)
        Magnitudes of powers, of voltages, and of how far the power flow's map moves them.
    """
    count = s.shape[1]
    if not len(z):
        return np.ones(count), np.zeros(count)
    h = np.ones(s.shape)
    for _ in range(POWER_STEPS):
        h = z @ (s * h / v**2)
        peak = h.max(axis=0)
        h = np.where(peak > 0.0, h / np.where(peak > 0.0, peak, 1.0), 1.0)
        h = np.maximum(h, WEIGHT_LEAST)

    def contraction(r: Float) -> Float:
        factor: Float = ((z @ (s * h / (v - r * h) ** 2)) / h).max(axis=0)
        return factor

    margin = 1.0 - contraction(np.zeros(count))
    low, high = np.zeros(count), (v / h).min(axis=0) * (1.0 - 1e-9)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        fits = contraction(middle) < 1.0
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    reach = ((moved + low * (z @ (s * h / ((v - low * h) * v)))) / h).max(axis=0)
    proved = (margin > 0.0) & (low > 0.0) & (reach <= low)
    return (
        np.where(proved, margin, np.minimum(margin, 0.0)),
        np.where(proved, low * h.min(axis=0), 0.0),
    )


# The command


def verify(
    data: bytes, wanted: dict[str, list[str]] | None = None
) -> tuple[Document, dict[str, Any], Report]:
    """Return the document, its hashes and what was found; raise NotVerified otherwise."""
    wanted = wanted or {}
    document = read(data)
    found, reasons = check_hashes(document, wanted)
    report = Report(reasons)
    with np.errstate(all="ignore"):
        try:
            judge(document, report)
        except np.linalg.LinAlgError as error:
            raise NotVerified("the admittance matrix cannot be inverted") from error
    if report.reasons:
        raise NotVerified(*report.reasons)
    return document, found, report


def summary(
    document: Document, found: dict[str, Any], report: Report, wanted: dict[str, list[str]]
) -> str:
    """Return the verdict for people."""

    def against(name: str) -> str:
        return "as given" if name in wanted else "not compared: none given"

    states = document.states
    limits = document.limits
    band = f"{limits.voltage_min_pu:g} to {limits.voltage_max_pu:g}"
    lines = [
        f"VERIFIED certificate {found['certificate']} ({against('certificate')})",
        f"  claim       {found['claim']} ({against('claim')})",
        f"  injections  {found['injections']} ({against('injections')})",
    ]
    lines += [f"  topology    {one} ({against('topology')})" for one in found["topology"]]
    lines += [
        f"  intervals   {len(states)}, {states[0].start} to {states[-1].start}",
        f"  balance     largest mismatch {report.residual_w:.4f} VA, at most {RESIDUAL_MAX_W:g}",
        f"  voltage     {report.vm_low:.5f} to {report.vm_high:.5f} pu, limits {band}",
        f"  loading     {report.loading:.2f} %, limit {limits.loading_max_percent:g}",
        f"  binding     {report.bound} limits",
        f"  existence   margin {report.margin:.4f} at least",
    ]
    if report.unproved:
        lines.append(
            f"  existence   residual only in {report.unproved} of {len(states)} intervals: "
            "the sufficient condition is not met"
        )
    if report.dead:
        lines.append(
            f"  dead        up to {report.dead} buses, up to {report.unserved_w} W not served"
        )
    return "\n".join(lines)


def _hash_option(value: str) -> str:
    if not _HASH.fullmatch(value):
        raise argparse.ArgumentTypeError("must be 64 lower-case hexadecimal digits")
    return value


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="verify_certificate", description="Verify a network certificate.", allow_abbrev=False
    )
    parser.add_argument("file", metavar="FILE", help="the certificate")
    for name in ("topology", "injections", "claim", "certificate"):
        parser.add_argument(
            f"--{name}", metavar="HASH", action="append", type=_hash_option, help="what it must be"
        )
    parser.add_argument("--json", action="store_true", help="report as one line of JSON")
    return parser.parse_args(argv)


def load(path: str) -> bytes:
    """Return the bytes of a file, one more than is allowed at most."""
    try:
        with open(path, "rb") as stream:
            return stream.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{plain(path)} cannot be read") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        options = arguments(argv)
    except SystemExit as stop:
        return 2 if stop.code else 0
    names = ("topology", "injections", "claim", "certificate")
    wanted = {name: getattr(options, name) for name in names if getattr(options, name)}
    try:
        document, found, report = verify(load(options.file), wanted)
    except UsageError as error:
        print(f"verify_certificate: {error}", file=sys.stderr)
        return 2
    except (NotVerified, MemoryError, OverflowError) as error:
        reasons = error.reasons if isinstance(error, NotVerified) else ["the document is too large"]
        told = reasons[:REASONS_MAX]
        if len(reasons) > len(told):
            told.append(f"and {len(reasons) - len(told)} more")
        if options.json:
            print(json.dumps({"verified": False, "reasons": told}))
        else:
            print("\n".join(f"NOT VERIFIED: {reason}" for reason in told))
        return 1
    if options.json:
        facts = {name: getattr(report, name) for name in report.__dataclass_fields__}
        del facts["reasons"]
        print(json.dumps({"verified": True, "hashes": found, "compared": sorted(wanted), **facts}))
    else:
        print(summary(document, found, report, wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
