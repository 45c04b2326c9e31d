"""What a plan claims of the network, kept beside it, and the certificate made from that.

The claim is kept, its proof is not: node voltages follow from the claim alone, and are most of
a certificate's size. The ledger commits to the claim in the plan's entry, so that a certificate
made years later is known to be of the plan that was sent.
"""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dispatch.plan import Plan
from grid import interval
from grid.errors import BadInputError, SolverError, StoreError
from grid.operation.room import Room
from grid.store import Store, Transaction, control, datasets, log

if TYPE_CHECKING:
    from networks.limits.certificate import Claim

KIND = "claim"
_PRESET = 1
"""The usual one takes seven times as long for a sixth of the bytes."""


@dataclass(frozen=True)
class Made:
    """A plan's certificate.

    Attributes
    ----------
    at_s : int
        The cycle that sent the plan.
    source : str
        Where the plan came from: a new plan, the last good one, the safe rule.
    document : dict
        See :mod:`networks.verify_certificate`.
    sequence : int or None
        The ledger's entry of the plan; None when there is none.
    told : str or None
        The hash of the claim that the ledger commits to.
    """

    at_s: int
    source: str
    document: dict[str, Any]
    sequence: int | None
    told: str | None


def claim_of(room: Room, ahead: xr.Dataset, chosen: Plan) -> Claim | None:
    """Return what a plan claims of the network under the means of a forecast.

    None when the state is not known: the forecast is unsound, or the network has no state.
    """
    from grid.operation.feasibility import check_forecast, state_of
    from networks.limits.certificate import claim

    try:
        check_forecast(ahead)
        state = state_of(room, ahead, chosen.schedule)
        return claim(room.model, state, room.site.network)
    except (BadInputError, SolverError):
        return None


def put(tx: Transaction, at_s: int, claimed: Claim) -> None:
    """Keep what the plan of a cycle claims."""
    packed = lzma.compress(claimed.encode(), preset=_PRESET)
    content = np.frombuffer(packed, np.uint8)
    datasets.put_dataset(tx, KIND, at_s, xr.Dataset({"content": ("byte", content)}))


def certificate(store: Store, at_s: int | None) -> Made:
    """Return the certificate of the plan of a cycle, of the newest plan when none is named.

    Raises
    ------
    StoreError
        When no such plan is kept, or nothing is known of its state.
    SolverError
        When its claim has no state.
    """
    from networks.limits.certificate import complete, decode

    with store.read() as tx:
        if at_s is None:
            kept = datasets.instants(tx, KIND, 0, control.clock_s(tx) + 1)
            if not kept:
                raise StoreError("no plan with a known network state is stored")
            at_s = kept[-1]
        plan = control.get_plan(tx, at_s)
        content = datasets.get_dataset(tx, KIND, at_s)
        if plan is None or content is None:
            what = "has no known network state" if plan else "is not stored"
            raise StoreError(f"the plan of {interval.label(at_s)} {what}")
        claimed = decode(lzma.decompress(content["content"].to_numpy().tobytes()))
        sequence, told = _in_ledger(tx, at_s)
    return Made(at_s, str(plan["source"]), complete(claimed), sequence, told)


def _in_ledger(tx: Transaction, at_s: int) -> tuple[int | None, str | None]:
    """Return the plan's entry, and the hash of the claim that it commits to."""
    entries = log.listed(tx, kind="plan", label=interval.label(at_s), limit=1)
    if not entries:
        return None, None
    sequence = int(entries[0]["sequence"])
    opened = [json.loads(str(row["content"])) for row in log.openings(tx, sequence=sequence)]
    told = [one["payload"]["claim_sha256"] for one in opened if "claim_sha256" in one["payload"]]
    return sequence, told[0] if told else None
