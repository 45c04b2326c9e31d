"""What the control room keeps of itself: secrets, stages, datasets, ledger, findings, users."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from grid.store.schema.base import Key, Whole, fact, key, metadata

meta = Table("meta", metadata, key("name"), fact("value", Text))
secret = Table("secret", metadata, key("name", String(128)), fact("value", LargeBinary))

stage = Table("stage", metadata, key("cycle_s", Whole), key("stage"))

dataset = Table("dataset", metadata, key("kind"), key("at_s", Whole), fact("content", LargeBinary))

ledger_entry = Table(
    "ledger_entry",
    metadata,
    key("sequence", Whole),
    fact("kind", Key),
    fact("label", Key),
    fact("cycle_s"),
    fact("content", LargeBinary),
    fact("leaf_hash", LargeBinary),
)

KEYS = text("kind = 'key'")
"""What replaces the ledger's key: few entries among many, which every checkpoint asks for."""

Index("ix_ledger_entry_key", ledger_entry.c.sequence, sqlite_where=KEYS, postgresql_where=KEYS)

tile_hash = Table(
    "tile_hash", metadata, key("level", Whole), key("number", Whole), fact("hash", LargeBinary)
)

opening = Table(
    "opening",
    metadata,
    key("sequence", Whole),
    key("digest"),
    fact("party", Key, nullable=True),
    fact("content", Text),
)
Index("ix_opening_party", opening.c.party)

checkpoint = Table("checkpoint", metadata, key("size", Whole), fact("at_s"), fact("note", Text))

# A log that ended because entries were lost for good: as the store had it, by its number.
ended_entry = Table(
    "ended_entry",
    metadata,
    key("log", Whole),
    key("sequence", Whole),
    fact("kind", Key),
    fact("label", Key),
    fact("content", LargeBinary),
)

ended_opening = Table(
    "ended_opening",
    metadata,
    key("log", Whole),
    key("sequence", Whole),
    key("digest"),
    fact("party", Key, nullable=True),
    fact("content", Text),
)

ended_checkpoint = Table(
    "ended_checkpoint",
    metadata,
    key("log", Whole),
    key("size", Whole),
    fact("at_s"),
    fact("note", Text),
)

finding = Table(
    "finding",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("cycle_s"),
    fact("code", Key),
    fact("subject", Key),
    fact("label", Key),
    fact("severity", Key),
    fact("message", Text),
    fact("acknowledged_by", String(255), nullable=True),
    fact("acknowledged_s", nullable=True),
    fact("comment", Text, nullable=True),
    UniqueConstraint("code", "subject", "label"),
)
Index("ix_finding_cycle", finding.c.cycle_s)

action = Table(
    "action",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("at_s"),
    fact("user", String(255)),
    fact("kind", Key),
    fact("subject", Key),
    fact("detail", Text),
    fact("sequence", nullable=True),
)

user = Table(
    "user",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("email", String(255), nullable=False, unique=True),
    fact("name", String(255)),
    fact("password", String(255), nullable=True),
    fact("active", Boolean),
    Column("fs_uniquifier", String(64), nullable=False, unique=True),
    fact("party", Key, nullable=True),
    fact("language", String(8), nullable=True),
    fact("created_s"),
)

role = Table(
    "role",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("name", Key, nullable=False, unique=True),
    fact("permissions", Text, nullable=True),
)

user_role = Table(
    "user_role",
    metadata,
    Column("user_id", Whole, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", Whole, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("party", Key, nullable=True),
    fact("reason", Text),
    fact("asked_by", String(255)),
    fact("asked_s"),
    fact("name", Key, nullable=True),
    fact("approved_by", String(255), nullable=True),
    fact("approved_s", nullable=True),
)
