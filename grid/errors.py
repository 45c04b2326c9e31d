"""The exception tree and the finding, shared by every package.

::

    GridError                 something outside our own code failed
    ├── BadInputError         a file, option or value given to us is wrong
    ├── PeerError             a meter, device or gateway misbehaved
    ├── SolverError           an optimisation or power flow gave no answer
    ├── StoreError            the database could not keep or give a fact
    └── VerificationError     a proof, signature or ledger does not hold

Our own bugs are not in this tree: they crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GridError(Exception):
    """Base of every failure that is not a bug of ours."""


class BadInputError(GridError):
    """A value from outside is wrong; the message has subject, value and limit."""


class PeerError(GridError):
    """A meter, device or gateway answered wrongly, late or not at all."""


class SolverError(GridError):
    """A solver failed, was killed, or proved that there is no solution."""


class StoreError(GridError):
    """The store refused to read or write."""


class VerificationError(GridError):
    """A signature, hash, proof or balance does not hold."""


class Severity(StrEnum):
    """How much a finding matters to the person who sees it."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something noticed about the data, returned beside a result.

    Attributes
    ----------
    code : str
        Stable short name, lower case with dots: ``"vee.spike"``.
    subject : str
        Identifier of what it is about: a usage point, asset, bus or meter.
    interval : str
        Label of the interval (:func:`grid.interval.label`) or ``""``.
    severity : Severity
    message : str
        One sentence with subject, interval, value and limit.
    """

    code: str
    subject: str
    interval: str
    severity: Severity
    message: str
