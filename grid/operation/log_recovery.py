"""A ledger whose store was put back from an old copy: the entries it lacks, from an export.

The entries and the openings the export has come back. What stood in other tables (readings,
trades, postings) does not: those intervals are as good as missed, and the site goes on after
the last of them, so that nothing is recorded twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from grid import interval
from grid.errors import BadInputError, VerificationError
from grid.operation import record
from grid.operation.signer import Signer
from grid.site import Site
from grid.store import Store, Transaction, batteries, control, log
from trading import verify
from trading.ledger import entry, tiles
from trading.ledger.commitment import decode_opening
from trading.replay.accounts import EMPTIED


def recover(
    store: Store, site: Site, signer: Signer, folder: Path, *, user: str
) -> tuple[int, int]:
    """Append what an export has and the store lacks; return how many entries, and the size.

    Raises
    ------
    VerificationError
        When the export does not verify with the ledger's first key, or is not a continuation
        of what the store holds.
    BadInputError
        When it has no more entries than the store, or fewer than were signed.
    """
    with store.read() as tx:
        key = record.first_key(tx)
        have = log.size(tx)
    size = _verified(folder, key.encode())
    last = signer.last()
    if last is not None and last.origin != key.name:
        raise BadInputError(f"{key.name} has ended, the signer signs for {last.origin}")
    least = max(have, last.size if last is not None else 0)
    if size < least:
        raise BadInputError(f"{folder} has {size} entries, at least {least} are needed")
    with store.write() as tx:
        _append(tx, folder, have, size)
        control.put_meta(tx, "clock_s", str(_next_cycle(tx, site, have)))
        control.drop_meta(tx, record.HELD)
        # What batteries gave away since the copy does not come back with the entries.
        batteries.empty(tx)
        record.record_action(
            tx,
            site,
            at_s=control.clock_s(tx),
            user=user,
            kind=EMPTIED,
            subject="ledger",
            detail={"from": have, "to": size},
        )
    with store.write() as tx:
        record.checkpoint(tx, signer.sign, control.clock_s(tx))
    return size - have, size + 1


def _verified(folder: Path, vkey: str) -> int:
    try:
        report = verify.verify(folder, verify.parse_key(vkey, 1))
    except verify.NotVerified as verdict:
        raise VerificationError(verdict.sentence()) from verdict
    except (OSError, verify.UsageError) as error:
        raise BadInputError(f"{folder}: {error}") from error
    return int(report["size"])


def _append(tx: Transaction, folder: Path, have: int, size: int) -> None:
    stored = log.entries(tx)
    openings = _openings(folder)
    for sequence, content in enumerate(tiles.read_entries(folder, size)):
        if sequence < have:
            if next(stored) != content:
                raise VerificationError(
                    f"entry {sequence} of {folder} is not that of the store: another history"
                )
            continue
        one = entry.decode(content)
        start_s = interval.parse(one.interval) if one.interval else control.clock_s(tx)
        log.append(
            tx,
            sequence=sequence,
            kind=str(one.kind),
            label=one.interval,
            cycle_s=start_s,
            content=content,
            leaf_hash=one.leaf_hash,
            openings=openings.get(sequence, ()),
        )


def _openings(folder: Path) -> dict[int, Sequence[dict[str, Any]]]:
    """Return rows of the openings an export has; whose they are it does not say."""
    path = folder / "openings.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for line in lines:
            sequence, one = decode_opening(line)
            yield sequence, {"digest": one.digest, "party": None, "content": line.decode()}

    return {
        sequence: [row for _, row in group]
        for sequence, group in groupby(rows(), key=lambda pair: pair[0])
    }


def _next_cycle(tx: Transaction, site: Site, have: int) -> int:
    """Return the first cycle of which nothing can be in the entries brought back.

    A cycle's entries are about the interval before it up to the one after it.
    """
    labels = [row["label"] for row in log.listed(tx, limit=log.size(tx) - have) if row["label"]]
    last_s = max((interval.parse(label) for label in labels), default=0)
    return max(control.clock_s(tx), last_s + 2 * site.interval_s)
