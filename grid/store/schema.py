"""The tables. Instants are seconds UTC, money nano-currency, energy Wh."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = String(64)
Whole = BigInteger().with_variant(Integer, "sqlite")


def _key(name: str, kind: Any = Key) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _fact(name: str, kind: Any = Whole, *, nullable: bool = False) -> Column[Any]:
    return Column(name, kind, nullable=nullable)


meta = Table("meta", metadata, _key("name"), _fact("value", Text))
secret = Table("secret", metadata, _key("name", String(128)), _fact("value", LargeBinary))

stage = Table("stage", metadata, _key("cycle_s", Whole), _key("stage"))

register_read = Table(
    "register_read",
    metadata,
    _key("meter"),
    _key("at_s", Whole),
    _key("cycle_s", Whole),
    _key("from_profile", Boolean),
    _fact("import_wh"),
    _fact("export_wh"),
    _fact("import_varh"),
    _fact("export_varh"),
    _fact("voltage_v", Float, nullable=True),
    _fact("raw_sha256", LargeBinary),
    _fact("serial", Key, nullable=True),
    _fact("invocation_counter", nullable=True),
)
Index("ix_register_read_at", register_read.c.at_s)

read_statistics = Table(
    "read_statistics",
    metadata,
    _key("kind"),
    _key("subject", String(128)),
    _key("hour_s", Whole),
    _fact("requests"),
    _fact("successes"),
    _fact("timeouts"),
    _fact("refusals"),
    _fact("malformed"),
    _fact("skipped"),
    _fact("latency_count", LargeBinary),
    _fact("answered_s", nullable=True),
)
Index("ix_read_statistics_hour", read_statistics.c.hour_s)

meter_clock = Table(
    "meter_clock",
    metadata,
    _key("meter"),
    _key("at_s", Whole),
    _fact("offset_s"),
    _fact("shift_s", nullable=True),
)

interval_day = Table(
    "interval_day",
    metadata,
    _key("day", String(10)),
    _key("registers"),
    _key("usage_point"),
    _key("version", Integer),
    _fact("start_s"),
    _fact("energy", LargeBinary),
    _fact("quality", LargeBinary),
    _fact("rule", LargeBinary, nullable=True),
    _fact("sd", LargeBinary, nullable=True),
    _fact("cycle_s"),
    # The days of all usage points lie side by side, as they are read and written.
    sqlite_with_rowid=False,
)

written_day = Table(
    "written_day",
    metadata,
    _key("start_s", Whole),
    _fact("day", String(10)),
    _fact("slots", Integer),
    _fact("cycle_s"),
)

reading_edit = Table(
    "reading_edit",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("usage_point", Key),
    _fact("register", Key),
    _fact("start_s"),
    _fact("end_s"),
    _fact("energy", LargeBinary),
    _fact("reason", Text),
    _fact("editor", String(255)),
    _fact("at_s"),
    _fact("until_better", Boolean),
    _fact("before_energy", LargeBinary),
    _fact("before_quality", LargeBinary),
    _fact("before_rule", LargeBinary),
    _fact("withdrawn_by", String(255), nullable=True),
    _fact("withdrawn_s", nullable=True),
)
Index("ix_reading_edit_end", reading_edit.c.end_s)

meter_order = Table(
    "meter_order",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("kind", Key),
    _fact("meter", Key),
    _fact("reason", Text),
    _fact("island_source", Boolean),
    _fact("asked_by", String(255)),
    _fact("asked_s"),
    _fact("expires_s"),
    _fact("approved_by", String(255), nullable=True),
    _fact("approved_s", nullable=True),
    _fact("executing_s", nullable=True),
    _fact("ended_s", nullable=True),
    _fact("state", Key),
    _fact("outcome", Text),
)
Index("ix_meter_order_state", meter_order.c.state)

meter_exchange = Table(
    "meter_exchange",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("meter", Key),
    _fact("at_s"),
    _fact("old_serial", Key),
    _fact("new_serial", Key),
    _fact("last", Text),
    _fact("first", Text),
    _fact("digits", Integer),
    _fact("multiplier", Integer),
    _fact("recorded_by", String(255)),
    _fact("recorded_s"),
    _fact("current", Key),
    _fact("voltage", Key),
    _fact("verified_until_s", nullable=True),
    UniqueConstraint("meter", "at_s"),
)

meter_seal = Table(
    "meter_seal",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("meter", Key),
    _fact("number", Key),
    _fact("placed_s"),
    _fact("placed_by", String(255)),
    _fact("removed_s", nullable=True),
    _fact("removed_by", String(255), nullable=True),
)

move_in = Table(
    "move_in",
    metadata,
    _key("usage_point"),
    _key("at_s", Whole),
    _fact("party", Key),
    _fact("registers", Text),
    _fact("recorded_by", String(255)),
    _fact("recorded_s"),
)

import_file = Table(
    "import_file",
    metadata,
    _key("sha256"),
    _fact("name", String(255)),
    _fact("format", Key),
    _fact("cycle_s"),
    _fact("readings"),
    _fact("filled"),
    _fact("changed"),
    _fact("kept"),
    _fact("refused"),
    _fact("detail", Text),
)

import_channel = Table(
    "import_channel",
    metadata,
    _key("sha256"),
    _key("usage_point"),
    _key("channel"),
    _fact("point", Key),
    _fact("register", Key),
    _fact("start_s"),
    _fact("end_s"),
    _fact("first_line"),
    _fact("last_line"),
)
Index("ix_import_channel_usage_point", import_channel.c.usage_point)

sensor_sample = Table(
    "sensor_sample",
    metadata,
    _key("sensor"),
    _key("at_s", Whole),
    _key("version", Integer),
    _fact("value", Float, nullable=True),
    _fact("quality", Integer),
    _fact("retained", Boolean),
    _fact("received_s"),
    _fact("cycle_s"),
)

loss_case = Table(
    "loss_case",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("family", Key),
    _fact("kind", Key),
    _fact("subject", String(255)),
    _fact("since_s"),
    _fact("found_s"),
    _fact("last_s"),
    _fact("wh_per_day"),
    _fact("wh_per_day_sd"),
    _fact("content", Text),
    _fact("closed_s", nullable=True),
    _fact("closed_by", String(255), nullable=True),
    _fact("reason", Key, nullable=True),
    _fact("comment", Text, nullable=True),
)
Index("ix_loss_case_family", loss_case.c.family, loss_case.c.closed_s)

last_gasp = Table("last_gasp", metadata, _key("meter"), _key("at_s", Whole), _fact("received_s"))

incident = Table(
    "incident",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("kind", Key),
    _fact("element", Whole),
    _fact("name", String(255)),
    _fact("start_s"),
    _fact("found_s"),
    _fact("end_s", nullable=True),
    _fact("state", Key),
    _fact("planned", Boolean),
    _fact("content", Text),
)
Index("ix_incident_end", incident.c.end_s)

interruption = Table(
    "interruption",
    metadata,
    _key("incident", Whole),
    _key("usage_point"),
    _key("start_s", Whole),
    _fact("end_s", nullable=True),
)
Index("ix_interruption_start", interruption.c.start_s)

device_state = Table(
    "device_state",
    metadata,
    _key("asset"),
    _key("at_s", Whole),
    _fact("charged_wh"),
    _fact("discharged_wh"),
    _fact("throttled_w"),
    _fact("available_w"),
    _fact("energy_wh", nullable=True),
    _fact("running", Boolean),
    _fact("alarm"),
)

Index("ix_device_state_at", device_state.c.at_s)

dataset = Table(
    "dataset", metadata, _key("kind"), _key("at_s", Whole), _fact("content", LargeBinary)
)

plan = Table(
    "plan",
    metadata,
    _key("cycle_s", Whole),
    _fact("status", Key),
    _fact("source", Key),
    _fact("objective", Float, nullable=True),
    _fact("gap", Float, nullable=True),
    _fact("rounds", Integer),
    _fact("cuts", Integer),
    _fact("detail", Text),
)

setpoint = Table(
    "setpoint",
    metadata,
    _key("cycle_s", Whole),
    _key("asset"),
    _fact("kind", Key),
    _fact("charge_w"),
    _fact("discharge_w"),
    _fact("limit_w"),
    _fact("running", Boolean),
    _fact("revert_s"),
    _fact("revert_w", nullable=True),
    _fact("state", Key),
)

device_hold = Table(
    "device_hold",
    metadata,
    _key("cycle_s", Whole),
    _key("asset"),
    _fact("kind", Key),
    _fact("charge_w"),
    _fact("discharge_w"),
    _fact("limit_w"),
    _fact("running", Boolean),
    _fact("revert_s"),
    _fact("revert_w", nullable=True),
    _fact("power_w", nullable=True),
    _fact("remaining_s", nullable=True),
    _fact("verdict", Key),
)

override = Table(
    "override",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("asset", Key),
    _fact("action", Key),
    _fact("power_w"),
    _fact("start_s"),
    _fact("end_s"),
    _fact("stake_w"),
    _fact("reason", Key),
    _fact("note", Text),
    _fact("asked_by", String(255)),
    _fact("asked_s"),
    _fact("lapses_s"),
    _fact("approved_by", String(255), nullable=True),
    _fact("approved_s", nullable=True),
    _fact("ended_by", String(255), nullable=True),
    _fact("ended_s", nullable=True),
    _fact("state", Key),
)
Index("ix_override_state", override.c.state)

safety_tag = Table(
    "safety_tag",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("element", String(128)),
    _fact("behind", Text),
    _fact("reason", Key),
    _fact("note", Text),
    _fact("holder", String(255)),
    _fact("placed_s"),
    _fact("released_s", nullable=True),
)
Index("ix_safety_tag_released", safety_tag.c.released_s)

flexibility_event = Table(
    "flexibility_event",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("kind", Key),
    _fact("start_s"),
    _fact("end_s"),
    _fact("asked_w"),
    _fact("limits_w", Text),
    _fact("reward"),
    _fact("penalty"),
    _fact("stake_w"),
    _fact("asked_by", String(255)),
    _fact("program", String(128)),
    _fact("name", String(128)),
    _fact("received_by", String(255)),
    _fact("received_s"),
    _fact("answer_by_s"),
    _fact("accepted_by", String(255), nullable=True),
    _fact("accepted_s", nullable=True),
    _fact("approved_by", String(255), nullable=True),
    _fact("approved_s", nullable=True),
    _fact("closed_by", String(255), nullable=True),
    _fact("closed_s", nullable=True),
    _fact("cause", Key, nullable=True),
    _fact("weighed", Text, nullable=True),
    _fact("report", Text, nullable=True),
    _fact("state", Key),
)
Index("ix_flexibility_event_state", flexibility_event.c.state)
Index("ix_flexibility_event_end", flexibility_event.c.end_s)
charging_session = Table(
    "charging_session",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("charger", Key),
    _fact("party", Key),
    _fact("stated_by", String(255)),
    _fact("stated_s"),
    _fact("arrives_s", nullable=True),
    _fact("departs_s"),
    _fact("wanted_wh"),
    _fact("state", Key),
    _fact("ended_s", nullable=True),
    _fact("got_wh", nullable=True),
)
Index("ix_charging_session_state", charging_session.c.state, charging_session.c.charger)

market_order = Table(
    "market_order",
    metadata,
    _key("id"),
    _fact("start_s"),
    _fact("party", Key),
    _fact("usage_point", Key),
    _fact("side", Key),
    _fact("price"),
    _fact("energy_wh"),
    Column("sequence", Whole, nullable=False, unique=True),
    _fact("agent", Boolean),
    _fact("received_s"),
)
Index("ix_market_order_start", market_order.c.start_s)
Index("ix_market_order_sequence", market_order.c.sequence)

clearing = Table(
    "clearing",
    metadata,
    _key("start_s", Whole),
    _fact("mechanism", Key),
    _fact("price", nullable=True),
    _fact("price_low", nullable=True),
    _fact("price_high", nullable=True),
    _fact("volume_wh"),
    _fact("summary", Text),
)

trade = Table(
    "trade",
    metadata,
    _key("start_s", Whole),
    _key("number", Integer),
    _fact("buy_order", Key),
    _fact("sell_order", Key),
    _fact("buyer", Key),
    _fact("seller", Key),
    _fact("price"),
    _fact("energy_wh"),
)

limit_price = Table(
    "limit_price",
    metadata,
    _key("usage_point"),
    _fact("buy", nullable=True),
    _fact("sell", nullable=True),
)

settlement = Table(
    "settlement",
    metadata,
    _key("start_s", Whole),
    _key("version", Integer),
    _fact("cycle_s"),
    _fact("state", Key),
    _fact("residual_wh"),
    _fact("content", LargeBinary),
)

posting = Table(
    "posting",
    metadata,
    _key("start_s", Whole),
    _key("version", Integer),
    _key("number", Integer),
    _fact("debit", Key),
    _fact("credit", Key),
    _fact("amount_nano"),
    _fact("energy_wh"),
    _fact("kind", Key),
    _fact("usage_point", Key, nullable=True),
    _fact("price"),
    _fact("reversal", Boolean),
    _fact("month", String(7)),
)
Index("ix_posting_debit", posting.c.debit, posting.c.month)
Index("ix_posting_credit", posting.c.credit, posting.c.month)

month_total = Table(
    "month_total",
    metadata,
    _key("usage_point"),
    _key("month", String(7)),
    _fact("month_wh"),
    _fact("bank_wh"),
    _fact("fixed_fee_posted", Boolean),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    _key("sequence", Whole),
    _fact("kind", Key),
    _fact("label", Key),
    _fact("cycle_s"),
    _fact("content", LargeBinary),
    _fact("leaf_hash", LargeBinary),
)

opening = Table(
    "opening",
    metadata,
    _key("sequence", Whole),
    _key("digest"),
    _fact("party", Key, nullable=True),
    _fact("content", Text),
)
Index("ix_opening_party", opening.c.party)

checkpoint = Table("checkpoint", metadata, _key("size", Whole), _fact("at_s"), _fact("note", Text))

finding = Table(
    "finding",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("cycle_s"),
    _fact("code", Key),
    _fact("subject", Key),
    _fact("label", Key),
    _fact("severity", Key),
    _fact("message", Text),
    _fact("acknowledged_by", String(255), nullable=True),
    _fact("acknowledged_s", nullable=True),
    _fact("comment", Text, nullable=True),
    UniqueConstraint("code", "subject", "label"),
)
Index("ix_finding_cycle", finding.c.cycle_s)

action = Table(
    "action",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    _fact("at_s"),
    _fact("user", String(255)),
    _fact("kind", Key),
    _fact("subject", Key),
    _fact("detail", Text),
    _fact("sequence", nullable=True),
)

user = Table(
    "user",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("email", String(255), nullable=False, unique=True),
    _fact("name", String(255)),
    _fact("password", String(255), nullable=True),
    _fact("active", Boolean),
    Column("fs_uniquifier", String(64), nullable=False, unique=True),
    _fact("party", Key, nullable=True),
    _fact("language", String(8), nullable=True),
    _fact("created_s"),
)

role = Table(
    "role",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("name", Key, nullable=False, unique=True),
    _fact("permissions", Text, nullable=True),
)

user_role = Table(
    "user_role",
    metadata,
    Column("user_id", Whole, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", Whole, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)
