"""In how many cycles a meter answered."""

from __future__ import annotations

from pathlib import Path

from grid.store import Store, control, field
from meters.reading import MeterRead, RegisterRow


def test_back_filled_rows_are_no_answers_and_a_silent_meter_has_none(tmp_path: Path) -> None:
    store = Store.at(tmp_path, create=True)
    with store.write() as tx:
        for at_s in range(900, 5400, 900):
            row = RegisterRow(at_s, (at_s, 0, 0, 0))
            reads = [MeterRead("M-1", row, (), None, b"1")]
            if at_s == 4500:
                late = tuple(RegisterRow(s, (s, 0, 0, 0)) for s in range(900, 4500, 900))
                reads.append(MeterRead("M-2", row, late, None, b"2"))
            field.put_reads(tx, reads, cycle_s=at_s)
            control.mark_done(tx, at_s, "read")
        cycles, answered = field.read_share(tx, 900, 4500)
        assert (cycles, answered) == (5, {"M-1": 5, "M-2": 1})
        assert field.read_share(tx, 1800, 2700) == (2, {"M-1": 2})
