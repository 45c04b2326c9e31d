"""What of a person is where in the store: every table is declared once.

It is free of persons (:data:`FREE`), or personal by what is told of a time (:data:`BY_TIME`,
:data:`COUNTERS`), by the party (:data:`BY_PARTY`) or in a way of its own (:data:`APART`).
"""

from __future__ import annotations

FREE = {
    "checkpoint": "signed notes of the ledger",
    "ended_checkpoint": "signed notes of logs that ended",
    "ended_entry": "public facts and digests of logs that ended",
    "ledger_entry": "public facts and digests",
    "meter_clock": "how a device's clock goes",
    "meter_seal": "numbers of seals",
    "read_statistics": "how a device answers",
    "role": "what users may do",
    "safety_tag": "elements of the network, and who works there",
    "sealed_book": "how many orders a book had, as the ledger says",
    "stage": "which stages of cycles are done",
    "tile_hash": "hashes of the ledger",
    "user_role": "goes with its user",
    "written_day": "which cycle wrote into a day",
}
"""Tables that tell nothing of a person, and what they hold."""

BY_TIME = {
    "battery_move": "start_s",
    "clearing": "start_s",
    "dataset": "at_s",
    "device_hold": "cycle_s",
    "finding": "cycle_s",
    "flexibility_event": "start_s",
    "incident": "end_s",
    "interruption": "start_s",
    "interval_day": "start_s",
    "last_gasp": "at_s",
    "loss_case": "last_s",
    "market_order": "start_s",
    "meter_order": "asked_s",
    "order_amendment": "start_s",
    "override": "start_s",
    "plan": "cycle_s",
    "reading_edit": "start_s",
    "sensor_sample": "at_s",
    "setpoint": "cycle_s",
    "trade": "start_s",
}
"""Tables whose rows go, everybody's, when this column is within a stay of the erased person."""

COUNTERS = {"device_state": "at_s", "register_read": "at_s"}
"""Tables of registers, whose rows go up to the end of a stay: two would tell what is between."""

BY_PARTY = {
    "charging_session": "party",
    "market_order": "party",
    "move_in": "party",
    "order_amendment": "party",
    "user": "party",
}
"""Tables whose rows go when this column names the erased party."""

APART = {
    "action": "what the person did goes, what others did names nobody",
    "agreement": "stays, as that of nobody: who holds a usage point has no gap",
    "agreement_terms": "stays with its agreement, without its batteries",
    "battery_account": "goes with its agreement",
    "contract": "goes with either of its parties",
    "dispute": "goes with its invoice",
    "ended_opening": "as an opening of the log in force",
    "erasure": "says that, when and by whom, not of whom",
    "import_channel": "goes when it overlaps a stay",
    "import_file": "keeps its digest only, so that it is not taken in again",
    "invoice": "goes with its party, and in months of a stay",
    "limit_price": "goes with its agreement",
    "meta": "the text of the site names nobody",
    "meter_exchange": "keeps devices and ratios, not what they showed",
    "month_account": "goes with its agreement, and in months of a stay",
    "opening": "says that it is erased, so that nobody looks for it",
    "party": "an empty one takes its place",
    "posting": "sums of accounts over months stay, of everybody together",
    "secret": "is what the salts and pseudonyms come from",
    "tariff_change": "stays, as a rule for everybody, and names nobody",
    "settlement": "says that there was one",
}
"""Tables with a way of their own, and what becomes of them."""
