"""A ledger whose entries are lost for good: it ends, and a new log follows that says so.

Nobody has the entries that the store lacks, so nothing can be added to the log: whoever saw them
would see another history. The log ends where the store has it and stays as it is, to be exported
and verified. The log that follows has an origin and a key of its own; its genesis tells the loss
and is signed by the old key (:mod:`trading.ledger.succession`). It begins as a site's first log
does, with agreements and terms, and with the contracts and month accounts that stand.

From the first interval that it tells in full everything is settled in it. What was settled
before stands as it is; what was not settled by then is not settled any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from grid import interval
from grid.errors import BadInputError, Finding, Severity, StoreError
from grid.operation import agreements, contracts, record, topology_entries, witnessing
from grid.operation.meter_orders import check_reason
from grid.operation.record import Personal
from grid.operation.signer import Signer
from grid.operation.terms_entries import tell_terms
from grid.operation.witness_client import UnwitnessedError, seen
from grid.site import Site
from grid.store import Store, Transaction, batteries, control, ended_logs, log, market
from grid.store import agreements as held
from grid.store import contracts as agreed_on
from trading.ledger import checkpoint, rotation
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.entry import Kind
from trading.ledger.note import VerifierKey
from trading.ledger.policy import Policy
from trading.ledger.succession import Loss
from trading.replay import accounts

PAUSE_INTERVALS = 2
"""So many after the store's clock the new log begins at the soonest: for an interval that is over
by then the agents may have ordered in the log that ends."""

AHEAD_DAYS = 400
"""So far after the store's clock it begins at the latest: a later instant is a slip of the pen."""
_AHEAD_S = AHEAD_DAYS * interval.DAY_S

_AGAIN = "run 'khazri ledger recover --accept-loss' again"


def accept(
    store: Store,
    site: Site,
    signer: Signer,
    policy: Policy | None,
    *,
    lost: int,
    reason: str,
    user: str,
    now_s: int | None = None,
) -> VerifierKey:
    """End the log at what the store has and let a new one follow; return its key.

    Killed at any point it can be run again: what the store has not committed did not happen, and
    what it has is signed then.

    Parameters
    ----------
    policy : Policy or None
        Names the witnesses, who are asked what they saw.
    lost : int
        How many entries are lost, by whoever accepts it.
    now_s : int, optional
        The time, seconds UTC: the next cycle is not before it. The store's clock when not given.

    Raises
    ------
    BadInputError
        When nothing is lost, another number of entries is, a witness does not answer, or the
        reason says nothing.
    StoreError
        When the signer does not hold the log's key, or signed more than was seen.
    """
    with store.read() as tx:
        is_begun = not log.checkpoints(tx, limit=1)
    if not is_begun:
        check_reason("ledger", reason)
        loss = _loss(store, site, signer, policy, now_s)
        if loss.entries != lost:
            raise BadInputError(
                f"{lost} entries of {loss.left.origin} are not what is lost: the store has "
                f"{loss.left.size} that are signed, {loss.seen.size} were seen, it must be "
                f"{loss.entries}"
            )
        with store.write() as tx:
            _follow(tx, site, signer, loss, user=user, reason=reason.strip())
    # Only what is committed is signed; until it is, the site stays read-only.
    with store.write() as tx:
        record.checkpoint(tx, signer.sign, control.clock_s(tx))
        control.drop_meta(tx, record.HELD)
        return record.first_key(tx)


def _loss(
    store: Store,
    site: Site,
    signer: Signer,
    policy: Policy | None,
    now_s: int | None,
) -> Loss:
    """Return what is left of the log and what was seen of it.

    Raises
    ------
    BadInputError
        When no more was seen than the store has.
    """
    with store.read() as tx:
        reigns, newest = record.keys(tx), log.checkpoints(tx, limit=1)[0]
        clock_s = control.clock_s(tx)
    left = checkpoint.verify(str(newest["note"]), rotation.key_at(int(newest["size"]), reigns))
    keys = [key for _, key in reigns]
    sightings = [left, *_sightings(signer, policy, keys)]
    found = max(sightings, key=lambda one: one.size)
    if any(one.size == found.size and one != found for one in sightings):
        raise BadInputError(
            f"{found.size} entries of {left.origin} were seen in two histories: nobody can say "
            "what is lost"
        )
    if found.size == left.size:
        raise BadInputError(
            f"the store has the {left.size} entries of {left.origin} that were seen: none is lost"
        )
    soonest_s, latest_s = clock_s + PAUSE_INTERVALS * site.interval_s, clock_s + _AHEAD_S
    if now_s is not None and now_s > latest_s:
        raise BadInputError(
            f"the next cycle is at {interval.label(now_s)}, must be by {interval.label(latest_s)}: "
            f"within {AHEAD_DAYS} days of the store's clock"
        )
    at_s = max(soonest_s, -(-(now_s or 0) // site.interval_s) * site.interval_s)
    return Loss(left, found, at_s, at_s + site.interval_s)


def _sightings(
    signer: Signer, policy: Policy | None, keys: list[VerifierKey]
) -> Iterator[Checkpoint]:
    """Yield the newest checkpoint that the signer and each witness know."""
    origin, last = keys[0].name, signer.last()
    if last is not None and last.origin != origin:
        raise BadInputError(
            f"the signer signs for {last.origin}, the store holds {origin}: take a newer store"
        )
    if last is not None:
        yield last
    for one in policy.witnesses.values() if policy else ():
        if not one.url:
            continue
        try:
            head = seen(one, keys)
        except UnwitnessedError as error:
            raise BadInputError(
                f"witness {one.name} does not tell what it saw of {origin}: {error}; take it out "
                "of the policy if it is gone for good"
            ) from error
        if head is not None:
            yield head


def _follow(
    tx: Transaction,
    site: Site,
    signer: Signer,
    loss: Loss,
    *,
    user: str,
    reason: str,
) -> None:
    """End the log and begin the one that follows, all of it unsigned."""
    key = rotation.key_at(loss.left.size, record.keys(tx))
    origin = f"{record.origin(site)}/{ended_logs.count(tx) + 2}"
    new, signature = signer.succeed(origin, loss)
    if not key.verifies(signature, loss.statement(new.encode())):
        raise StoreError(
            f"the signer does not hold the key of the ledger, {key.encode()}: it was replaced in "
            "what is lost, and nobody can vouch for a log that follows"
        )
    agreed = agreed_on.not_ended(tx, loss.at_s)
    number = ended_logs.end(tx, loss.left.size)
    for setting in (record.HELD, witnessing.POLICY, witnessing.SIZE, topology_entries.TOLD):
        control.drop_meta(tx, setting)
    control.put_meta(tx, "clock_s", str(loss.at_s))
    control.put_meta(tx, record.TOLD_FROM, str(loss.from_s))
    # What the log that ended told to be provisional is told of by no log any more.
    market.finalise(tx, loss.from_s)
    record.put_genesis(tx, new, loss.at_s, loss.told(key, signature))
    detail = {"entries": loss.entries, "origin": loss.left.origin, "reason": reason}
    record.record_action(
        tx, site, at_s=loss.at_s, user=user, kind="ledger.accept_loss", subject=new.name,
        detail=detail,
    )  # fmt: skip
    agreements.tell_all(tx, site, loss.at_s)
    tell_terms(tx, site, loss.at_s)
    contracts.tell_all(tx, site, agreed, loss.at_s)
    _tell_accounts(tx, site, loss, number)
    control.put_findings(tx, loss.at_s, [_finding(loss, new)])
    control.put_meta(tx, record.HELD, f"{new.name} is not signed yet: {_AGAIN}")


def _tell_accounts(tx: Transaction, site: Site, loss: Loss, number: int) -> None:
    """Commit to accounts that go on: of the month the log begins in, of that before, of batteries.

    The month before brings the energy banks.
    """
    known = control.secrets(tx, record.PARTY_SECRET)
    party = {one.id: str(one.party) for one in held.listed(tx)}
    first_s = interval.month_bounds(loss.from_s, site.time_zone)[0]
    before_s = interval.month_bounds(first_s - 1, site.time_zone)[0]
    for month_s in (before_s, first_s):
        told = market.month_accounts(tx, interval.month_label(month_s, site.time_zone))
        facts = [
            Personal(
                party[agreement],
                "account",
                f"{agreement}-{tariff}",
                accounts.payload(agreement, tariff, account),
                number,
            )
            for (agreement, tariff), account in sorted(told.items(), key=lambda pair: pair[0])
            if party.get(agreement) in known
        ]
        if facts:
            record.append(tx, Kind.ACTION, month_s, loss.at_s, {"action": accounts.ACTION}, facts)
    facts = [
        Personal(
            party[agreement],
            "battery_account",
            f"{agreement}-{battery}",
            accounts.battery_payload(agreement, battery, stored_wh),
            number,
        )
        for (agreement, battery), stored_wh in sorted(batteries.accounts(tx).items())
        if party.get(agreement) in known
    ]
    if facts:
        body = {"action": accounts.BATTERIES}
        record.append(tx, Kind.ACTION, loss.at_s, loss.at_s, body, facts)


def _finding(loss: Loss, new: VerifierKey) -> Finding:
    at = interval.label(loss.at_s)
    message = (
        f"{loss.entries} entries of {loss.left.origin} after its first {loss.left.size} are lost "
        f"for good, with all that they told: the log has ended, {new.name} follows from cycle {at} "
        f"on. Nothing is settled any more of intervals before {interval.label(loss.from_s)}"
    )
    return Finding("ledger.lost", "ledger", at, Severity.ALARM, message)
