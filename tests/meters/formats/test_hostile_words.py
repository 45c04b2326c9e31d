"""Words in maps and URLs that no person would write are refused like any other wrong word."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.errors import BadInputError
from meters import transport
from meters.formats.column_map import load_map
from meters.modbus.profile import parse_profile

MAP = """
[time]
column = "t"
{time}
[usage_point]
value = "UP"
[import_wh]
column = "in"
unit = "kWh"
[quality]
column = "q"
values = {{ {values} }}
"""


@pytest.mark.parametrize(
    ("time", "values"),
    [
        ('format = "%Y%Y"', 'W = "valid"'),
        ('format = "iso"', "W = [1]"),
        (f"format = {'9' * 5000}", 'W = "valid"'),
    ],
)
def test_column_map_with_a_strange_word_is_refused(tmp_path: Path, time: str, values: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(MAP.format(time=time, values=values))
    with pytest.raises(BadInputError):
        load_map(path)


def test_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(BadInputError, match="baud"):
        transport.parse_url(f"modbus+serial:///dev/ttyS0/3?baud={'9' * 5000}")
    with pytest.raises(BadInputError):
        parse_profile("a", f"title = {'9' * 5000}")
    with pytest.raises(BadInputError):
        parse_profile("a", f"title = {'[' * 5000}")
