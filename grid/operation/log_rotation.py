"""Replacing the ledger's key while no cycle runs."""

from __future__ import annotations

from grid.operation import record
from grid.operation.signer import Signer
from grid.site import Site
from grid.store import Store, control
from trading.ledger import note


def rotate(store: Store, site: Site, signer: Signer, *, user: str) -> tuple[note.VerifierKey, int]:
    """Return the new key and the size of the first tree it signed.

    Killed at any point it can be run again: a key that was drawn and not brought into the
    ledger is used then, one that was brought in signs first.

    Raises
    ------
    StoreError
        When the ledger is held, or the signer does not answer.
    """
    with store.write() as tx:
        record.check_held(tx)
        at_s = control.clock_s(tx)
        record.checkpoint(tx, signer.sign, at_s)
    with store.write() as tx:
        key = record.append_key(tx, at_s, signer.replace)
        record.record_action(
            tx,
            site,
            at_s=at_s,
            user=user,
            kind="ledger.rotate_key",
            subject="ledger",
            detail={"key": key.encode()},
        )
    # Only what is committed is signed: the entry first, then the tree with it.
    with store.write() as tx:
        head = record.checkpoint(tx, signer.sign, at_s)
    return key, head.size
