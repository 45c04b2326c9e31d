"""The walk of a black start: tries a step, holds its power flow against the source, keeps it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.errors import SolverError
from grid.site import Network
from networks.model import NetworkModel
from networks.operating.islands import Burden, FormingSource, refusal
from networks.operating.state import Extreme, Injections, solved, voltage_extremes
from networks.operating.steps import Policy, Step
from networks.operating.strain import broken
from networks.operating.terminals import switch_label

_PAUSES = 5.0
"""Time constants of cold load after which waiting does not help any more."""
_BLOCK_SHARE = 0.95
"""Of the step that the source takes: the rest is for losses."""
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step that is to be tried: `rows` are bus positions whose load comes on."""

    action: str
    section: int
    rows: tuple[int, ...]
    closed: tuple[int, ...] = ()
    members: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A state that was tried."""

    model: NetworkModel
    burden: Burden
    lowest: Extreme | None
    highest: Extreme | None
    reason: str
    heavy: bool


class Restart:
    """A black start while it goes on."""

    def __init__(
        self,
        model: NetworkModel,
        drawn: Injections,
        network: Network,
        source: FormingSource,
        policy: Policy,
    ) -> None:
        self.model, self.drawn, self.network = model, drawn, network
        self.source, self.policy = source, policy
        self.load_kw = drawn.absorbed_kw
        self.at_s = 0.0
        self.energy_kwh = source.energy_kwh
        self.picked: dict[int, float] = {}
        self.plants: list[int] = []
        self.given_kw = 0.0
        self.alive = False
        self.steps: list[Step] = []

    def blocks(self, rows: list[int]) -> list[tuple[int, ...]]:
        """Return loads in blocks that the source may take at once, the largest load first."""
        made: list[list[int]] = []
        room: list[float] = []
        for row in sorted(rows, key=lambda one: (-self.load_kw[one], one)):
            cold_kw = float(self.load_kw[row]) * self.policy.cold_factor
            at = next((n for n, left in enumerate(room) if cold_kw <= left), None)
            if at is None:
                made.append([])
                room.append(self.source.step_kw * _BLOCK_SHARE)
                at = len(made) - 1
            made[at].append(row)
            room[at] -= cold_kw
        return [tuple(block) for block in made]

    def take(self, attempt: Attempt) -> str:
        """Take a step, after waiting when cold load has to fall first; return why not."""
        rows = attempt.rows
        if attempt.members and not self.policy.load_switches:
            rows = tuple(row for row in attempt.members if self.load_kw[row] > 0.0)
        held = self._try(attempt.closed, rows)
        if held.reason and held.heavy:
            waited = self._pauses(attempt.closed, rows)
            if waited:
                self._wait(waited)
                held = self._try(attempt.closed, rows)
        if held.reason and len(rows) > 1 and attempt.action == "pick up":
            # A smaller block may still fit.
            for row in rows:
                reason = self.take(Attempt(attempt.action, attempt.section, (row,)))
                if reason:
                    return reason
            return ""
        if held.reason:
            return f"{self._named(attempt, rows)}: {held.reason}"
        for row in rows:
            self.picked[row] = self.at_s
        self._keep(attempt, rows, held)
        return ""

    def connect_plants(self) -> tuple[int, ...]:
        """Connect plants at live buses, the largest first; return the buses of those that fit."""
        given_kw = self.drawn.injected_kw
        order = sorted(np.flatnonzero(given_kw > 0.0), key=lambda row: (-given_kw[row], row))
        for row in order:
            if self.model.node[row] < 0:
                continue
            self.plants.append(int(row))
            held = self._try((), ())
            if held.reason:
                self.plants.pop()
                continue
            attempt = Attempt("connect", -1, (), (), (int(row),))
            self._keep(attempt, (), held, float(given_kw[row]))
        return tuple(sorted(int(self.model.bus[row]) for row in self.plants))

    def hours(self) -> float:
        """Return how long the energy lasts when the load is warm and no plant helps."""
        if not self.alive:
            return float("inf")
        drawn = self._injections(self.model, 1e12, ())
        state = solved(self.model, drawn)
        given_kw = float(state["forming_injected_kw"][0])
        return self.energy_kwh / given_kw if given_kw > 0.0 else float("inf")

    def _injections(self, model: NetworkModel, at_s: float, plants: tuple[int, ...]) -> Injections:
        share = np.zeros(len(model.bus))
        for row, since_s in self.picked.items():
            share[row] = self._cold(at_s - since_s)
        on = np.zeros(len(model.bus))
        on[list(plants)] = 1.0
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = self.drawn.inputs
        step = int(absorbed_kw.sum(axis=1).argmax())
        # A plant's reactive power cannot be told from a load's: it goes with whichever is there.
        both = np.maximum(share, on)
        inputs = (
            absorbed_kw[step] * share,
            injected_kw[step] * on,
            absorbed_kvar[step] * both,
            injected_kvar[step] * both,
        )
        a, b, c, d = (values[None] for values in inputs)
        start = np.zeros(1, dtype="datetime64[s]")
        return Injections((a, b, c, d), start, self.drawn.voltage_share)

    def _cold(self, age_s: float) -> float:
        decay = float(np.exp(-max(age_s, 0.0) / self.policy.cold_s))
        return 1.0 + (self.policy.cold_factor - 1.0) * decay

    def _try(self, closed: tuple[int, ...], rows: tuple[int, ...], wait_s: float = 0.0) -> _Held:
        """Return the state that a step would leave after a wait."""
        model = self.model.switched(closed=closed) if closed else self.model
        at_s = self.at_s + wait_s
        nothing = Burden(0.0, 0.0, 0.0, float("inf"))
        try:
            before = self._solved(self.model, at_s).burden if self.alive else nothing
            self.picked |= dict.fromkeys(rows, at_s)
            held = self._solved(model, at_s)
        except SolverError as error:
            return _Held(model, nothing, None, None, str(error), heavy=False)
        finally:
            for row in rows:
                self.picked.pop(row, None)
        if held.reason:
            return held
        rise_kw = held.burden.given_kw - before.given_kw
        spent_kwh = before.given_kw * wait_s / 3600.0
        return replace(held, reason=self._unable(held.burden, rise_kw, spent_kwh))

    def _solved(self, model: NetworkModel, at_s: float) -> _Held:
        """Return the state of what is picked up and connected, held against the source."""
        state = solved(model, self._injections(model, at_s, tuple(self.plants)))
        active, reactive = (
            float((state[f"forming_injected_{unit}"] - state[f"forming_absorbed_{unit}"])[0])
            for unit in ("kw", "kvar")
        )
        burden = Burden(
            given_kw=max(active, 0.0),
            given_kva=float(np.hypot(active, reactive)),
            taken_kw=max(-active, 0.0),
            hours=float("inf"),
        )
        reason = refusal(self.source, burden, broken(model, state, self.network))
        return _Held(model, burden, *voltage_extremes(model, state), reason, heavy=bool(reason))

    def _unable(self, burden: Burden, rise_kw: float, spent_kwh: float) -> str:
        """Return why the source cannot take a step whose state it could hold."""
        if rise_kw > self.source.step_kw * (1.0 + 1e-9):
            return (
                f"the load would rise by {rise_kw:.1f} kW at once, "
                f"at most {self.source.step_kw:.1f} kW"
            )
        need_kwh = spent_kwh + burden.given_kw * self.policy.pause_s / 3600.0
        if need_kwh > self.energy_kwh:
            return f"{self.energy_kwh:.1f} kWh are left, {need_kwh:.1f} kWh are needed"
        return ""

    def _pauses(self, closed: tuple[int, ...], rows: tuple[int, ...]) -> int:
        """Return the fewest pauses after which a step fits; 0 when none helps."""
        pause_s = self.policy.pause_s
        low, high = 0, int(_PAUSES * self.policy.cold_s / pause_s) + 1
        if not self.picked or self._try(closed, rows, high * pause_s).heavy:
            return 0
        while high - low > 1:
            middle = (low + high) // 2
            if self._try(closed, rows, middle * pause_s).heavy:
                low = middle
            else:
                high = middle
        return 0 if self._try(closed, rows, high * pause_s).reason else high

    def _wait(self, pauses: int) -> None:
        began_s = self.at_s
        wait_s = pauses * self.policy.pause_s
        # What is drawn falls, so that the energy is counted with what is drawn at the start.
        self.energy_kwh = max(self.energy_kwh - self.given_kw * wait_s / 3600.0, 0.0)
        self.at_s += wait_s
        held = self._try((), ())
        self.given_kw = held.burden.given_kw
        self.steps.append(
            Step(
                0,
                began_s,
                "wait",
                f"{wait_s / 60:.0f} min for cold load to fall",
                given_kw=held.burden.given_kw,
                given_kva=held.burden.given_kva,
                taken_kw=held.burden.taken_kw,
                lowest=held.lowest,
                highest=held.highest,
                energy_kwh=self.energy_kwh,
            )
        )

    def _named(self, attempt: Attempt, rows: tuple[int, ...]) -> str:
        if attempt.action == "form":
            return self.model.bus_label(self.model.position(self.source.bus))
        if attempt.closed:
            return ", ".join(switch_label(self.model, index) for index in attempt.closed)
        chosen = attempt.members or rows
        more = f" and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
        return ", ".join(self.model.bus_label(row) for row in chosen[:_SHOWN]) + more

    def _keep(
        self, attempt: Attempt, rows: tuple[int, ...], held: _Held, plant_kw: float = 0.0
    ) -> None:
        self.model, self.alive = held.model, True
        burden = held.burden
        spent_kwh = (burden.given_kw - burden.taken_kw) * self.policy.pause_s / 3600.0
        self.energy_kwh = min(self.energy_kwh - spent_kwh, self.source.energy_kwh)
        self.given_kw = burden.given_kw
        named = attempt.members or rows
        cold_kw = float(self.load_kw[list(rows)].sum()) * self.policy.cold_factor
        self.steps.append(
            Step(
                0,
                self.at_s,
                attempt.action,
                self._named(attempt, rows),
                closed=attempt.closed,
                buses=tuple(int(self.model.bus[row]) for row in named),
                block_kw=cold_kw or plant_kw,
                given_kw=burden.given_kw,
                given_kva=burden.given_kva,
                taken_kw=burden.taken_kw,
                lowest=held.lowest,
                highest=held.highest,
                energy_kwh=self.energy_kwh,
            )
        )
        self.at_s += self.policy.pause_s
