"""Networks of OpenDSS: the script is checked and written anew, then OpenDSS reads it."""

from __future__ import annotations

from pathlib import Path

from grid.errors import Finding, Severity
from networks.sources.converter import convert, need
from networks.sources.dss_text import read_script
from networks.sources.exchange import from_records
from networks.sources.tables import Tables


def read_opendss(path: Path) -> tuple[Tables, list[Finding]]:
    """Return the tables of a master ``.dss`` file, and what was left out or approximated.

    pandapower's converter gives a network of three phases in balance. Where all
    lines and transformers have three phases, loads and plants of one or two are
    on theirs (``asymmetric_load``, ``asymmetric_sgen``) and zero sequences are read,
    so that a three-phase power flow is OpenDSS's own. The source's impedance is its
    short-circuit power. Taps and plants are as OpenDSS solved them.

    Raises
    ------
    BadInputError
        See :func:`networks.sources.dss_text.read_script`; or OpenDSS refuses the
        script, or is not installed.
    PeerError
        When OpenDSS crashed or gave no answer.
    """
    script = read_script(path)
    need("opendssdirect", "opendss", "an OpenDSS file")
    answer = convert("opendss", {"master.dss": script.text.encode()})
    for row in answer["records"]["bus"]:
        place = script.places.get(row["name"].lower())
        if place:
            row["x"], row["y"] = place
    tables = from_records(answer["records"], answer["facts"], path.name)
    findings = script.findings(path.name)
    findings += [
        Finding("network.import.approximated", "network", "", Severity.WARNING, note)
        for note in answer["notes"]
    ]
    return tables, sorted(findings)
