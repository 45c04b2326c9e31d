"""Safety tags: a permit on an element keeps it dead until its holder releases it.

While a tag stands, nothing may energise its element and devices behind it get no set-points:
what they hold runs out, and they are in their safe state. What generates behind it is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.control_record import Value, record_control
from grid.operation.meter_orders import same_person
from grid.site import Battery, Charger, Flexible, Genset, Shedding, Site
from grid.store import Transaction, control
from grid.store import safety_tags as stored
from grid.store.overrides import Reason
from grid.store.safety_tags import SafetyTag
from meters.device import DeviceState

if TYPE_CHECKING:
    from networks.model import NetworkModel
    from networks.operating.permits import Element

NOTE_MAX = 200
KINDS = ("line", "trafo", "bus", "asset")
_INDEX = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a tag cuts off.

    Attributes
    ----------
    devices : tuple of str
        Devices behind it, in the order of the site.
    ties : tuple of int
        Open switches that would feed it otherwise.
    """

    devices: tuple[str, ...]
    ties: tuple[int, ...]


def parse_element(text: str) -> tuple[str, str]:
    """Return kind and name of an element written ``line:3`` or ``asset:BAT-1``.

    Raises
    ------
    BadInputError
        When it is written otherwise.
    """
    kind, _, name = text.strip().partition(":")
    if kind not in KINDS or not name or (kind != "asset" and not _INDEX.fullmatch(name)):
        raise BadInputError(
            f"{text[:64]!r} is no element, must be line:N, trafo:N, bus:N or asset:NAME"
        )
    return kind, name if kind == "asset" else str(int(name))


def cut_by(site: Site, model: Callable[[], NetworkModel], element: str) -> Cut:
    """Return what a tag on an element cuts off.

    Parameters
    ----------
    model : callable
        Gives the network as it is switched; asked only where it matters.

    Raises
    ------
    BadInputError
        When there is no such element.
    """
    from networks.operating.permits import behind

    kind, name = parse_element(element)
    if kind == "asset":
        if name not in {asset.id for asset in site.assets}:
            raise BadInputError(f"{name[:64]}: no such device in the site")
        return Cut((name,), ())
    found = behind(model(), kind, int(name))
    buses = set(found.buses)
    points = {point.id for point in site.usage_point if point.bus in buses}
    devices = tuple(
        str(asset.id)
        for asset in site.assets
        if (
            points >= set(asset.usage_points)
            if isinstance(asset, Shedding)
            else asset.usage_point in points
        )
    )
    return Cut(devices, found.ties)


def place(
    tx: Transaction,
    site: Site,
    model: Callable[[], NetworkModel],
    *,
    element: str,
    reason: Reason,
    by: str,
    note: str = "",
) -> SafetyTag:
    """Put a tag on an element; several people may each have theirs on it.

    Raises
    ------
    BadInputError
        When there is no such element, the note cannot be shown, or this person's tag stands on
        it already.
    """
    kind, name = parse_element(element)
    element = f"{kind}:{name}"
    if len(note) > NOTE_MAX or (note and not note.isprintable()):
        raise BadInputError(f"{element}: a note has at most {NOTE_MAX} printable characters")
    for one in stored.standing(tx):
        if one.element == element and same_person(one.holder, by):
            raise BadInputError(f"{element}: safety tag {one.id} of {by} stands on it already")
    cut = cut_by(site, model, element)
    placed = stored.put_tag(
        tx,
        element=element,
        devices=cut.devices,
        ties=cut.ties,
        reason=reason,
        note=note.strip(),
        holder=by.strip(),
        placed_s=control.clock_s(tx),
    )
    _record(tx, site, placed, "safety_tag.place", by)
    return placed


def release(tx: Transaction, site: Site, number: int, by: str) -> SafetyTag:
    """Release a tag; only its holder does.

    Raises
    ------
    StoreError
        When there is no such tag, or it was released.
    BadInputError
        When somebody else holds it.
    """
    found = stored.get_tag(tx, number)
    if not same_person(found.holder, by):
        raise BadInputError(f"safety tag {number}: only its holder {found.holder} releases it")
    gone = stored.release(tx, number, control.clock_s(tx))
    _record(tx, site, gone, "safety_tag.release", by)
    return gone


def blocked(tx: Transaction) -> dict[str, SafetyTag]:
    """Return by device the first tag that stands before it."""
    found: dict[str, SafetyTag] = {}
    for tag in stored.standing(tx):
        for device in tag.devices:
            found.setdefault(device, tag)
    return found


def elements(tx: Transaction) -> dict[Element, SafetyTag]:
    """Return the tagged elements of the network with the first tag on each."""
    found: dict[Element, SafetyTag] = {}
    for tag in stored.standing(tx):
        kind, name = parse_element(tag.element)
        if kind != "asset":
            found.setdefault((kind, int(name)), tag)
    return found


def generation(site: Site, devices: Sequence[str]) -> list[tuple[str, float]]:
    """Return what of some devices can feed back, and with how many kW."""
    return [
        (str(asset.id), asset.power_kw)
        for asset in site.assets
        if asset.id in devices
        and not isinstance(asset, Shedding)
        and not isinstance(asset, Flexible)
        and not (isinstance(asset, Charger) and not asset.discharge_kw)
    ]


def still_held(
    states: Sequence[DeviceState], tags: dict[str, SafetyTag], at_s: int
) -> list[Finding]:
    """Return an alarm for each device behind a tag that gives or takes power."""
    when = interval.label(at_s)
    return [
        Finding(
            "tag.energised",
            state.asset,
            when,
            Severity.ALARM,
            f"{state.asset} {when} is behind safety tag {tags[state.asset].id} on "
            f"{tags[state.asset].element} and has {state.power_w} W: disconnect it there",
        )
        for state in states
        if state.asset in tags and state.power_w
    ]


def may_form(site: Site, devices: Sequence[str]) -> list[str]:
    """Return which of some devices can make voltage by themselves."""
    return [
        str(asset.id)
        for asset in site.assets
        if asset.id in devices
        and (isinstance(asset, Genset) or (isinstance(asset, Battery) and asset.forming))
    ]


def _record(tx: Transaction, site: Site, tag: SafetyTag, kind: str, by: str) -> None:
    element, name = parse_element(tag.element)
    detail: dict[str, Value] = {
        "devices": len(tag.devices),
        "element": element,
        "reason": str(tag.reason),
        "tag": tag.id,
    }
    record_control(
        tx,
        site,
        user=by.strip(),
        kind=kind,
        subject=name if element == "asset" else tag.element,
        detail=detail,
        people={"holder": tag.holder},
    )
