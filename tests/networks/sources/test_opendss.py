"""OpenDSS circuits: what a script may say, and that the network solves as OpenDSS does."""

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from networks.sources import converter
from networks.sources.converter import convert
from networks.sources.dss_text import read_script
from networks.sources.exchange import to_net
from networks.sources.importing import import_network

HEAD = """
Clear
Set DefaultBaseFrequency=50
New Circuit.feeder basekv=11 pu=1.02 phases=3 bus1=head mvasc3=1e6 mvasc1=1e6
"""
FEEDER = (
    HEAD
    + """
! a village
New Transformer.t1 phases=3 windings=2 buses=[head lvbus] conns=[delta wye] kvs=[11 0.4]
~ kvas=[400 400] xhl=4 %rs=(.5 .5)
Redirect codes/cable.dss
New Line.l1 bus1=lvbus bus2=n1 linecode=cable length=120 units=m // to the square
More normamps=200
New Line.l2 bus1=n1 bus2=n2 linecode=cable length=(400 2 /) units=m
/* a comment
Shell rm -rf /
*/
New Loadshape.day npts=24 interval=1 mult=(file=day.csv)
New Load.c bus1=n2 phases=3 kv=0.4 kw=20 kvar=5 vminpu=0.8 vmaxpu=1.2 daily=day
Load.c.kW=21
"""
)
UNBALANCED = """
New Load.a bus1=n1.1 phases=1 kv=0.23094 kw=8 pf=0.95 vminpu=0.8 vmaxpu=1.2
New Load.b bus1=n2.2 phases=1 kv=0.23094 kw=12 pf=0.95 vminpu=0.8 vmaxpu=1.2
New Load.d bus1=n2.3.1 phases=1 kv=0.4 kw=5 pf=1 conn=delta vminpu=0.8 vmaxpu=1.2
New PVSystem.pv bus1=n1.3 phases=1 kv=0.23094 kva=6 pmpp=5 irradiance=1 pf=1
"""
TAIL = """
Set VoltageBases=[11 0.4]
CalcVoltageBases
Buscoords places.csv
Set mode=daily number=24
Solve
"""


def write(folder, middle="", head=FEEDER):
    (folder / "codes").mkdir(exist_ok=True)
    (folder / "codes" / "cable.dss").write_text(
        "New Linecode.cable nphases=3 r1=0.32 x1=0.073 r0=1.28 x0=0.29 c1=300 c0=200 units=km\n"
    )
    (folder / "places.csv").write_text("! bus, x, y\nhead, 0, 0\nN1 120 5\n")
    path = folder / "master.dss"
    path.write_text(head + middle + TAIL)
    return path


def test_a_balanced_feeder_solves_as_opendss_does(tmp_path):
    path = write(tmp_path)
    tables = import_network(path).tables
    net = to_net(tables)
    pp.runpp(net, numba=False)
    solved = convert("opendss", {"m.dss": read_script(path).text.encode()})["solved"]
    for name, vm_pu in zip(net.bus.name, net.res_bus.vm_pu, strict=True):
        assert vm_pu == pytest.approx(solved["vm_pu"][name], abs=2e-5)
    assert float(net.res_bus.vm_pu.min()) < 1.006
    lines = {row["name"]: row for row in tables["line"]}
    assert lines["l1"]["max_i_ka"] == pytest.approx(0.2)
    assert lines["l2"]["length_km"] == pytest.approx(0.2)
    assert lines["l2"]["r0_ohm_per_km"] == pytest.approx(1.28)
    assert lines["l2"]["c0_nf_per_km"] == pytest.approx(200)
    assert tables["load"][0]["p_mw"] == pytest.approx(0.021)
    places = {row["name"]: (row["x"], row["y"]) for row in tables["bus"] if row["x"] == row["x"]}
    assert places == {"head": (0.0, 0.0), "n1": (120.0, 5.0)}


def test_an_unbalanced_feeder_solves_as_opendss_does_in_each_phase(tmp_path):
    path = write(tmp_path, UNBALANCED)
    imported = import_network(path)
    net = to_net(imported.tables)
    pp.runpp_3ph(net, numba=False)
    solved = convert("opendss", {"m.dss": read_script(path).text.encode()})["solved"]["phases"]
    ours = net.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()
    theirs = np.array([solved[name] for name in net.bus.name])
    assert np.abs(ours - theirs).max() < 1e-4
    assert float(np.ptp(theirs[-1])) > 0.01
    kinds = {row["name"]: row["type"] for row in imported.tables["asymmetric_load"]}
    assert kinds == {"a": "wye", "b": "wye", "d": "delta"}
    assert imported.tables["asymmetric_sgen"][0]["p_c_mw"] == pytest.approx(5e-3, rel=1e-4)


def test_what_is_left_out_or_approximated_is_said(tmp_path):
    found = import_network(write(tmp_path, "New EnergyMeter.m element=line.l1\n")).findings
    left = {f.subject for f in found if f.code == "network.import.left_out"}
    assert left == {"loadshape", "load.daily", "energymeter"}
    weak = HEAD.replace("mvasc3=1e6 mvasc1=1e6", "mvasc3=2 mvasc1=2")
    path = write(tmp_path, "batchedit load..* vmaxpu=1.01\n", FEEDER.replace(HEAD, weak))
    path.write_text(path.read_text().replace("vmaxpu=1.2", "vmaxpu=0.9"))
    notes = [f.message for f in import_network(path).findings if f.code.endswith("approximated")]
    assert any("at the source's bus head behind its impedance" in note for note in notes)
    path.write_text(path.read_text().replace("vmaxpu=1.01", "vmaxpu=0.9"))
    notes = [f.message for f in import_network(path).findings if f.code.endswith("approximated")]
    assert any("1 loads are beyond their vminpu to vmaxpu" in note for note in notes)
    lateral = "New Line.l3 bus1=n2.1 bus2=n3.1 phases=1 linecode=cable length=1 units=m\n"
    # A code of three phases on a line of one is OpenDSS's to refuse; a line of its own is not.
    lateral = lateral.replace("linecode=cable", "r1=0.3 x1=0.1 r0=0.3 x0=0.1")
    found = import_network(write(tmp_path, lateral)).findings
    assert any("one or two phases" in f.message for f in found)


@pytest.mark.parametrize(
    "line",
    [
        "Shell rm -rf /",
        "Export voltages /tmp/v.csv",
        "Export voltages",
        "Show powers",
        "Plot circuit",
        "Save circuit dir=x",
        "Dump alloc",
        "FileEdit x",
        "Set DataPath=/tmp",
        "Set datapath=.",
        "Set Editor=/bin/sh",
        "set casename=x",
        "Cd /",
        "Redirect /etc/passwd",
        "Redirect ../outside.dss",
        "Redirect codes/../../outside.dss",
        "Redirect ..\\outside.dss",
        "Redirect C:\\outside.dss",
        "Redirect \\\\host\\share.dss",
        "Redirect http://example.org/x.dss",
        "Redirect file:///etc/passwd",
        "Compile (/etc/hosts)",
        "Redirect link.dss",
        "Redirect missing.dss",
        "Redirect codes",
        "Redirect",
        "Redirect codes/cable.dss codes/cable.dss",
        "Buscoords /etc/passwd",
        "Buscoords ../outside.dss",
        "Buscoords master.dss",
        "var @a=1",
        "! comment\nlatlongcoords places.csv",
        "New Loadshape.x mult=(file=/etc/passwd)",
        "New Loadshape.x csvfile=../x.csv",
        "New Loadshape.x csvfile=C:\\x.csv",
        "New Monitor.m element=line.l1 mode=0 file=\\\\host\\x",
        "Solve mode=snap /etc/passwd",
        "New Generator.g bus1=n1 kw=1 usermodel=evil.dll",
        "New Generator.g bus1=n1 kw=1 shaftmodel=(evil.so)",
        "New Storage.s bus1=n1 dynadll=x",
        "New CapControl.c usermodel=x",
        "New VCCS.v bus1=n1",
        "New DynamicExp.e expression=[x=1]",
        "New Line.x bus1=n1 bus2=n2 rmatrix=(file=m.csv)",
        "New Line.x bus1=n1 bus2=n2 rmatrix=[file=m.csv]",
        "New Line.x bus1=n1 bus2=n2 rmatrix=(dblfile m.dbl)",
        "New Line.x bus1=@evil",
        "New Line.x bus1=n1;quit",
        "New Line.x bus1=",
        "New Line.x bus1=[n1",
        "New Line.x = y",
        "New Line. bus1=n1",
        "New Circuit.second basekv=11",
        "New Vsource.second bus1=n2",
        "New Python.x",
        "More r1=1\nNew",
        "Edit Line.l1 geometry='/x'",
        "Transformer.t1=5",
        "New Generator.g n1 userm=evil.dll",
        "New Generator.g " + "1 " * 30,
        "New Line.x q=1",
        "batchedit load.a* kw=1",
        "batchedit load.(.*)+$ kw=1",
        "batchedit python..* x=1",
        "batchedit load..* usermodel=x",
        "batchedit loadshape..* csvfile=/etc/passwd",
        "Line.l1.wires=[../x]",
        "enable line.l1 line.l2",
    ],
)
def test_a_command_that_reads_writes_or_runs_is_refused_with_its_line(tmp_path, line):
    inside = tmp_path / "network"
    inside.mkdir()
    (tmp_path / "outside.dss").write_text("New Load.x bus1=n1 kw=1\n")
    (inside / "link.dss").symlink_to(tmp_path / "outside.dss")
    path = write(inside, line + "\n")
    with pytest.raises(BadInputError, match=r"(master|cable)\.dss line \d+: "):
        read_script(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 circuits"),
        ("New Load.x bus1=a\n" + HEAD, "no circuit yet"),
        (HEAD, "sets no VoltageBases"),
        ("Redirect master.dss\n", "more than 10 deep"),
        (HEAD + "New Load.x bus1=a\x00b\n", "control character"),
        (HEAD + "New Load.x bus1=a\x0bb\n", "control character"),
    ],
)
def test_a_script_that_is_no_circuit_is_refused(tmp_path, text, reason):
    path = tmp_path / "master.dss"
    path.write_text(text)
    with pytest.raises(BadInputError, match=reason):
        read_script(path)


def test_files_that_include_each_other_many_times_end_by_their_size(tmp_path):
    (tmp_path / "big.dss").write_bytes(b"!" + b" " * 1_000_000 + b"\n")
    path = tmp_path / "master.dss"
    path.write_text("Redirect big.dss\n" * 20)
    with pytest.raises(BadInputError, match="the files together are larger"):
        read_script(path)


def test_what_opendss_runs_is_of_our_own_writing(tmp_path):
    text = read_script(write(tmp_path)).text
    assert "loadshape" not in text.lower()
    assert "daily" not in text.lower()
    assert "rm -rf" not in text
    assert "!" not in text
    verbs = {line.split(" ")[0] for line in text.splitlines()}
    assert verbs == {"Clear", "set", "new", "edit", "CalcVoltageBases"}


def test_short_names_values_without_names_and_edits_of_a_class_are_written_out(tmp_path):
    middle = """
New Load.p 3 n1 0.4 kW=2 0.9 mod=1 vmi=0.8
New Object=Load.q bus=n2 ph=3 kv=0.4 kw=1 yearly=s
BatchEdit Load..* vmaxpu=1.3
Edit Transformer.t1 wdg=2 tap=1.01
"""
    lines = read_script(write(tmp_path, middle)).text.splitlines()
    assert "new load.p phases=3 bus1=n1 kv=0.4 kw=2 pf=0.9 model=1 vminpu=0.8" in lines
    assert "new load.q bus1=n2 phases=3 kv=0.4 kw=1" in lines
    edits = [line for line in lines if line.endswith("vmaxpu=1.3")]
    assert edits == [f"edit load.{name} vmaxpu=1.3" for name in ("c", "p", "q")]


def test_the_order_of_properties_is_that_of_opendss():
    import opendssdirect as dss

    from networks.sources.dss_words import PROPERTIES

    dss.Text.Command("Clear")
    dss.Text.Command("New Circuit.x")
    # What these classes need before they can be.
    dss.Text.Command("New Transformer.q buses=[sourcebus b]")
    dss.Text.Command("New Capacitor.q bus1=b")
    dss.Text.Command("New Line.q bus1=sourcebus bus2=b")
    needs = {"regcontrol": "transformer=q winding=2", "capcontrol": "capacitor=q element=line.q"}
    for kind, ours in PROPERTIES.items():
        name = "source" if kind in ("circuit", "vsource") else "q"
        real = "vsource" if kind == "circuit" else kind
        if name == "q" and kind not in ("transformer", "capacitor", "line"):
            dss.Text.Command(f"New {kind}.q {needs.get(kind, '')}")
        dss.Text.Command(f"Select {real}.{name}")
        theirs = [word.lower() for word in dss.Element.AllPropertyNames()]
        # A prefix is enough: what follows has no place by position here.
        tail = [word for word in theirs if word in ours]
        assert tail == list(ours), kind
        leading = theirs.index(ours[min(len(ours), 12) - 1]) + 1
        assert theirs[:leading] == list(ours[:leading]), kind
    dss.Text.Command("Clear")


def test_a_circuit_that_opendss_refuses_is_bad_input(tmp_path):
    path = write(tmp_path, "New Load.x bus1=n1 phases=3 kv=0.4 kw=1 like=nobody\n")
    with pytest.raises(BadInputError, match="the opendss converter"):
        import_network(path)


def test_without_opendss_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"needs the extra khazri\[opendss\]"):
        import_network(write(tmp_path))
