"""What a black start is told and what it tells: its policy and its steps."""

from __future__ import annotations

from dataclasses import dataclass

from grid.errors import BadInputError
from networks.operating.state import Extreme, Supply


@dataclass(frozen=True, slots=True)
class Policy:
    """How a network is brought back.

    Attributes
    ----------
    cold_factor : float
        What load draws when it comes back, as a multiple of the normal, 1 or more.
    cold_s : float
        Time in which what is beyond the normal falls to 1 / e.
    pause_s : float
        Between two steps.
    medical, critical : tuple of int
        Buses that come first and second.
    by_feeder : bool
        Sections are what circuit breakers part, not what any switch parts.
    load_switches : bool
        Load is switched apart from its section, by the meters' disconnectors; otherwise it comes
        with its section.
    """

    cold_factor: float = 2.0
    cold_s: float = 1800.0
    pause_s: float = 60.0
    medical: tuple[int, ...] = ()
    critical: tuple[int, ...] = ()
    by_feeder: bool = True
    load_switches: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("cold_factor", 1.0, 10.0),
            ("cold_s", 1.0, 86_400.0),
            ("pause_s", 1.0, 3600.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInputError(
                    f"black start: {name} is {value}, must be within {low:g} to {high:g}"
                )


@dataclass(frozen=True, slots=True)
class Step:
    """One step, and the state that it leaves.

    Attributes
    ----------
    number : int
    at_s : float
        Since the first.
    action : str
        ``open``, ``form``, ``energise``, ``pick up``, ``wait`` or ``connect``.
    subject : str
    opened, closed : tuple of int
        Switches.
    buses : tuple of int
        Energised, picked up or connected.
    block_kw : float
        Load that comes on, as cold as it is; of plants what they give.
    given_kw, given_kva, taken_kw : float
        By the forming source, after the step.
    lowest, highest : Extreme or None
        Voltage per unit.
    energy_kwh : float
        Left before the next step.
    """

    number: int
    at_s: float
    action: str
    subject: str
    opened: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    buses: tuple[int, ...] = ()
    block_kw: float = 0.0
    given_kw: float = 0.0
    given_kva: float = 0.0
    taken_kw: float = 0.0
    lowest: Extreme | None = None
    highest: Extreme | None = None
    energy_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class BlackStart:
    """A black start as far as it goes.

    Attributes
    ----------
    steps : tuple of Step
    stopped : str
        Why it does not go further; empty when all load of the island is served.
    served_kw : float
        Normal draw of the load that is served.
    unserved : tuple of Supply
        Load that is not, in the island and beyond it.
    plants_off : tuple of int
        Buses whose plants the forming source could not take, or that are dead.
    hours : float
        That what is stored lasts after the last step, without plants; infinite when nothing draws.
    """

    steps: tuple[Step, ...]
    stopped: str
    served_kw: float
    unserved: tuple[Supply, ...]
    plants_off: tuple[int, ...]
    hours: float
