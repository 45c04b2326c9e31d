"""Receipts of orders: a signed promise that an order will be in the sealed book.

A receipt is a note in the format of C2SP signed-note with the text::

    khazri.example/order-receipt/v1      the kind of promise, first line
    khazri/rural                         origin of the log
    2026-05-27T10:00Z                    the market interval
    member-9f2c…                         the order
    5e884898…                            its commitment, as the sealed book must list it
    2026-05-27T09:12Z                    the minute of its receipt

A receipt of an amendment begins with ``khazri.example/order-amendment-receipt/v1`` and names the
amendment in a line of its own after the order; one of a cancellation begins with
``khazri.example/order-cancellation-receipt/v1``. The receipt of the order itself holds on.

The key stands in the log's genesis. The commitment tells nothing without the opening that its
owner has, so a receipt can be shown to anybody. A sealed book that lacks the commitment, with the
receipt beside it, convicts the operator; an order that is in no book never trades. A book without
its cancellation lets an order trade that should not: replay finds no fault, only this receipt does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from grid.errors import VerificationError
from grid.ids import check
from trading.ledger import note

PLACED = "khazri.example/order-receipt/v1"
AMENDED = "khazri.example/order-amendment-receipt/v1"
CANCELLED = "khazri.example/order-cancellation-receipt/v1"
_LINES = {PLACED: 6, AMENDED: 7, CANCELLED: 6}
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LABEL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the operator promised of one order.

    Attributes
    ----------
    origin : str
        Name of the log.
    interval : str
        Label of the market interval.
    order : str
    digest : str
        The commitment to what is promised, 64 hexadecimal digits.
    received : str
        Label of the minute of its receipt.
    kind : str
        Whether the order itself is promised, an amendment of it or its cancellation.
    amendment : str
        The amendment that is promised; empty where it is none.
    """

    origin: str
    interval: str
    order: str
    digest: str
    received: str
    kind: str = PLACED
    amendment: str = ""

    def encode(self) -> str:
        """Return the text that is signed."""
        what = (self.amendment,) if self.kind == AMENDED else ()
        facts = (self.origin, self.interval, self.order, *what, self.digest, self.received)
        return "\n".join((self.kind, *facts)) + "\n"


def key_name(origin: str) -> str:
    """Return the name of the key that signs a log's receipts."""
    return f"{origin}/receipts"


def sign(receipt: Receipt, signer: note.Signer) -> str:
    """Return the signed receipt."""
    return note.sign(receipt.encode(), [signer])


def verify(signed: str, key: note.VerifierKey) -> Receipt:
    """Return the receipt after checking its signature.

    Raises
    ------
    VerificationError
        When `key` did not sign it, or it is no receipt.
    """
    lines = note.verify(signed, key).split("\n")
    if len(lines) != _LINES.get(lines[0], 0) + 1:
        kinds = " or ".join(f"{kind} of {count} lines" for kind, count in _LINES.items())
        raise VerificationError(f"not a receipt: it must be {kinds}")
    kind, origin, interval, order, *what, digest, received, _ = lines
    if not _DIGEST.fullmatch(digest):
        raise VerificationError("the commitment of a receipt is not 64 hexadecimal digits")
    if not (_LABEL.fullmatch(interval) and _LABEL.fullmatch(received)):
        raise VerificationError("an instant of a receipt is no label")
    if key_name(origin) != key.name:
        raise VerificationError(f"the receipt is of {origin}, signed by {key.name}")
    amendment = check(what[0], "amendment") if kind == AMENDED else ""
    return Receipt(origin, interval, check(order, "order"), digest, received, kind, amendment)


def keeps(receipt: Receipt, sealed: Iterable[str]) -> bool:
    """Whether the commitments of an interval's sealed book keep the promise."""
    return receipt.digest in set(sealed)
