"""Which usage points have medical loads: those of the site file, and those told since.

People fall ill after a site was made, and its file does not change then. Who has medical
loads is in the store only: neither the ledger nor what it commits to says anything of it.
"""

from __future__ import annotations

import json

from grid.errors import BadInputError
from grid.operation.record import record_action
from grid.site import Site
from grid.store import Transaction, control

_TOLD = "medical_loads"


def medical(tx: Transaction, site: Site) -> set[str]:
    """Return the usage points with medical loads."""
    told: list[str] = json.loads(control.get_meta(tx, _TOLD) or "[]")
    return {str(point.id) for point in site.usage_point if point.medical} | set(told)


def mark(tx: Transaction, site: Site, usage_point: str, *, is_medical: bool, by: str) -> None:
    """Keep that a usage point has medical loads, or has them no longer.

    Raises
    ------
    BadInputError
        When there is no such usage point, nothing would change, or the site file says that
        it has them: what the file says holds.
    """
    point = next((one for one in site.usage_point if one.id == usage_point), None)
    if point is None:
        raise BadInputError(f"{usage_point[:64]}: no such usage point in the site")
    if point.medical and not is_medical:
        raise BadInputError(f"{usage_point}: the site file says medical = true, which holds")
    told = set(json.loads(control.get_meta(tx, _TOLD) or "[]"))
    if (usage_point in told or point.medical) is is_medical:
        raise BadInputError(
            f"{usage_point}: {'has' if is_medical else 'has no'} medical loads already"
        )
    told ^= {usage_point}
    control.put_meta(tx, _TOLD, json.dumps(sorted(told)))
    record_action(
        tx, site, at_s=control.clock_s(tx), user=by,
        kind="usage_point.change", subject=usage_point, detail={},
    )  # fmt: skip
