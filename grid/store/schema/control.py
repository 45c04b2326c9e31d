"""What devices said and were sent, plans, holds, tags, events, vehicles."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from grid.store.schema.base import Key, Whole, fact, key, metadata

device_state = Table(
    "device_state",
    metadata,
    key("asset"),
    key("at_s", Whole),
    fact("charged_wh"),
    fact("discharged_wh"),
    fact("throttled_w"),
    fact("available_w"),
    fact("energy_wh", nullable=True),
    fact("running", Boolean),
    fact("alarm"),
)

Index("ix_device_state_at", device_state.c.at_s)

plan = Table(
    "plan",
    metadata,
    key("cycle_s", Whole),
    fact("status", Key),
    fact("source", Key),
    fact("objective", Float, nullable=True),
    fact("gap", Float, nullable=True),
    fact("rounds", Integer),
    fact("cuts", Integer),
    fact("detail", Text),
)

setpoint = Table(
    "setpoint",
    metadata,
    key("cycle_s", Whole),
    key("asset"),
    fact("kind", Key),
    fact("charge_w"),
    fact("discharge_w"),
    fact("limit_w"),
    fact("running", Boolean),
    fact("revert_s"),
    fact("revert_w", nullable=True),
    fact("state", Key),
)

device_hold = Table(
    "device_hold",
    metadata,
    key("cycle_s", Whole),
    key("asset"),
    fact("kind", Key),
    fact("charge_w"),
    fact("discharge_w"),
    fact("limit_w"),
    fact("running", Boolean),
    fact("revert_s"),
    fact("revert_w", nullable=True),
    fact("power_w", nullable=True),
    fact("remaining_s", nullable=True),
    fact("verdict", Key),
)

override = Table(
    "override",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("asset", Key),
    fact("action", Key),
    fact("power_w"),
    fact("start_s"),
    fact("end_s"),
    fact("stake_w"),
    fact("reason", Key),
    fact("note", Text),
    fact("asked_by", String(255)),
    fact("asked_s"),
    fact("lapses_s"),
    fact("approved_by", String(255), nullable=True),
    fact("approved_s", nullable=True),
    fact("ended_by", String(255), nullable=True),
    fact("ended_s", nullable=True),
    fact("state", Key),
)
Index("ix_override_state", override.c.state)

safety_tag = Table(
    "safety_tag",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("element", String(128)),
    fact("behind", Text),
    fact("reason", Key),
    fact("note", Text),
    fact("holder", String(255)),
    fact("placed_s"),
    fact("released_s", nullable=True),
)
Index("ix_safety_tag_released", safety_tag.c.released_s)

flexibility_event = Table(
    "flexibility_event",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("kind", Key),
    fact("start_s"),
    fact("end_s"),
    fact("asked_w"),
    fact("limits_w", Text),
    fact("reward"),
    fact("penalty"),
    fact("stake_w"),
    fact("asked_by", String(255)),
    fact("program", String(128)),
    fact("name", String(128)),
    fact("received_by", String(255)),
    fact("received_s"),
    fact("answer_by_s"),
    fact("accepted_by", String(255), nullable=True),
    fact("accepted_s", nullable=True),
    fact("approved_by", String(255), nullable=True),
    fact("approved_s", nullable=True),
    fact("closed_by", String(255), nullable=True),
    fact("closed_s", nullable=True),
    fact("cause", Key, nullable=True),
    fact("weighed", Text, nullable=True),
    fact("report", Text, nullable=True),
    fact("state", Key),
)
Index("ix_flexibility_event_state", flexibility_event.c.state)
Index("ix_flexibility_event_end", flexibility_event.c.end_s)
charging_session = Table(
    "charging_session",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    fact("charger", Key),
    fact("party", Key),
    fact("stated_by", String(255)),
    fact("stated_s"),
    fact("arrives_s", nullable=True),
    fact("departs_s"),
    fact("wanted_wh"),
    fact("state", Key),
    fact("ended_s", nullable=True),
    fact("got_wh", nullable=True),
)
Index("ix_charging_session_state", charging_session.c.state, charging_session.c.charger)
