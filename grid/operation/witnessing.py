"""Having checkpoints witnessed: posted to every witness of the policy, cosignatures kept.

A witness that is down delays finality and nothing else. One that has seen more of the ledger
than the store holds, or something else, stops the site: the store was put back from an old copy.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from grid import interval
from grid.errors import BadInputError, Finding, GridError, Severity
from grid.operation import record
from grid.operation.room import Room
from grid.operation.signer import BehindError
from grid.operation.witness_client import Posted, ask
from grid.store import Transaction, control, log
from trading.ledger import checkpoint, note
from trading.ledger.entry import Kind
from trading.ledger.policy import NONE, POLICY_BYTES_MAX, Policy, parse

LAG_INTERVALS = 4
"""More cycles than this without a quorum are an alarm."""

POLICY, SIZE = "ledger.policy", "ledger.witnessed_size"
NEVER_S = 2**62
_LOOKED = "ledger looked at"


def policy_of(directory: Path, name: str) -> Policy | None:
    """Return the policy of a site's file, ``None`` where the site has none.

    Raises
    ------
    BadInputError
        When it cannot be read, or names a quorum but no address of a witness.
    """
    if not name:
        return None
    path = directory / name
    try:
        with path.open("rb") as stream:
            policy = parse(stream.read(POLICY_BYTES_MAX + 1))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    urls = {one.key.encode() for one in policy.witnesses.values() if one.url}
    if not policy.met(urls):
        raise BadInputError(
            f"{path}: the witnesses with a URL do not make up the quorum {policy.quorum}"
        )
    return policy


def witnessed_size(tx: Transaction) -> int:
    """Return the largest size of the ledger whose checkpoint its quorum has cosigned.

    Without a policy the ledger is unwitnessed, and all of it counts.
    """
    stored = control.get_meta(tx, SIZE)
    return log.size(tx) if stored is None else int(stored)


def unwitnessed_s(tx: Transaction) -> int:
    """Return the first interval with a settlement entry that is not witnessed, seconds UTC.

    Beyond all intervals where there is none.
    """
    if control.get_meta(tx, SIZE) is None:
        return NEVER_S
    kinds = (str(Kind.SETTLEMENT), str(Kind.CORRECTION))
    label = log.first_label(tx, witnessed_size(tx), kinds)
    return NEVER_S if label is None else interval.parse(label)


def _remember(tx: Transaction, policy: Policy | None) -> None:
    """Keep with the store what the policy finds witnessed, when it is another one."""
    key = record.first_key(tx)
    if policy is not None and policy.logs and key not in policy.logs:
        raise BadInputError(f"the policy of witnesses does not list this log: {key.encode()}")
    needed = policy is not None and policy.quorum != NONE
    told = sha256(repr(policy).encode()).hexdigest() if needed else ""
    if (control.get_meta(tx, POLICY) or "") == told:
        return
    control.put_meta(tx, POLICY, told)
    control.drop_meta(tx, SIZE)
    if policy is not None and needed:
        rows = log.checkpoints(tx)
        met = (int(row["size"]) for row in rows if policy.met(_cosigned(row["note"], policy)))
        control.put_meta(tx, SIZE, str(next(met, 0)))


def admit(room: Room, at_s: int) -> None:
    """Refuse to go on when the ledger is held; look, at the first cycle, whether it must be.

    Raises
    ------
    BehindError
        When the signer or a witness has seen more of this ledger, or something else.
    BadInputError
        When the policy is for other logs.
    """
    with room.store.read() as tx:
        record.check_held(tx)
    if _LOOKED in room.memory:
        return
    with room.store.write() as tx:
        _remember(tx, room.policy)
    last = room.signer.last()
    with room.store.read() as tx:
        tree, origin = log.StoredTree(tx), record.first_key(tx).name
        if last is not None and last.origin != origin:
            raise BehindError(f"the signer signs for {last.origin}, the store holds {origin}")
        if last is not None and (last.size > tree.size or tree.root(last.size) != last.root):
            what = "entries" if last.size > tree.size else "other entries"
            raise BehindError(
                f"{last.size} {what} of {last.origin} were signed, the store holds {tree.size}"
            )
    gather(room, at_s)
    room.memory[_LOOKED] = True


def hold(room: Room, at_s: int, error: BehindError) -> None:
    """Make the ledger read-only, and say why where people look."""
    message = (
        f"{error}: the store was put back from an old copy, or its ledger was written anew. "
        "Nothing is recorded; 'khazri ledger recover' brings the missing entries back, and goes "
        "on without them when nobody has them (--accept-loss)"
    )
    with room.store.write() as tx:
        control.put_meta(tx, record.HELD, message)
        label = interval.label(at_s)
        finding = Finding("ledger.behind", "ledger", label, Severity.ALARM, message)
        control.put_findings(tx, at_s, [finding])


def _cosigned(signed: str, policy: Policy) -> Collection[str]:
    return checkpoint.cosigners(signed, (one.key for one in policy.witnesses.values()))


def gather(room: Room, at_s: int) -> None:
    """Have the newest checkpoint witnessed; store what comes within the deadline.

    Raises
    ------
    BehindError
        When a witness has seen more of this ledger, or something else.
    """
    policy = room.policy
    if policy is None:
        return
    posted = _newest(room)
    lines, failed = ask(posted, [one for one in policy.witnesses.values() if one.url])
    signed = posted.signed + "".join(lines)
    with room.store.write() as tx:
        log.put_note(tx, posted.head.size, signed)
        if policy.quorum != NONE and policy.met(_cosigned(signed, policy)):
            control.put_meta(tx, SIZE, str(posted.head.size))
        control.put_findings(tx, at_s, _late(room, tx, at_s, failed))
    for name, error in failed.items():
        room.log(at_s, "witness", witness=name, failed=str(error))
    behind = [error for error in failed.values() if isinstance(error, BehindError)]
    if behind:
        raise behind[0]


def _newest(room: Room) -> Posted:
    with room.store.read() as tx:
        row = log.checkpoints(tx, limit=1)[0]
    text, lines = note.parse(str(row["note"]))
    head = checkpoint.parse(text)
    own = "".join(line.encode() for line in lines if line.name == head.origin)

    def proof(old: int) -> tuple[bytes, ...]:
        with room.store.read() as tx:
            return log.StoredTree(tx).consistency(old, head.size)

    return Posted(head, f"{text}\n{own}", proof)


def _late(room: Room, tx: Transaction, at_s: int, failed: dict[str, GridError]) -> list[Finding]:
    """Return an alarm when the ledger has had no quorum for too long."""
    policy = room.policy
    if policy is None or policy.quorum == NONE:
        return []
    size = witnessed_size(tx)
    since_s = log.checkpoint_after(tx, size)
    if since_s is None or at_s - since_s < LAG_INTERVALS * room.site.interval_s:
        return []
    label = interval.label(since_s)
    why = "; ".join(f"{name}: {error}" for name, error in sorted(failed.items()))
    message = (
        f"the ledger is witnessed up to {size} entries since cycle {label}, the quorum "
        f"{policy.quorum} is missing: nothing becomes final ({why})"
    )
    return [Finding("ledger.unwitnessed", "ledger", label, Severity.ALARM, message)]
