"""What the separate verifier refuses: everything that was changed, and everything hostile."""

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from grid.site import Network
from networks import verify_certificate
from networks.limits.certificate import certificate, digest, encode, written
from networks.sources.source import load
from networks.sources.tables import write_tables
from networks.verify_certificate import BYTES_MAX, NotVerified, main, verify

HASHES = ("topology", "injections", "claim", "certificate")


def _tables():
    """Return a transformer, two lines, a tie that is closed, one that is open, and a shunt."""
    line = {"length_km": 0.2, "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "c_nf_per_km": 800.0}
    return {
        "bus": [
            {"index": 10 * n, "vn_kv": 20.0 if n == 0 else 0.4, "name": f"knot {n}"}
            for n in range(6)
        ],
        "ext_grid": [{"index": 0, "bus": 0}],
        "trafo": [
            {
                "index": 0, "hv_bus": 0, "lv_bus": 10, "sn_mva": 0.16, "vn_hv_kv": 20.0,
                "vn_lv_kv": 0.4, "vk_percent": 4.0, "vkr_percent": 1.4, "pfe_kw": 0.46,
                "i0_percent": 0.3, "shift_degree": 150.0, "tap_side": "hv", "tap_pos": -1.0,
                "tap_step_percent": 2.5,
            }
        ],
        "line": [
            line | {"index": 0, "from_bus": 10, "to_bus": 20, "max_i_ka": 0.27},
            line | {"index": 1, "from_bus": 20, "to_bus": 30, "max_i_ka": 0.27, "parallel": 2},
            line | {"index": 2, "from_bus": 30, "to_bus": 50, "max_i_ka": 0.27},
        ],
        "switch": [
            {"index": 0, "bus": 30, "element": 40, "et": "b"},
            {"index": 1, "bus": 50, "element": 2, "et": "l", "closed": False},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory, random_inputs, solve):
    """Return the certificate of a plan with an outage and limits that bind."""
    path = tmp_path_factory.mktemp("small") / "small.toml"
    write_tables(_tables(), path)
    model = load(f"file:{path}", source_voltage_pu=1.01)
    inputs = random_inputs(model, 3, kw=30.0)
    inputs[0][:, -1] = [0.0, 0.0, 0.0]
    state = solve(model, inputs, [True, False, True], 40)
    highest = round(float(state["vm_pu"].max()), 4)
    loaded = float(state["trafo_loading_percent"].max())
    network = Network("x", voltage_max_pu=highest + 2e-4, loading_max_percent=loaded + 0.2)
    made = certificate(model, state, network)
    assert len(made["networks"]) == 2
    assert {one["limit"] for s in made["states"] for one in s["binding"]} == {
        "voltage_max_pu",
        "loading_max_percent",
    }
    return made


@pytest.fixture(scope="module")
def wanted(document):
    hashes = document["hashes"]
    return {name: hashes[name] if name == "topology" else [hashes[name]] for name in HASHES}


def _leaves(value, path=()):
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, (*path, number))
    else:
        yield path


def _at(document, path):
    for part in path:
        document = document[part]
    return document


def _changed(value, path):
    """Return a leaf changed a little: 1 W, a ppm, a letter."""
    if path[-1] == "name" or path[0] == "format":
        return f"{value}."
    if path[0] == "hashes":
        return ("0" if value[0] != "0" else "1") + value[1:]
    if path[-1] == "start":
        return value.replace(":00Z", ":01Z")
    if path[-1] == "element":
        return f"{value}0"
    if path[-1] == "limit":
        return "voltage_min_pu"
    if isinstance(value, int):
        return value + 1
    number = float(value)
    if path[0] == "states" and path[-1] in ("residual_w", "margin", "unique_within_pu", "value"):
        return written(number + (0.01 if path[-1] == "residual_w" else -1e-4))
    if path[-2] in ("v_real_pu", "v_imag_pu"):
        return written(number + 1e-6)
    return written(number * (1 + 1e-6) if number else 1e-6)


def _attack(document, path):
    """Return the document with one leaf changed and its inner hashes made right again."""
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = _changed(_at(document, path), path)
    claimed = {n: changed[n] for n in ("format", "intervals", "limits", "networks")}
    hashes = {"claim": digest(claimed), "injections": digest(changed["intervals"])}
    try:
        read = [verify_certificate.read_network(n, "n") for n in changed["networks"]]
        hashes["topology"] = [network.topology() for network in read]
    except NotVerified:
        hashes["topology"] = changed["hashes"]["topology"]
    whole = {n: changed[n] for n in changed if n != "hashes"}
    changed["hashes"] = {**hashes, "certificate": digest({**whole, "hashes": hashes})}
    return changed


def _reasons(document, wanted=None):
    try:
        verify(encode(document), wanted)
    except NotVerified as refused:
        return refused.reasons
    return []


def test_it_verifies_before_anything_is_changed(document, wanted):
    assert _reasons(document, wanted) == []
    assert sum(1 for _ in _leaves(document)) > 250


def test_any_change_of_any_leaf_is_refused(document):
    """Without a hash from outside: the document's own hashes see it."""
    for path in _leaves(document):
        changed = copy.deepcopy(document)
        _at(changed, path[:-1])[path[-1]] = _changed(_at(document, path), path)
        assert _reasons(changed), path


def test_any_change_by_one_who_mends_the_hashes_is_refused(document, wanted):
    """By balance, limits or margin, or else by the hashes given from outside.

    Only limits need ``--claim``, of which topology and injections say nothing, and the charging
    of a cable that is open at one end: a millionth of it is below the ninth digit of its node's
    admittance.
    """
    outside = {name: wanted[name] for name in ("topology", "injections")}
    for path in _leaves(document):
        if path[0] == "hashes":
            continue
        open_ended = path[2:4] == ("line", 2) and path[-2] == "yff"
        given = {"claim": wanted["claim"]} if path[0] == "limits" or open_ended else outside
        assert _reasons(_attack(document, path), given), path


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"p_w", "q_var"}, ["power and voltages differ by"]),
        ({"v_real_pu", "v_imag_pu"}, ["power and voltages differ by", "from what it holds"]),
        ({"value"}, ["binds at"]),
        ({"bound"}, ["binds at"]),
        ({"margin"}, ["the existence margin is"]),
        ({"unique_within_pu"}, ["the state is alone within"]),
        ({"residual_w"}, ["the residual is"]),
        ({"element", "limit"}, ["is not listed"]),
    ],
)
def test_what_is_computed_is_refused_by_name_though_all_hashes_are_mended(document, kinds, words):
    """No hash is known outside: physics alone refuses, and says in which interval."""
    node = [bus["node"] for bus in document["networks"][0]["bus"]]
    dead = {position for position, one in enumerate(node) if one < 0}
    held = ({0}, {4})  # The head's bus, and the bus whose source forms the island.
    seen = 0
    for path in _leaves(document):
        if not kinds & set(map(str, path)) or path[0] not in ("intervals", "states"):
            continue
        if path[-2] in ("p_w", "q_var"):
            # What enters at a source or at a dead bus is balanced by it: only a hash sees it.
            network = document["intervals"][path[1]]["network"]
            if path[-1] in dead | held[network] | ({3} if network else set()):
                continue
        reasons = _reasons(_attack(document, path))
        start = document["intervals"][path[1]]["start"]
        told = [reason for reason in reasons if start in reason]
        assert any(word in reason for word in words for reason in told), (path, reasons)
        seen += 1
    assert seen >= 2


def test_every_impedance_is_refused_by_balance_or_as_unlike_its_twin(document):
    """Each entry of each two-port between two nodes, a millionth off, all hashes mended."""
    seen = 0
    for path in _leaves(document):
        if path[0] != "networks" or path[-2] not in ("yff", "yft", "ytf", "ytt"):
            continue
        row = _at(document, path[:-2])
        if row["from_node"] == row["to_node"]:
            continue
        assert _reasons(_attack(document, path)), path
        seen += 1
    assert seen > 40


def test_hashes_from_outside_that_are_others_are_named(document):
    other = sha256(b"another").hexdigest()
    for name in HASHES:
        reasons = _reasons(document, {name: [other]})
        assert reasons
        assert all(f"the {name} hash" in reason for reason in reasons)
    only_first = {"topology": document["hashes"]["topology"][:1]}
    assert ["network 1" in reason for reason in _reasons(document, only_first)] == [True]


@pytest.mark.parametrize("limit", ["voltage_max_pu", "voltage_min_pu", "loading_max_percent"])
def test_a_tighter_limit_names_limit_interval_and_element(document, limit):
    changed = copy.deepcopy(document)
    factor = {"voltage_max_pu": 0.99, "voltage_min_pu": 1.1, "loading_max_percent": 0.9}[limit]
    given = float(document["limits"][limit]) * factor
    changed["limits"][limit] = written(given)
    reasons = [reason for reason in _reasons(changed) if f"breaks {limit} {given:g}" in reason]
    assert reasons
    words = ("2016-05-15T12:", " trafo 0:" if limit.startswith("loading") else " bus ")
    assert all(word in reason for reason in reasons for word in words)


def test_missing_and_foreign_members_are_named_at_every_level(document):
    places = list(_objects(document))
    assert len(places) > 25
    for path in places:
        here = _at(document, path)
        for name in here:
            changed = copy.deepcopy(document)
            del _at(changed, path)[name]
            (reason, *_) = _reasons(changed)
            assert "has no member" in reason or "format" in reason, (path, name)
        changed = copy.deepcopy(document)
        _at(changed, path)["zz"] = 1
        assert "too many" in _reasons(changed)[0], path


def _objects(value, path=()):
    if isinstance(value, dict):
        yield path
        value = value.items()
    elif isinstance(value, list):
        value = enumerate(value)
    else:
        return
    for name, part in value:
        yield from _objects(part, (*path, name))


ODD = (
    None, True, -1, 2**53, 10**40, "", "x", "nan", "NaN", "inf", "-inf", "1e999", "1.50", "01",
    "+1", "1_0", "١", "1e-400", "0x1p3", [], {}, [[]], "9" * 40, -(2**53), "1e308", "-1e308",
    "1e-320", "0",
)  # fmt: skip


def test_odd_values_anywhere_are_refused_and_never_crash(document):
    """Each leaf in turn becomes something that no certificate holds there."""
    for number, path in enumerate(_leaves(document)):
        for odd in ODD[number % 3 :: 3]:
            changed = copy.deepcopy(document)
            if _at(document, path) == odd:
                continue
            _at(changed, path[:-1])[path[-1]] = odd
            assert _reasons(changed), (path, odd)


def test_lists_cut_short_or_lengthened_are_refused(document):
    def lists(value, path=()):
        if isinstance(value, list):
            yield path
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            if isinstance(part, list | dict):
                yield from lists(part, (*path, name))

    for path in lists(document):
        for change in (lambda one: one[:-1], lambda one: one + one[:1], lambda one: one[::-1]):
            changed = copy.deepcopy(document)
            before = _at(document, path)
            if change(before) == before:
                continue
            _at(changed, path[:-1])[path[-1]] = change(before)
            assert _reasons(changed), path


def test_random_bytes_are_refused_and_never_crash(document):
    """Bytes flipped, cut out and doubled: a change of any is seen, whatever it leaves."""
    data = encode(document)
    draw = random.Random(5)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 8))):
            place = draw.randrange(len(changed))
            kind = draw.randrange(4)
            if kind == 0:
                changed[place] = draw.randrange(256)
            elif kind == 1:
                del changed[place : place + draw.randrange(1, 40)]
            elif kind == 2:
                changed[place:place] = changed[place : place + draw.randrange(1, 40)]
            else:
                changed[place:place] = draw.choice(
                    (b"NaN", b"1e9", b"[", b"}", b"\xff", b"\\ud800")
                )
        if bytes(changed) == data:
            continue
        with pytest.raises(NotVerified):
            verify(bytes(changed))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
        (b'{"format":NaN}', "no integer"),
        (b'{"format":-Infinity}', "no integer"),
        (b'{"format":1e5}', "no integer"),
        (b'{"format":' + b"9" * 5000 + b"}", "beyond 2^53"),
        (b'{"format":1,"format":1}', "twice"),
        (b'{"format" :1}', "canonical"),
        (b'{"format":"\\ud800"}', "surrogate"),
        (b'{"format":"\\u0041"}', "canonical"),
        (b"null", "no object"),
        (b'{"format":"khazri network certificate 2"}', "the format is not"),
        (b"[" + b"[]," * 1_000_001 + b"[]]", "more than 1000000 lists"),
    ],
)
def test_what_is_no_document_is_refused_by_name(data, words):
    with pytest.raises(NotVerified, match=words.replace("^", r"\^")):
        verify(data)


def test_a_hundred_megabytes_are_refused_before_they_are_parsed(tmp_path, capsys):
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.write(b'{"format":"')
        stream.truncate(100_000_000)
    assert main([str(path)]) == 1
    assert f"longer than {BYTES_MAX} bytes" in capsys.readouterr().out


def test_a_singular_network_is_refused(document):
    changed = copy.deepcopy(document)
    for network in changed["networks"]:
        for row in network["line"] + network["trafo"]:
            for port in ("yff", "yft", "ytf", "ytt"):
                row[port] = ["0", "0"]
    assert "cannot be inverted" in _reasons(changed)[0]


def _run(folder, *arguments):
    """Run a copy of the file alone: no project on the path, no environment."""
    script = str(shutil.copy(verify_certificate.__file__, folder / "copied.py"))
    numpy_home = str(Path(np.__file__).parents[1])
    code = (
        "import runpy, sys\n"
        f"sys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{numpy_home!r}]\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.split('.')[0]\n"
        "        if top not in sys.stdlib_module_names and top != 'numpy':\n"
        "            raise ImportError(name + ' is not for the verifier')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"sys.argv = {[script, *map(str, arguments)]!r}\n"
        f"runpy.run_path({script!r}, run_name='__main__')\n"
    )
    environment = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )


def test_a_copy_of_the_file_alone_verifies_with_numpy_and_nothing_else(document, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_bytes(encode(document))
    hashes = document["hashes"]
    topology = [word for one in hashes["topology"] for word in ("--topology", one)]
    good = _run(tmp_path, path, *topology, "--injections", hashes["injections"])
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.startswith(f"VERIFIED certificate {hashes['certificate']}")
    assert "(as given)" in good.stdout
    assert good.stderr == ""
    told = _run(tmp_path, path, "--json")
    assert json.loads(told.stdout)["verified"] is True
    document = copy.deepcopy(document)
    document["intervals"][0]["p_w"][2] += 1
    path.write_bytes(encode(document))
    bad = _run(tmp_path, path)
    assert bad.returncode == 1
    assert "NOT VERIFIED: 2016-05-15T12:00:00Z bus 20: power and voltages differ" in bad.stdout
    assert json.loads(_run(tmp_path, path, "--json").stdout)["verified"] is False
    assert bad.stderr == ""


def test_wrong_usage_is_status_2(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main(["x", "--topology", "abc"]) == 2
    assert main(["--help"]) == 0
    assert "cannot be read" in capsys.readouterr().err
