"""What one entry cannot hold goes to several, cut so that the cut tells nothing."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

from grid.errors import BadInputError
from grid.operation import record
from grid.operation.record import Personal
from grid.store import Store, log
from tests.faults import settled_village
from trading.ledger.entry import COMMITMENTS_PER_ENTRY, Kind, decode


def test_commitments_are_split_after_sorting_so_that_each_list_fits_an_entry(
    tmp_path: Path,
) -> None:
    settled_village.make(tmp_path)
    facts = [Personal("P-1", "reading", f"UP-{n}", {"import_wh": n}) for n in range(1000)]
    with closing(Store.at(tmp_path)) as store, store.write() as tx:
        last = record.append(tx, Kind.READINGS, settled_village.AT_S, 0, {"version": 0}, facts)
        entries = [decode(content) for content in log.entries(tx, last - 2, last + 1)]
        parts = [one.commitments for one in entries]
        assert [len(part) for part in parts] == [400, 400, 200]
        assert [(one.body["part"], one.body["parts"]) for one in entries] == [
            (0, 3), (1, 3), (2, 3),
        ]  # fmt: skip
        joined = [*chain(*parts)]
        assert joined == sorted(set(joined))
        assert max(len(one.encode()) for one in entries) < 30_000
        assert COMMITMENTS_PER_ENTRY == 400
        for one in entries:
            opened = log.openings(tx, sequence=one.sequence)
            assert [row["digest"] for row in opened] == [*one.commitments]
        with pytest.raises(BadInputError, match="a label was used twice"):
            record.append(tx, Kind.READINGS, 0, 0, {}, [facts[0], facts[0]])
