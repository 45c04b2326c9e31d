"""A network of any format we read, as checked tables and what was left out on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grid.errors import BadInputError, Finding
from networks.sources.tables import Tables, check_tables, parsed

FORMATS = {
    ".toml": "tables",
    ".json": "tables",
    ".dss": "OpenDSS",
    ".xml": "CGMES",
    ".zip": "CGMES",
}
_PICKLES = (".p", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that came in.

    Attributes
    ----------
    format : str
        ``tables``, ``pandapower``, ``OpenDSS`` or ``CGMES``.
    tables : Tables
        Checked, as :func:`networks.sources.tables.check_tables` returns them.
    findings : tuple of Finding
        ``network.import.…``: what was left out or taken as something else.
    """

    format: str
    tables: Tables
    findings: tuple[Finding, ...]


def import_network(path: Path) -> Imported:
    """Read a network of our tables, pandapower JSON, OpenDSS or CGMES.

    Parameters
    ----------
    path : Path
        ``.toml`` or ``.json`` of our tables, ``.json`` of pandapower, the master
        ``.dss`` of a circuit, a CGMES ``.zip``, ``.xml``, or a folder of ``.xml``.

    Raises
    ------
    BadInputError
        When the format is unknown, what reads it is not installed, or the file
        is refused; the message names what and where.
    PeerError
        When the converter failed on a file that passed our checks.
    """
    if path.suffix in _PICKLES:
        raise BadInputError(
            f"network file {path}: a pickle runs what it holds when it is read, and is never read; "
            "save the network as JSON"
        )
    kind = "CGMES" if path.is_dir() else FORMATS.get(path.suffix.lower())
    if kind == "OpenDSS":
        from networks.sources.opendss import read_opendss

        tables, findings = read_opendss(path)
        return Imported(kind, tables, tuple(findings))
    if kind == "CGMES":
        from networks.sources.cgmes import read_cgmes

        tables, findings = read_cgmes(path)
        return Imported(kind, tables, tuple(findings))
    if kind is None:
        raise BadInputError(f"network file {path} must end in {', '.join(FORMATS)}")
    given = parsed(path)
    from networks.sources.pandapower_file import is_pandapower, read_pandapower

    if is_pandapower(given):
        tables, findings = read_pandapower(given, path.name)
        return Imported("pandapower", tables, tuple(findings))
    return Imported(kind, check_tables(given, str(path)), ())
