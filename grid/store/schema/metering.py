"""Readings, intervals, meters and their orders, imports, lost energy and outages."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from grid.store.schema.base import Key, Whole, fact, key, metadata

register_read = Table(
    "register_read",
    metadata,
    key("meter"),
    key("at_s", Whole),
    key("cycle_s", Whole),
    key("from_profile", Boolean),
    fact("import_wh"),
    fact("export_wh"),
    fact("import_varh"),
    fact("export_varh"),
    fact("voltage_v", Float, nullable=True),
    fact("raw_sha256", LargeBinary),
    fact("serial", Key, nullable=True),
    fact("invocation_counter", nullable=True),
)
Index("ix_register_read_at", register_read.c.at_s)

read_statistics = Table(
    "read_statistics",
    metadata,
    key("kind"),
    key("subject", String(128)),
    key("hour_s", Whole),
    fact("requests"),
    fact("successes"),
    fact("timeouts"),
    fact("refusals"),
    fact("malformed"),
    fact("skipped"),
    fact("latency_count", LargeBinary),
    fact("answered_s", nullable=True),
)
Index("ix_read_statistics_hour", read_statistics.c.hour_s)

meter_clock = Table(
    "meter_clock",
    metadata,
    key("meter"),
    key("at_s", Whole),
    fact("offset_s"),
    fact("shift_s", nullable=True),
)

interval_day = Table(
    "interval_day",
    metadata,
    key("day", String(10)),
    key("registers"),
    key("usage_point"),
    key("version", Integer),
    fact("start_s"),
    fact("energy", LargeBinary),
    fact("quality", LargeBinary),
    fact("rule", LargeBinary, nullable=True),
    fact("sd", LargeBinary, nullable=True),
    fact("cycle_s"),
    # The days of all usage points lie side by side, as they are read and written.
    sqlite_with_rowid=False,
)

written_day = Table(
    "written_day",
    metadata,
    key("start_s", Whole),
    fact("day", String(10)),
    fact("slots", Integer),
    fact("cycle_s"),
)

reading_edit = Table(
    "reading_edit",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("usage_point", Key),
    fact("register", Key),
    fact("start_s"),
    fact("end_s"),
    fact("energy", LargeBinary),
    fact("reason", Text),
    fact("editor", String(255)),
    fact("at_s"),
    fact("until_better", Boolean),
    fact("before_energy", LargeBinary),
    fact("before_quality", LargeBinary),
    fact("before_rule", LargeBinary),
    fact("withdrawn_by", String(255), nullable=True),
    fact("withdrawn_s", nullable=True),
)
Index("ix_reading_edit_end", reading_edit.c.end_s)

meter_order = Table(
    "meter_order",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("kind", Key),
    fact("meter", Key),
    fact("reason", Text),
    fact("island_source", Boolean),
    fact("asked_by", String(255)),
    fact("asked_s"),
    fact("expires_s"),
    fact("approved_by", String(255), nullable=True),
    fact("approved_s", nullable=True),
    fact("executing_s", nullable=True),
    fact("ended_s", nullable=True),
    fact("state", Key),
    fact("outcome", Text),
)
Index("ix_meter_order_state", meter_order.c.state)

meter_exchange = Table(
    "meter_exchange",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("meter", Key),
    fact("at_s"),
    fact("old_serial", Key),
    fact("new_serial", Key),
    fact("last", Text),
    fact("first", Text),
    fact("digits", Integer),
    fact("multiplier", Integer),
    fact("recorded_by", String(255)),
    fact("recorded_s"),
    fact("current", Key),
    fact("voltage", Key),
    fact("verified_until_s", nullable=True),
    UniqueConstraint("meter", "at_s"),
)

meter_seal = Table(
    "meter_seal",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("meter", Key),
    fact("number", Key),
    fact("placed_s"),
    fact("placed_by", String(255)),
    fact("removed_s", nullable=True),
    fact("removed_by", String(255), nullable=True),
)

move_in = Table(
    "move_in",
    metadata,
    key("usage_point"),
    key("at_s", Whole),
    fact("party", Key),
    fact("registers", Text),
    fact("recorded_by", String(255)),
    fact("recorded_s"),
)

import_file = Table(
    "import_file",
    metadata,
    key("sha256"),
    fact("name", String(255)),
    fact("format", Key),
    fact("cycle_s"),
    fact("readings"),
    fact("filled"),
    fact("changed"),
    fact("kept"),
    fact("refused"),
    fact("detail", Text),
)

import_channel = Table(
    "import_channel",
    metadata,
    key("sha256"),
    key("usage_point"),
    key("channel"),
    fact("point", Key),
    fact("register", Key),
    fact("start_s"),
    fact("end_s"),
    fact("first_line"),
    fact("last_line"),
)
Index("ix_import_channel_usage_point", import_channel.c.usage_point)

sensor_sample = Table(
    "sensor_sample",
    metadata,
    key("sensor"),
    key("at_s", Whole),
    key("version", Integer),
    fact("value", Float, nullable=True),
    fact("quality", Integer),
    fact("retained", Boolean),
    fact("received_s"),
    fact("cycle_s"),
)

loss_case = Table(
    "loss_case",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("family", Key),
    fact("kind", Key),
    fact("subject", String(255)),
    fact("since_s"),
    fact("found_s"),
    fact("last_s"),
    fact("wh_per_day"),
    fact("wh_per_day_sd"),
    fact("content", Text),
    fact("closed_s", nullable=True),
    fact("closed_by", String(255), nullable=True),
    fact("reason", Key, nullable=True),
    fact("comment", Text, nullable=True),
)
Index("ix_loss_case_family", loss_case.c.family, loss_case.c.closed_s)

last_gasp = Table("last_gasp", metadata, key("meter"), key("at_s", Whole), fact("received_s"))

incident = Table(
    "incident",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("kind", Key),
    fact("element", Whole),
    fact("name", String(255)),
    fact("start_s"),
    fact("found_s"),
    fact("end_s", nullable=True),
    fact("state", Key),
    fact("planned", Boolean),
    fact("content", Text),
)
Index("ix_incident_end", incident.c.end_s)

interruption = Table(
    "interruption",
    metadata,
    key("incident", Whole),
    key("usage_point"),
    key("start_s", Whole),
    fact("end_s", nullable=True),
)
Index("ix_interruption_start", interruption.c.start_s)
