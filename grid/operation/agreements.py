"""Who stands for which usage point: agreements begin, change and end, each told to the ledger.

An agreement begins where a civil day of the site does, so that a bill has whole days. The one
before it ends there; when nobody follows, the community stands for the usage point.
"""

from __future__ import annotations

import secrets as system
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date

from grid import ids, interval
from grid.errors import BadInputError
from grid.operation import record
from grid.operation.battery_consent import require_not_offered, traded_batteries
from grid.operation.record import Personal
from grid.operation.tariffs import in_force as tariffs_in_force
from grid.site import Site, UsageKind
from grid.store import Transaction, control, log
from grid.store import agreements as store
from trading.agreements import EVER_S, Agreement, Terms, in_force
from trading.ledger.commitment import SECRET_BYTES
from trading.ledger.entry import Kind

AHEAD_DAYS = 400
_NAME_MAX = 100


def begin_all(tx: Transaction, site: Site, at_s: int) -> None:
    """Take the parties and agreements of a new site from its file; commit to them."""
    take(tx, site)
    _tell(tx, site, at_s, "agreements.begin", store.listed(tx))


def tell_all(tx: Transaction, site: Site, at_s: int) -> None:
    """Commit anew to every agreement but those of erased persons, where a log begins."""
    known = control.secrets(tx, record.PARTY_SECRET)
    told = [one for one in store.listed(tx) if one.party in known]
    _tell(tx, site, at_s, "agreements.begin", told)


def take(tx: Transaction, site: Site) -> None:
    """Keep the parties and agreements that a site's file names, as they ever were."""
    for party in site.party:
        store.put_party(tx, store.Party(str(party.id), party.name, str(party.kind), EVER_S))
    for point in site.usage_point:
        terms = Terms(EVER_S, point.tariff)
        store.begin(
            tx,
            usage_point=str(point.id),
            party_id=str(point.party),
            from_s=EVER_S,
            terms=terms,
            by="site file",
        )


def standing(tx: Transaction, at_s: int) -> dict[str, Agreement]:
    """Return the agreement of each usage point in force at an instant."""
    return {str(point): one for point, one in in_force(store.listed(tx), at_s).items()}


def holders(tx: Transaction, at_s: int) -> dict[str, str]:
    """Return the party that stands for each usage point at an instant."""
    return {point: str(one.party) for point, one in standing(tx, at_s).items()}


def add_party(tx: Transaction, site: Site, *, party: str, name: str, kind: str, by: str) -> None:
    """Keep a new party, with a secret of its own.

    Raises
    ------
    BadInputError
        When the identifier is taken or malformed, or name or kind cannot be.
    """
    ids.check(party, "party")
    if party in store.parties(tx):
        raise BadInputError(f"{party}: is a party of the site already")
    name = name.strip()
    if not 0 < len(name) <= _NAME_MAX or not name.isprintable():
        raise BadInputError(f"{party}: a party has a name of 1 to {_NAME_MAX} characters")
    kinds = [str(one) for one in UsageKind if one is not UsageKind.COMMUNITY]
    if kind not in kinds:
        raise BadInputError(f"{party}: kind is {kind[:32]!r}, must be one of {', '.join(kinds)}")
    at_s = control.clock_s(tx)
    store.put_party(tx, store.Party(party, name, kind, at_s))
    control.put_secrets(tx, {f"{record.PARTY_SECRET}{party}": system.token_bytes(SECRET_BYTES)})
    record.record_action(
        tx, site, at_s=at_s, user=by, kind="party.add", subject=party, detail={"kind": kind}
    )


def move_in(
    tx: Transaction,
    site: Site,
    *,
    usage_point: str,
    party: str,
    day: date,
    by: str,
    tariff: str | None = None,
    share_percent: int = 100,
    trades: bool = False,
    key_percent: int = 0,
    battery: bool = False,
) -> Agreement:
    """Let a party stand for a usage point from a civil day on; whoever did before ends there.

    Parameters
    ----------
    day : date
        Tomorrow at the earliest.
    tariff : str, optional
        That of the agreement before, when not given.
    trades : bool
        The party has consented to trade; nobody else consents for it.
    battery : bool
        So it has to its batteries being traded.

    Raises
    ------
    BadInputError
        When usage point, party or tariff is not known, the day has begun or is too far ahead,
        or the usage point changes hands after that day already.
    """
    from_s = _day_s(tx, site, usage_point, day)
    where = f"{usage_point} {day}"
    if party not in store.parties(tx):
        raise BadInputError(f"{where}: {party[:64]} is no party of the site; add it first")
    before = _last(tx, usage_point, where, from_s)
    if before.party == party:
        raise BadInputError(f"{where}: {party} stands for it already")
    chosen = tariff or str(before.terms_at(max(from_s - 1, before.from_s)).tariff)
    terms = Terms(
        from_s,
        _tariff(tx, site, chosen, day, where),
        share_percent,
        trades,
        key_percent,
        traded_batteries(site, usage_point, where, battery=battery, trades=trades),
    )
    if terms.batteries or before.terms_at(max(from_s, before.from_s)).batteries:
        require_not_offered(tx, site, where, from_s)
    store.end(tx, before.id, from_s)
    number = store.begin(
        tx, usage_point=usage_point, party_id=party, from_s=from_s, terms=terms, by=by
    )
    made = next(one for one in store.listed(tx, [usage_point]) if one.id == number)
    ended = replace(before, until_s=from_s)
    _record(tx, site, by, "agreement.move_in", usage_point, [ended, made])
    return made


def move_out(tx: Transaction, site: Site, *, usage_point: str, day: date, by: str) -> Agreement:
    """Let the agreement of a usage point end at a civil day; the community stands for it then."""
    return move_in(tx, site, usage_point=usage_point, party=record.community(site), day=day, by=by)


def change_terms(
    tx: Transaction,
    site: Site,
    *,
    usage_point: str,
    day: date,
    by: str,
    tariff: str | None = None,
    share_percent: int | None = None,
    trades: bool | None = None,
    key_percent: int | None = None,
    battery: bool | None = None,
) -> Agreement:
    """Change tariff, share or consent of an agreement from a civil day on.

    What was to change on that day already is changed with it.

    Raises
    ------
    BadInputError
        As :func:`move_in`, or when nothing is changed.
    """
    from_s = _day_s(tx, site, usage_point, day)
    where = f"{usage_point} {day}"
    one = _holding(tx, usage_point, where, from_s)
    old = one.terms_at(from_s)
    trading = old.trades if trades is None else trades
    kept = bool(old.batteries) and trading
    new = Terms(
        from_s,
        old.tariff if tariff is None else _tariff(tx, site, tariff, day, where),
        old.share_percent if share_percent is None else share_percent,
        trading,
        old.key_percent if key_percent is None else key_percent,
        traded_batteries(
            site,
            usage_point,
            where,
            battery=kept if battery is None else battery,
            trades=trading,
        ),
    )
    if replace(new, from_s=old.from_s) == old:
        raise BadInputError(f"{where}: these are the terms already")
    if new.batteries != old.batteries:
        require_not_offered(tx, site, where, from_s)
    if new.batteries and not old.batteries and site.market.guaranteed and day.day > 1:
        raise BadInputError(
            f"{where}: a battery begins to trade with a month: losses are made good in months "
            "in which none traded"
        )
    if one.terms[-1].from_s > from_s:
        raise BadInputError(
            f"{where}: terms change at {interval.label(one.terms[-1].from_s)}, not before"
        )
    store.put_terms(tx, one.id, new, by)
    before = [terms for terms in one.terms if terms.from_s < from_s]
    changed = replace(one, terms=(*before, new))
    _record(tx, site, by, "agreement.terms", usage_point, [changed])
    return changed


def _day_s(tx: Transaction, site: Site, usage_point: str, day: date) -> int:
    """Return where a civil day begins, when an agreement may change there."""
    if usage_point not in {str(point.id) for point in site.usage_point}:
        raise BadInputError(f"{usage_point[:64]}: no such usage point in the site")
    now_s = control.clock_s(tx)
    from_s, _ = interval.day_bounds(day, site.time_zone)
    today = interval.local_day(now_s, site.time_zone)
    if from_s <= now_s or (day - today).days > AHEAD_DAYS:
        raise BadInputError(
            f"{usage_point} {day}: an agreement changes from the day after {today} on, "
            f"at most {AHEAD_DAYS} days ahead"
        )
    return from_s


def _holding(tx: Transaction, usage_point: str, where: str, at_s: int) -> Agreement:
    """Return the agreement of a usage point that holds at an instant."""
    for one in store.listed(tx, [usage_point]):
        if one.holds(at_s):
            return one
    raise BadInputError(f"{where}: nobody stands for it then")


def _last(tx: Transaction, usage_point: str, where: str, from_s: int) -> Agreement:
    """Return the newest agreement of a usage point, which must have begun before `from_s`."""
    newest = store.listed(tx, [usage_point])[-1]
    if newest.from_s >= from_s:
        raise BadInputError(
            f"{where}: {newest.party} stands for it from {interval.label(newest.from_s)} on"
        )
    return newest


def _tariff(tx: Transaction, site: Site, name: str, day: date, where: str) -> ids.TariffId:
    tariffs = tariffs_in_force(tx, site)
    for tariff in tariffs:
        if tariff.id == name:
            tariff.version_on(day)
            return tariff.id
    known = ", ".join(str(tariff.id) for tariff in tariffs)
    raise BadInputError(f"{where}: tariff {name[:64]!r} is not known; known: {known}")


def _record(
    tx: Transaction, site: Site, by: str, kind: str, subject: str, told: Sequence[Agreement]
) -> None:
    at_s = control.clock_s(tx)
    sequence = _tell(tx, site, at_s, kind, told)
    control.put_action(
        tx,
        at_s=at_s,
        user=by,
        kind=kind,
        subject=subject,
        detail=[_kept(one) for one in told],
        sequence=sequence,
    )


def _tell(tx: Transaction, site: Site, at_s: int, kind: str, told: Sequence[Agreement]) -> int:
    """Commit to agreements as they stand now, each to its own party's secret."""
    start_s = interval.floor(at_s, site.interval_s)
    # What is told of one agreement again in the same interval is another fact.
    size = log.size(tx)
    facts = [Personal(str(one.party), "agreement", f"{one.id}-{size}", _shown(one)) for one in told]
    return record.append(tx, Kind.ACTION, start_s, at_s, {"action": kind}, facts)


def _shown(one: Agreement) -> dict[str, object]:
    """Return what the ledger commits to of an agreement."""
    return _told(one, _batteries_shown)


def _batteries_shown(terms: Terms) -> dict[str, object]:
    return {"batteries": [asdict(one) for one in terms.batteries]} if terms.batteries else {}


def _kept(one: Agreement) -> dict[str, object]:
    """Return what the record of actions keeps of an agreement: nothing of what a battery is."""
    return _told(one, lambda terms: {"battery": bool(terms.batteries)})


def _told(one: Agreement, of_batteries: Callable[[Terms], dict[str, object]]) -> dict[str, object]:
    return {
        "agreement": one.id,
        "from": interval.label(one.from_s),
        "party": str(one.party),
        "terms": [
            {
                "from": interval.label(terms.from_s),
                "key_percent": terms.key_percent,
                "share_percent": terms.share_percent,
                "tariff": str(terms.tariff),
                "trades": terms.trades,
                **of_batteries(terms),
            }
            for terms in one.terms
        ],
        "until": "" if one.until_s is None else interval.label(one.until_s),
        "usage_point": str(one.usage_point),
    }
