"""CGMES: nothing for a parser to expand or fetch reaches it, and a small network comes in whole."""

import io
import math
import zipfile

import pandapower as pp
import pytest

from grid.errors import BadInputError, PeerError
from networks.sources import cgmes, converter
from networks.sources.cgmes import check_xml, unpacked
from networks.sources.converter import convert
from networks.sources.exchange import to_net
from networks.sources.importing import import_network

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:cim="http://iec.ch/TC57/2013/CIM-schema-cim16#" '
    'xmlns:md="http://iec.ch/TC57/61970-552/ModelDescription/1#" '
    'xmlns:entsoe="http://entsoe.eu/CIM/SchemaExtension/3/1#">\n'
)
PROFILES = {
    "EQ": ["EquipmentCore/3/1", "EquipmentOperation/3/1", "EquipmentShortCircuit/3/1"],
    "SSH": ["SteadyStateHypothesis/1/1"],
    "TP": ["Topology/4/1"],
}
CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"


def _model(profile):
    names = "".join(
        f"<md:Model.profile>http://entsoe.eu/CIM/{name}</md:Model.profile>"
        for name in PROFILES[profile]
    )
    return f'<md:FullModel rdf:about="urn:uuid:{profile}">{names}</md:FullModel>\n'


def _thing(kind, mrid, about=False, **properties):
    """Return one CIM object; a value that begins with # refers to another."""
    key = f'rdf:about="#{mrid}"' if about else f'rdf:ID="{mrid}"'
    inner = ""
    for name, value in properties.items():
        name = name.replace("__", ".")
        if isinstance(value, str) and value.startswith(("#", "http:")):
            inner += f'<cim:{name} rdf:resource="{value}"/>'
        else:
            inner += f"<cim:{name}>{value}</cim:{name}>"
    return f"<cim:{kind} {key}>{inner}</cim:{kind}>\n"


def _named(kind, mrid, **properties):
    return _thing(kind, mrid, IdentifiedObject__name=mrid, **properties)


def documents(p_mw=0.1, q_mvar=0.03):
    """Return EQ, SSH and TP of a source, a transformer, a cable and a consumer."""
    ends = {
        "source": ["mv"], "trafo": ["mv", "lv"], "cable": ["lv", "end"], "house": ["end"],
    }  # fmt: skip
    eq = _named("BaseVoltage", "bv20", BaseVoltage__nominalVoltage=20)
    eq += _named("BaseVoltage", "bv04", BaseVoltage__nominalVoltage=0.4)
    eq += _named("GeographicalRegion", "region")
    eq += _named("SubGeographicalRegion", "sub", SubGeographicalRegion__Region="#region")
    eq += _named("Substation", "station", Substation__Region="#sub")
    for level in ("20", "04"):
        eq += _named(
            "VoltageLevel", f"vl{level}", VoltageLevel__Substation="#station",
            VoltageLevel__BaseVoltage=f"#bv{level}",
        )  # fmt: skip
    eq += _named(
        "ExternalNetworkInjection", "source", Equipment__EquipmentContainer="#vl20",
        ExternalNetworkInjection__maxP=100, ExternalNetworkInjection__minP=-100,
        ExternalNetworkInjection__maxQ=100, ExternalNetworkInjection__minQ=-100,
        ExternalNetworkInjection__governorSCD=0,
        ExternalNetworkInjection__maxInitialSymShCCurrent=14434,
        ExternalNetworkInjection__minInitialSymShCCurrent=14434,
        ExternalNetworkInjection__maxR1ToX1Ratio=0.1, ExternalNetworkInjection__minR1ToX1Ratio=0.1,
        ExternalNetworkInjection__maxR0ToX0Ratio=0.1, ExternalNetworkInjection__maxZ0ToZ1Ratio=1,
        RegulatingCondEq__RegulatingControl="#control",
    )  # fmt: skip
    eq += _named(
        "RegulatingControl", "control", RegulatingControl__Terminal="#source-mv",
        RegulatingControl__mode=f"{CIM}RegulatingControlModeKind.voltage",
    )  # fmt: skip
    eq += _named(
        "ACLineSegment", "cable", ConductingEquipment__BaseVoltage="#bv04", Conductor__length=0.2,
        ACLineSegment__r=0.0414, ACLineSegment__x=0.0161, ACLineSegment__bch=5.2e-05,
        ACLineSegment__gch=0, ACLineSegment__r0=0.1656, ACLineSegment__x0=0.0644,
        ACLineSegment__b0ch=5.2e-05, ACLineSegment__g0ch=0,
        ACLineSegment__shortCircuitEndTemperature=160, Equipment__EquipmentContainer="#vl04",
    )  # fmt: skip
    eq += _named("PowerTransformer", "trafo", Equipment__EquipmentContainer="#station")
    for number, (volt, r, x) in enumerate(((20, 23.04, 93.19), (0.4, 0, 0)), start=1):
        eq += _named(
            "PowerTransformerEnd", f"end{number}", TransformerEnd__endNumber=number,
            PowerTransformerEnd__PowerTransformer="#trafo", PowerTransformerEnd__ratedU=volt,
            TransformerEnd__Terminal=f"#trafo-{ends['trafo'][number - 1]}",
            TransformerEnd__BaseVoltage="#bv20" if number == 1 else "#bv04",
            PowerTransformerEnd__ratedS=0.25, PowerTransformerEnd__r=r, PowerTransformerEnd__x=x,
            PowerTransformerEnd__g=0, PowerTransformerEnd__b=0, PowerTransformerEnd__r0=r,
            PowerTransformerEnd__x0=x, PowerTransformerEnd__g0=0, PowerTransformerEnd__b0=0,
            PowerTransformerEnd__phaseAngleClock=0 if number == 1 else 5,
            PowerTransformerEnd__connectionKind=f"{CIM}WindingConnection.{('D', 'Yn')[number - 1]}",
            TransformerEnd__grounded="false" if number == 1 else "true",
        )  # fmt: skip
    eq += _named("EnergyConsumer", "house", Equipment__EquipmentContainer="#vl04")
    eq += _named(
        "OperationalLimitSet", "limits", OperationalLimitSet__Terminal="#cable-lv"
    )  # fmt: skip
    eq += _named(
        "OperationalLimitType", "patl", OperationalLimitType__acceptableDuration=1e9,
        OperationalLimitType__limitType="http://entsoe.eu/CIM/SchemaExtension/3/1#Kind.patl",
    )  # fmt: skip
    eq += _named(
        "CurrentLimit", "limit", CurrentLimit__value=270,
        OperationalLimit__OperationalLimitSet="#limits",
        OperationalLimit__OperationalLimitType="#patl",
    )  # fmt: skip
    tp = "".join(
        _named(
            "TopologicalNode", node,
            TopologicalNode__BaseVoltage="#bv20" if node == "mv" else "#bv04",
            TopologicalNode__ConnectivityNodeContainer="#vl20" if node == "mv" else "#vl04",
        )
        for node in ("mv", "lv", "end")
    )  # fmt: skip
    ssh = _thing(
        "ExternalNetworkInjection", "source", True, ExternalNetworkInjection__p=0,
        ExternalNetworkInjection__q=0, ExternalNetworkInjection__referencePriority=1,
        RegulatingCondEq__controlEnabled="true",
    )  # fmt: skip
    ssh += _thing(
        "RegulatingControl", "control", True, RegulatingControl__discrete="false",
        RegulatingControl__enabled="true", RegulatingControl__targetValue=20.4,
        RegulatingControl__targetValueUnitMultiplier=f"{CIM}UnitMultiplier.k",
    )  # fmt: skip
    ssh += _thing("EnergyConsumer", "house", True, EnergyConsumer__p=p_mw, EnergyConsumer__q=q_mvar)
    for equipment, nodes in ends.items():
        for number, node in enumerate(nodes, start=1):
            terminal = f"{equipment}-{node}"
            eq += _named(
                "Terminal", terminal, Terminal__ConductingEquipment=f"#{equipment}",
                ACDCTerminal__sequenceNumber=number,
            )  # fmt: skip
            tp += _thing("Terminal", terminal, True, Terminal__TopologicalNode=f"#{node}")
            ssh += _thing("Terminal", terminal, True, ACDCTerminal__connected="true")
    bodies = {"EQ": eq, "SSH": ssh, "TP": tp}
    return {
        f"{name}.xml": f"{HEAD}{_model(name)}{body}</rdf:RDF>\n" for name, body in bodies.items()
    }


def folder(path, given):
    path.mkdir()
    for name, text in given.items():
        (path / name).write_text(text)
    return path


def packed(given):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in given.items():
            archive.writestr(name, text)
    return content.getvalue()


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    return import_network(folder(tmp_path_factory.mktemp("cgmes") / "net", documents()))


def test_a_network_of_cgmes_solves_as_its_values_by_hand(imported):
    net = pp.create_empty_network(sn_mva=1.0)
    for kv in (20.0, 0.4, 0.4):
        pp.create_bus(net, kv)
    pp.create_ext_grid(net, 0, vm_pu=1.02)
    # Per cent of the base of 20 kV and 0.25 MVA, 1600 ohm.
    pp.create_transformer_from_parameters(
        net, 0, 1, 0.25, 20.0, 0.4, 100 * 23.04 / 1600, 100 * math.hypot(23.04, 93.19) / 1600, 0, 0
    )
    pp.create_line_from_parameters(
        net, 1, 2, 0.2, 0.0414 / 0.2, 0.0161 / 0.2, 5.2e-05 / 0.2 / (2 * math.pi * 50) * 1e9, 0.27
    )
    pp.create_load(net, 2, 0.1, 0.03)
    again = to_net(imported.tables)
    for one in (net, again):
        pp.runpp(one, tolerance_mva=1e-10, numba=False)
    assert net.res_bus.vm_pu.tolist() == pytest.approx(again.res_bus.vm_pu.tolist(), abs=1e-10)
    assert imported.format == "CGMES"


def test_zero_sequence_ratings_and_short_circuit_power_come_in(imported):
    (line,), (trafo,) = imported.tables["line"], imported.tables["trafo"]
    assert (line["r0_ohm_per_km"], line["max_i_ka"]) == pytest.approx((0.828, 0.27))
    assert line["endtemp_degree"] == 160.0
    assert (trafo["vector_group"], trafo["shift_degree"]) == ("Dyn", 150.0)
    (grid,) = imported.tables["ext_grid"]
    assert grid["s_sc_max_mva"] == pytest.approx(math.sqrt(3) * 20.4 * 14.434, rel=1e-6)


def test_an_archive_and_a_folder_are_one_network(imported, tmp_path):
    path = tmp_path / "net.zip"
    # Names in an archive are never paths of ours.
    path.write_bytes(packed({f"../../../../{name}": text for name, text in documents().items()}))
    assert str(import_network(path).tables) == str(imported.tables)
    assert list(tmp_path.iterdir()) == [path]


LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><r>&c;</r>'
)
OUTSIDE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "document type"),
        (OUTSIDE, "document type"),
        ('<?xml version="1.0"?>' + OUTSIDE, "document type"),
        ("\ufeff" + OUTSIDE, "document type"),
        ('<!DOCTYPE r SYSTEM "http://example.org/x.dtd"><r/>', "document type"),
        ("<!doctype r><r/>", "document type"),
        ("<r><!-- a --><!ENTITY x '1'></r>", "document type"),
        ("<r><![CDATA[<x>]]></r>", "document type"),
        ("<?xml-stylesheet href='http://example.org'?><r/>", "instruction"),
        ("<r><?php system('id') ?></r>", "instruction"),
        ('<?xml version="1.0" encoding="UTF-16"?><r/>', "must be in UTF-8"),
        ('<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE r+AD4-', "must be in UTF-8"),
        ('<?xml version="1.0" encoding="cp037"?><r/>', "must be in UTF-8"),
        ('<?xml version="1.0" encoding="utf-8" evil="x"?><r/>', "instruction"),
        ("plain text", "is no XML"),
    ],
)
def test_what_a_parser_would_expand_or_fetch_never_reaches_it(text, reason):
    with pytest.raises(BadInputError, match=reason):
        check_xml(text.encode(), "EQ.xml")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "cp037", "utf-7"])
def test_another_encoding_does_not_hide_a_document_type(encoding):
    with pytest.raises(BadInputError):
        check_xml(OUTSIDE.encode(encoding), "EQ.xml")


def test_a_comment_and_a_declaration_are_taken():
    text = "<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<!-- a -->\n<r/>"
    assert check_xml(text.encode(), "EQ.xml") == text


def _nested():
    return packed({"inner.zip": packed({"EQ.xml": "<r/>"})})


def _encrypted():
    content = bytearray(packed({"EQ.xml": "<r/>"}))
    # The flag of encryption, in the local header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: b"PK\x03\x04 is no archive", "no archive"),
        (_nested, "archive in an archive"),
        (_encrypted, "encrypted"),
        (lambda: packed({f"{n}.xml": "<r/>" for n in range(41)}), "holds 41 files"),
        (lambda: packed({"EQ.xml": "<r/>"})[:-30], "no archive"),
    ],
)
def test_an_archive_that_is_not_one_of_documents_is_refused(content, reason):
    with pytest.raises(BadInputError, match=reason):
        unpacked(content(), "net.zip")


def test_an_archive_that_grows_is_refused_before_it_has(monkeypatch):
    monkeypatch.setattr(cgmes, "MAX_XML_BYTES", 100_000)
    content = packed({f"{n}.xml": b" " * 60_000 for n in range(3)})
    assert len(content) < 1000
    with pytest.raises(BadInputError, match="unpacks to more than 100000 bytes"):
        unpacked(content, "net.zip")


def test_a_damaged_member_is_refused():
    content = bytearray(packed({"EQ.xml": "<r>" + "ab" * 200 + "</r>"}))
    content[45] ^= 0xFF
    with pytest.raises(BadInputError, match=r"net\.zip"):
        unpacked(bytes(content), "net.zip")


def test_a_member_without_a_name_is_no_document():
    # zipfile of Python 3.11 fails with an IndexError when it is asked whether this is a folder.
    content = bytearray(packed({"x": "<r/>"}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 28] = 0
    content[directory + 32] = 1
    assert unpacked(bytes(content), "net.zip") == {}


def test_a_document_that_pandapower_does_not_understand_is_bad_input(tmp_path):
    path = tmp_path / "net.xml"
    path.write_text("<r><x/></r>")
    with pytest.raises(BadInputError, match="the cgmes converter"):
        import_network(path)


def test_a_folder_without_documents_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"holds no \.xml"):
        import_network(tmp_path)


def test_a_converter_that_gives_no_answer_is_ended():
    with pytest.raises(PeerError, match=r"no answer within 0\.01 s"):
        convert("cgmes", {"EQ.xml": b"<r/>"}, deadline_s=0.01)


def test_without_lxml_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"needs the extra khazri\[cgmes\]"):
        import_network(tmp_path)
