"""What the values of COSEM objects mean: exact energy, rows that keep their places."""

import pytest

from grid.errors import BadInputError
from meters import obis
from meters.dlms import civil_time, cosem, profile_generic
from meters.dlms.errors import DlmsError
from meters.dlms.profile import load_profile, parse_profile
from meters.dlms.xdlms import Attribute
from meters.reading import CHANNELS, MISSING, RegisterRow

CLOCK = Attribute(cosem.CLOCK, obis.CLOCK, 2)
REGISTERS = tuple(Attribute(cosem.REGISTER, code, 2) for code in obis.ENERGY)
COLUMNS = (CLOCK, *REGISTERS)
SCALERS = dict.fromkeys(REGISTERS, 0)
T = 1_718_000_100
TIME = civil_time.encode_date_time(T)


def rows(value: object, columns: tuple[Attribute, ...] = COLUMNS) -> list[RegisterRow]:
    return profile_generic.parse_rows(value, columns, REGISTERS, SCALERS, clock=CLOCK, period_s=900)


def test_null_time_is_the_row_before_plus_the_period() -> None:
    value = [(TIME, 1, 2, 3, 4), (None, 5, 6, 7, 8), (None, 9, 9, 9, 9)]
    assert [row.at_s for row in rows(value)] == [T, T + 900, T + 1800]


def test_null_value_keeps_its_place_and_is_missing() -> None:
    assert rows([(TIME, 1, None, 3, None)]) == [RegisterRow(T, (1, MISSING, 3, MISSING))]


def test_null_time_in_the_first_row_is_refused() -> None:
    with pytest.raises(DlmsError, match="no time"):
        rows([(None, 1, 2, 3, 4)])


def test_columns_are_found_by_name_and_others_passed_over() -> None:
    status = Attribute(1, bytes.fromhex("0000600a01ff"), 2)
    columns = (status, REGISTERS[1], CLOCK, REGISTERS[0])
    assert rows([(7, 20, TIME, 10)], columns) == [RegisterRow(T, (10, 20, MISSING, MISSING))]


def test_register_without_a_known_scaler_is_missing_in_rows() -> None:
    scalers = {REGISTERS[0]: 1}
    found = profile_generic.parse_rows(
        [(TIME, 1, 2, 3, 4)], COLUMNS, REGISTERS, scalers, clock=CLOCK, period_s=900
    )
    assert found == [RegisterRow(T, (10, MISSING, MISSING, MISSING))]


def test_row_with_another_number_of_columns_is_refused() -> None:
    with pytest.raises(DlmsError, match="5 columns"):
        rows([(TIME, 1, 2, 3)])


@pytest.mark.parametrize(
    ("value", "scaler", "energy"),
    [(1234, 0, 1234), (12340, -1, 1234), (2, 3, 2000), (2.5, 1, 25), (2**63 - 1, 0, 2**63 - 1)],
)
def test_energy_is_scaled_exactly(value: float, scaler: int, energy: int) -> None:
    assert cosem.scale_energy(value, scaler) == energy


@pytest.mark.parametrize(
    ("value", "scaler"),
    [
        (12345, -1),
        (0.1, 0),
        (-1, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (2**63, 0),
        (True, 0),
        (b"1", 0),
    ],
)
def test_energy_that_is_no_whole_counter_is_refused(value: object, scaler: int) -> None:
    with pytest.raises(DlmsError):
        cosem.scale_energy(value, scaler)


@pytest.mark.parametrize("value", [(0, 31), (13, 30), (0,), [0, 30], (True, 30), None])
def test_scaler_unit_of_another_unit_or_form_is_refused(value: object) -> None:
    with pytest.raises(DlmsError):
        cosem.parse_scaler(value, cosem.UNIT_WH)


@pytest.mark.parametrize(
    ("value", "scaler", "volts"), [(2314, -1, 231.4), (230, 0, 230.0), (20, 3, 20000.0)]
)
def test_voltage_is_scaled(value: int, scaler: int, volts: float) -> None:
    assert cosem.scale_voltage(value, scaler) == volts


def test_shipped_profile_reads_the_four_registers_in_channel_order() -> None:
    profile = load_profile("cosem")
    assert [register.obis for register in profile.registers] == list(obis.ENERGY)
    assert len(CHANNELS) == 4
    assert dict(profile.client_wport) == {"none": 16, "lls": 1, "hls-gmac": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ('clock = "1.0.0"', "not an OBIS code"),
        ('standard_zone = "Mars/Olympus"', "time zone"),
    ],
)
def test_profile_with_a_wrong_key_is_refused(line: str, message: str) -> None:
    clock = "" if line.startswith("clock") else 'clock = "0-0:1.0.0"\n'
    text = f'protocol = "dlms"\n{clock}load_profile = "1-0:99.1.0"\n{line}\n'
    text += "[client_wport]\nnone = 16\n[register]\n"
    text += "".join(f'{name} = "1-0:{n}.8.0"\n' for n, name in enumerate(CHANNELS, start=1))
    with pytest.raises(BadInputError, match=message):
        parse_profile("test", text)
