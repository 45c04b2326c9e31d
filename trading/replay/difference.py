"""Where a log and what is derived again part."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from grid.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Difference:
    """The first fact of a log that is not what it must be.

    Attributes
    ----------
    sequence, kind, interval
        Of the entry.
    what : str
        Which fact of it.
    value, derived : str
        What it says, and what it must say.
    """

    sequence: int
    kind: str
    interval: str
    what: str
    value: str
    derived: str

    def sentence(self) -> str:
        """Return it for people."""
        where = f"entry {self.sequence} {self.kind} {self.interval or '-'}"
        return f"{where}: {self.what} is {self.value}, derived {self.derived}"

    def facts(self) -> dict[str, object]:
        """Return it for machines."""
        return asdict(self)


class DifferenceError(VerificationError):
    """A fact of the log is another than the one derived."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        super().__init__(difference.sentence())
