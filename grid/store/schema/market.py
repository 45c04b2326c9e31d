"""Parties and agreements, orders, clearings, settlement and books."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from grid.store.schema.base import Key, Whole, fact, key, metadata

party = Table(
    "party",
    metadata,
    key("id"),
    fact("name", String(255)),
    fact("kind", Key),
    fact("since_s"),
)

agreement = Table(
    "agreement",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("usage_point", Key),
    fact("party", Key),
    fact("from_s"),
    fact("until_s", nullable=True),
    UniqueConstraint("usage_point", "from_s"),
)
Index("ix_agreement_party", agreement.c.party)

agreement_terms = Table(
    "agreement_terms",
    metadata,
    key("agreement", Whole),
    key("from_s", Whole),
    fact("tariff", Key),
    fact("share_percent", Integer),
    fact("key_percent", Integer),
    fact("trades", Boolean),
    fact("batteries", Text),
    fact("recorded_by", String(255)),
)

market_order = Table(
    "market_order",
    metadata,
    key("id"),
    fact("start_s"),
    fact("party", Key),
    fact("usage_point", Key),
    fact("side", Key),
    fact("price"),
    fact("energy_wh"),
    Column("sequence", Whole, nullable=False, unique=True),
    fact("agent", Boolean),
    fact("received_s"),
    fact("cancelled_s", nullable=True),
    fact("cancel_sequence", nullable=True),
    fact("battery", Key),
)
Index("ix_market_order_start", market_order.c.start_s)
Index("ix_market_order_sequence", market_order.c.sequence)
Index("ix_market_order_cancel_sequence", market_order.c.cancel_sequence)

battery_account = Table(
    "battery_account",
    metadata,
    key("agreement", Whole),
    key("battery"),
    fact("stored_wh"),
)

battery_move = Table(
    "battery_move",
    metadata,
    key("start_s", Whole),
    key("battery"),
    fact("agreement"),
    fact("usage_point", Key),
    fact("bought_wh"),
    fact("sold_wh"),
    fact("kept_wh"),
    fact("used_wh"),
    fact("stored_wh"),
)

order_amendment = Table(
    "order_amendment",
    metadata,
    key("id"),
    fact("order", Key),
    fact("party", Key),
    fact("start_s"),
    fact("price"),
    fact("energy_wh"),
    Column("sequence", Whole, nullable=False, unique=True),
    fact("received_s"),
)
Index("ix_order_amendment_start", order_amendment.c.start_s)

contract = Table(
    "contract",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("buyer", Key),
    fact("seller", Key),
    fact("price"),
    fact("energy_wh", nullable=True),
    fact("share_percent", Integer, nullable=True),
    fact("from_s"),
    fact("until_s", nullable=True),
    fact("proposed_by", Key),
    fact("proposed_s"),
    fact("refused_s", nullable=True),
    fact("accepted_s", nullable=True),
    fact("accepted_entry", nullable=True),
    fact("ended_by", Key, nullable=True),
    fact("ended_s", nullable=True),
)
Index("ix_contract_buyer", contract.c.buyer)
Index("ix_contract_seller", contract.c.seller)

sealed_book = Table(
    "sealed_book",
    metadata,
    key("start_s", Whole),
    fact("sequence"),
    fact("orders", Integer),
)

clearing = Table(
    "clearing",
    metadata,
    key("start_s", Whole),
    fact("mechanism", Key),
    fact("price", nullable=True),
    fact("price_low", nullable=True),
    fact("price_high", nullable=True),
    fact("volume_wh"),
    fact("summary", Text),
)

trade = Table(
    "trade",
    metadata,
    key("start_s", Whole),
    key("number", Integer),
    fact("buy_order", Key),
    fact("sell_order", Key),
    fact("buyer", Key),
    fact("seller", Key),
    fact("price"),
    fact("sell_price"),
    fact("energy_wh"),
    fact("zone_fee"),
    fact("loss_fee"),
    fact("regional", Boolean),
)

limit_price = Table(
    "limit_price",
    metadata,
    key("agreement", Whole),
    fact("buy", nullable=True),
    fact("sell", nullable=True),
)

settlement = Table(
    "settlement",
    metadata,
    key("start_s", Whole),
    key("version", Integer),
    fact("cycle_s"),
    fact("state", Key),
    fact("residual_wh"),
    fact("content", LargeBinary),
)

posting = Table(
    "posting",
    metadata,
    key("start_s", Whole),
    key("version", Integer),
    key("number", Integer),
    fact("debit", Key),
    fact("credit", Key),
    fact("amount_nano"),
    fact("energy_wh"),
    fact("kind", Key),
    fact("usage_point", Key, nullable=True),
    fact("price"),
    fact("reversal", Boolean),
    fact("month", String(7)),
)
Index("ix_posting_debit", posting.c.debit, posting.c.month)
Index("ix_posting_credit", posting.c.credit, posting.c.month)

invoice = Table(
    "invoice",
    metadata,
    key("number"),
    fact("party", Key),
    fact("month", String(7)),
    fact("made_s"),
    fact("total_nano"),
    fact("document", Text),
    fact("sequence"),
    UniqueConstraint("party", "month"),
)

dispute = Table(
    "dispute",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("invoice", Key),
    fact("line", Integer),
    fact("amount_nano"),
    fact("reason", Text),
    fact("opened_by", String(255)),
    fact("opened_s"),
    fact("state", Key),
    fact("credit_nano"),
    fact("note", Text, nullable=True),
    fact("closed_by", String(255), nullable=True),
    fact("closed_s", nullable=True),
)
Index("ix_dispute_invoice", dispute.c.invoice)

tariff_change = Table(
    "tariff_change",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("tariff", Text),
    fact("proposed_by", Text),
    fact("proposed_s"),
    fact("decided_by", Text, nullable=True),
    fact("decided_s", nullable=True),
    fact("state", Key),
)

month_account = Table(
    "month_account",
    metadata,
    key("agreement", Whole),
    key("month", String(7)),
    key("tariff"),
    fact("supplied", Text),
    fact("metered", Text),
    fact("export_wh"),
    fact("bank_wh"),
    fact("fee_nano"),
    fact("import_wh"),
    fact("local_wh"),
    fact("battery_wh"),
)
