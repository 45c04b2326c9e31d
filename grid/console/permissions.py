"""Who may open what: the one table. What is not in it is refused."""

from __future__ import annotations

from typing import Final

ROLES: Final = (
    "operator",
    "metering",
    "billing",
    "market",
    "prosumer",
    "auditor",
    "administrator",
)

PUBLIC: Final = frozenset({"healthz", "static", "drawing_style", "security.login", "language"})
"""Open to everyone."""

SIGNED_IN: Final = frozenset(
    {"home", "security.logout", "account.password", "account.set_password"}
)
"""Open to whoever is signed in, whatever the role."""

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "operator.now": frozenset({"operator"}),
    "operator.now_live": frozenset({"operator"}),
    "operator.acknowledge": frozenset({"operator"}),
    "operator.dispatch": frozenset({"operator"}),
    "operator.dispatch_live": frozenset({"operator"}),
    "operator.dispatch_data": frozenset({"operator"}),
    "operator_decisions.why": frozenset({"operator"}),
    "operator.network": frozenset({"operator"}),
    "operator.network_live": frozenset({"operator"}),
    "overrides.listed": frozenset({"operator"}),
    "overrides.listed_live": frozenset({"operator"}),
    "overrides.ask": frozenset({"operator"}),
    "overrides.approve": frozenset({"operator"}),
    "overrides.end": frozenset({"operator"}),
    "safety_tags.listed": frozenset({"operator"}),
    "safety_tags.place": frozenset({"operator"}),
    "safety_tags.release": frozenset({"operator"}),
    "events.listed": frozenset({"operator"}),
    "events.listed_live": frozenset({"operator"}),
    "events.add": frozenset({"operator"}),
    "events.event": frozenset({"operator"}),
    "events.data": frozenset({"operator"}),
    "events.report_json": frozenset({"operator"}),
    "events.report_csv": frozenset({"operator"}),
    "events.weigh": frozenset({"operator"}),
    "events.accept": frozenset({"operator"}),
    "events.approve": frozenset({"operator"}),
    "events.decline": frozenset({"operator"}),
    "events.cancel": frozenset({"operator"}),
    "incidents.incidents": frozenset({"operator", "metering"}),
    "incidents.incidents_live": frozenset({"operator", "metering"}),
    "voltage_quality.week": frozenset({"operator", "metering"}),
    "charging.listed": frozenset({"operator", "prosumer"}),
    "charging.state": frozenset({"operator", "prosumer"}),
    "charging.withdraw": frozenset({"operator", "prosumer"}),
    "prosumer.energy": frozenset({"prosumer"}),
    "prosumer.trades": frozenset({"prosumer"}),
    "prosumer.order": frozenset({"prosumer"}),
    "prosumer.order_proof": frozenset({"prosumer"}),
    "ordering.place": frozenset({"prosumer"}),
    "ordering.amend": frozenset({"prosumer"}),
    "ordering.cancel": frozenset({"prosumer"}),
    "ordering.receipt": frozenset({"prosumer"}),
    "contracts.listed": frozenset({"prosumer"}),
    "contracts.propose": frozenset({"prosumer"}),
    "contracts.accept": frozenset({"prosumer"}),
    "contracts.refuse": frozenset({"prosumer"}),
    "contracts.end": frozenset({"prosumer"}),
    "batteries.shown": frozenset({"prosumer"}),
    "batteries.consent": frozenset({"prosumer"}),
    "prosumer.statement": frozenset({"prosumer"}),
    "prosumer.limits": frozenset({"prosumer"}),
    "prosumer.set_limits": frozenset({"prosumer"}),
    "prosumer.undo_limits": frozenset({"prosumer"}),
    "own_erasure.shown": frozenset({"prosumer"}),
    "own_erasure.ask": frozenset({"prosumer"}),
    "own_erasure.withdraw": frozenset({"prosumer"}),
    "disputes.ask": frozenset({"prosumer"}),
    "disputes.withdraw": frozenset({"prosumer"}),
    "disputes.listed": frozenset({"billing"}),
    "disputes.decide": frozenset({"billing"}),
    "tariffs.listed": frozenset({"billing"}),
    "tariffs.propose": frozenset({"billing"}),
    "tariffs.approve": frozenset({"billing"}),
    "tariffs.reject": frozenset({"billing"}),
    "tariffs.withdraw": frozenset({"billing"}),
    "agreements.listed": frozenset({"billing"}),
    "agreements.move": frozenset({"billing"}),
    "agreements.add_party": frozenset({"billing"}),
    "erasures.listed": frozenset({"billing", "administrator"}),
    "erasures.ask": frozenset({"billing", "administrator"}),
    "erasures.withdraw": frozenset({"billing", "administrator"}),
    "erasures.approve": frozenset({"administrator"}),
    "auditor.checkpoints": frozenset({"auditor"}),
    "auditor.entries": frozenset({"auditor"}),
    "auditor.entry": frozenset({"auditor"}),
    "auditor.verify": frozenset({"auditor"}),
    "auditor_log.checkpoint": frozenset({"auditor"}),
    "auditor_log.tile": frozenset({"auditor"}),
    "auditor.actions": frozenset({"auditor", "administrator"}),
    "administrator.users": frozenset({"administrator"}),
    "administrator.create_user": frozenset({"administrator"}),
    "administrator.set_roles": frozenset({"administrator"}),
    "administrator.set_active": frozenset({"administrator"}),
    "readings.day": frozenset({"metering", "operator"}),
    "readings.edit": frozenset({"metering"}),
    "readings.take_back": frozenset({"metering"}),
    "lost_energy.cases": frozenset({"metering", "operator"}),
    "lost_energy.close": frozenset({"metering"}),
    "meter_orders.orders": frozenset({"metering", "operator"}),
    "meter_orders.ask": frozenset({"metering", "operator"}),
    "meter_orders.approve": frozenset({"metering", "operator"}),
    "meter_orders.cancel": frozenset({"metering", "operator"}),
    "meter_orders.give_up": frozenset({"metering", "operator"}),
    "meter_exchanges.exchanges": frozenset({"metering", "operator", "administrator"}),
    "meter_exchanges.record": frozenset({"metering"}),
    "administrator.meters": frozenset({"administrator", "metering"}),
    "administrator.system": frozenset({"administrator"}),
}

HOME: Final = (
    ("operator", "operator.now"),
    ("prosumer", "prosumer.energy"),
    ("auditor", "auditor.checkpoints"),
    ("administrator", "administrator.users"),
    ("metering", "administrator.meters"),
    ("billing", "agreements.listed"),
)
"""Where each role begins, in this order for who has several."""


def allowed(endpoint: str, roles: frozenset[str]) -> bool:
    """Return whether someone signed in with `roles` may open `endpoint`."""
    if endpoint in PUBLIC or endpoint in SIGNED_IN:
        return True
    return bool(PERMISSIONS.get(endpoint, frozenset()) & roles)
