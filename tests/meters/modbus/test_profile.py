"""Register maps: the shipped one against known words, wrong ones against their message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from meters.modbus.profile import load_profile, parse_profile
from meters.modbus.registers import SIZES, decode, encode

GOOD = """
title = "T"
function = 3
byte_order = "big"
word_order = "little"
block = 10
[register.import_wh]
address = 0
type = "uint32"
scale = 10
[register.export_wh]
address = 2
type = "uint32"
"""


def test_sdm630_words_are_the_values_of_its_manual():
    profile = load_profile("sdm630")
    assert profile.function == 4
    spans = {name: register.span for name, register in profile.register.items()}
    assert spans == {
        "voltage_v": (0x0000, 2),
        "power_w": (0x0034, 2),
        "frequency_hz": (0x0046, 2),
        "import_wh": (0x0048, 2),
        "export_wh": (0x004A, 2),
        "import_varh": (0x004C, 2),
        "export_varh": (0x004E, 2),
    }
    words = {0x00: 0x4366, 0x01: 0x3334, 0x48: 0x4640, 0x49: 0xE6B7}
    assert profile.value("voltage_v", words) == pytest.approx(230.2, abs=1e-4)
    assert profile.energy("import_wh", words) == 12_345_679


@pytest.mark.parametrize(
    ("high", "low"),
    [
        (0x7FC0, 0),
        (0x7FBF, 0xFF80),
        (0xFFFF, 0xFFFF),
        (0x7F80, 0),
        (0xFF80, 0),
        (0xBF80, 0),
        (0x7F00, 0),
    ],
    ids=["quiet", "signalling", "all ones", "inf", "-inf", "negative", "huge"],
)
def test_floats_that_are_no_counter_are_missing(high, low):
    assert load_profile("sdm630").energy("import_wh", {0x48: high, 0x49: low}) is None


def test_word_order_and_scale_are_facts_of_the_profile():
    profile = parse_profile("t", GOOD)
    words = {0: 0x0001, 1: 0x0002, 2: 0xFFFF, 3: 0xFFFF}
    assert profile.energy("import_wh", words) == 0x20001 * 10
    assert profile.energy("export_wh", words) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "T"', 'title = "T"\nbaud = 9600', "unknown key 'baud'"),
        ("scale = 10", "factor = 10", "unknown key 'factor'"),
        ("register.export_wh", "register.exports", "unknown key 'exports'"),
        ("function = 3", "function = 6", "function is 6"),
        ("function = 3", "function = true", "function is True"),
        ("function = 3", "", "'function' is missing"),
        ('"big"', '"little"', "byte_order is 'little'"),
        ('word_order = "little"', "", "'word_order' is missing"),
        ('"little"', '"middle"', "word_order is 'middle'"),
        ("block = 10", "block = 126", "block is 126"),
        ("address = 2", "address = 65535", "address is 65535"),
        ("address = 2", "address = 1", "overlap at register 0x0001"),
        ("address = 2", "address = 2.0", "address is 2.0"),
        ('"uint32"', '"float16"', "type is 'float16'"),
        ("scale = 10", "scale = 0", "scale is 0"),
        ("[register.export_wh]", "[register.import_varh]", "[register.export_wh] is missing"),
        ("block = 10", "block", "t: "),
        ("block = 10", "block = 10\ngap = -1", "gap is -1, must be a whole number 0 to 125"),
        ("scale = 10", "divide = 0", "divide is 0, must be a whole number 1 to 1000000"),
        (
            "address = 2",
            "address = 65535",
            "t [register.export_wh]: address is 65535, must be a whole number 0 to 65534",
        ),
        (
            "[register.import_wh]",
            "[not_implemented]\nint16 = 0x8000\n[register.import_wh]",
            "[not_implemented]: int16 is 32768, must be a whole number -32768 to 32767",
        ),
        (
            "[register.import_wh]",
            "[not_implemented]\nfloat32 = 0\n[register.import_wh]",
            "unknown key 'float32'",
        ),
    ],
)
def test_a_wrong_profile_is_refused_with_what_is_wrong(old, new, message):
    with pytest.raises(BadInputError) as caught:
        parse_profile("t", GOOD.replace(old, new, 1))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("uint16", [0xFFFF]),
        ("int16", [0x8000]),
        ("sunssf", [0x8000]),
        ("uint32", [0xFFFF, 0xFFFF]),
        ("int32", [0x8000, 0]),
        ("uint64", [0xFFFF] * 4),
        ("int64", [0x8000, 0, 0, 0]),
        ("float32", [0x7FC0, 0]),
        ("float64", [0x7FF8, 0, 0, 0]),
    ],
)
def test_each_type_has_its_own_not_implemented(kind, words):
    assert decode(kind, words) is None
    if not kind.startswith("float"):
        assert list(encode(kind, None)) == words


@given(st.sampled_from(sorted(SIZES)), st.data(), st.booleans())
def test_every_register_pattern_is_kept_or_means_not_implemented(kind, content, little):
    words = content.draw(
        st.lists(st.integers(0, 0xFFFF), min_size=SIZES[kind], max_size=SIZES[kind])
    )
    value = decode(kind, words, little_words=little)
    if value is not None:
        assert list(encode(kind, value, little_words=little)) == words


def test_a_value_that_would_read_as_not_implemented_is_not_written():
    with pytest.raises(OverflowError):
        encode("uint16", 0xFFFF)
    with pytest.raises(OverflowError):
        encode("int32", 2**31)


@given(
    raw=st.integers(0, 2**31 - 2),
    scale=st.integers(1, 1000),
    divide=st.integers(1, 1000),
)
def test_integral_registers_are_scaled_exactly_and_rounded_down(raw, scale, divide):
    text = GOOD.replace('word_order = "little"', 'word_order = "big"').replace(
        "scale = 10", f"scale = {scale}\ndivide = {divide}"
    )
    profile = parse_profile("t", text)
    energy = profile.energy("import_wh", {0: raw >> 16, 1: raw & 0xFFFF})
    assert energy * divide <= raw * scale < (energy + 1) * divide


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("kind", sorted(SIZES))
@given(octets=st.binary(min_size=18, max_size=18), is_split=st.booleans())
def test_an_answer_taken_at_once_holds_what_its_registers_hold_one_by_one(
    kind, order, octets, is_split
):
    text = GOOD.replace('"uint32"', f'"{kind}"').replace('"little"', f'"{order}"')
    text += '[register.voltage_v]\naddress = 8\ntype = "int16"\n'
    profile = parse_profile("t", text.replace("address = 2", "address = 4"))
    words = dict(enumerate(octets[at] << 8 | octets[at + 1] for at in range(0, 18, 2)))
    content = {0: octets[:8], 4: octets[8:]} if is_split else {0: octets}
    raws = profile.raws(content)
    assert raws == {quantity: profile.raw(quantity, words) for quantity in profile.register}
    assert (profile.layout.raws(content) is None) == is_split
