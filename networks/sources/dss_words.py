"""The words of OpenDSS that a network may use: commands, classes, properties and options.

A script of OpenDSS can read and write any file, start an editor or a shell and load
a library. What is not listed here is refused by name. ``LEFT_OUT`` is read past:
series, meters, protection and controls, of which a network file holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

IGNORED_COMMANDS = ("clear", "clearall", "solve", "calcvoltagebases", "calcv")
INCLUDES = ("redirect", "compile")
SWITCHES = ("enable", "disable")

OPTIONS = (
    "voltagebases", "defaultbasefrequency", "loadmult", "controlmode", "maxiterations",
    "maxiter", "maxcontroliter", "tolerance",
)  # fmt: skip
IGNORED_OPTIONS = (
    "mode", "number", "stepsize", "hour", "sec", "time", "year", "algorithm", "trapezoidal",
    "normvminpu", "normvmaxpu", "emergvminpu", "emergvmaxpu", "loadmodel", "random",
)  # fmt: skip

_EVERY = "like enabled basefreq"
_RATED = "normamps emergamps faultrate pctperm repair"
_SEQUENCE = "r1 x1 r0 x0 c1 c0 b1 b0 rmatrix xmatrix cmatrix rg xg rho"
_WINDINGS = (
    "phases windings wdg bus conn kv kva tap %r rneut xneut buses conns kvs kvas taps %rs xhl xht "
    "xlt x12 x13 x23 xscarray %loadloss %noloadloss %imag ppm_antifloat thermal n m flrise hsrise "
    "normhkva emerghkva sub subname maxtap mintap numtaps bank xfmrcode xrconst leadlag"
)
_SOURCE = (
    "basekv pu angle frequency phases bus1 bus2 mvasc3 mvasc1 isc3 isc1 x1r1 x0r0 r1 x1 r0 x0 z1 "
    "z0 z2 basemva"
)
_PLANT = (
    "phases bus1 kv kw kvar kva pf conn model vminpu vmaxpu %r %x balanced limitcurrent %cutin "
    "%cutout"
)

_LINE = "bus1 bus2 linecode length phases switch units geometry earthmodel spacing wires"
_LOAD = (
    "phases bus1 kv kw kvar kva pf model conn rneut xneut status class vminpu vmaxpu vminnorm "
    "vminemerg xfkva allocationfactor %mean %stddev cvrwatts cvrvars kwh kwhdays cfactor numcust "
    "zipv %seriesrl relweight vlowpu puxharm xrharm"
)
_STORAGE = (
    "kwrated kwhrated kwhstored %stored %reserve %charge %discharge %effcharge %effdischarge "
    "%idlingkw %idlingkvar state"
)
_REGULATOR = (
    "transformer winding vreg band ptratio ctprim r x bus delay reversible revvreg revband revr "
    "revx tapdelay maxtapchange inversetime tapwinding vlimit ptphase revthreshold revdelay "
    "revneutral remoteptratio tapnum ldc_z rev_z cogen"
)
_CAPACITOR_CONTROL = (
    "element terminal capacitor type ptratio ctratio onsetting offsetting delay voltoverride vmax "
    "vmin delayoff deadtime ctphase ptphase vbus"
)
_GEOMETRY = "nconds nphases cond wire x h units normamps emergamps reduce spacing wires"
_REACTOR = "bus1 bus2 phases kvar kv conn rmatrix xmatrix parallel r x rp z1 z2 z0 z lmh"
_GENERATOR = "status class xd xdp xdpp h d maxkvar minkvar pvfactor forceon kwrated mva"

PROPERTIES: Mapping[str, frozenset[str]] = {
    name: frozenset(f"{words} {_EVERY}".split())
    for name, words in {
        "circuit": _SOURCE,
        "vsource": _SOURCE,
        "linecode": f"nphases units kron neutral {_SEQUENCE} {_RATED}",
        "line": f"{_LINE} {_SEQUENCE} {_RATED}",
        "wiredata": "rdc rac runits gmrac gmrunits radius radunits diam normamps emergamps",
        "linespacing": "nconds nphases x h units",
        "linegeometry": _GEOMETRY,
        "transformer": _WINDINGS,
        "xfmrcode": _WINDINGS,
        "load": _LOAD,
        "capacitor": f"bus1 bus2 phases kvar kv conn numsteps states {_RATED}",
        "reactor": f"{_REACTOR} {_RATED}",
        "generator": f"{_PLANT} {_GENERATOR}",
        "pvsystem": f"{_PLANT} pmpp %pmpp irradiance temperature",
        "storage": f"{_PLANT} {_STORAGE}",
        "regcontrol": _REGULATOR,
        "capcontrol": _CAPACITOR_CONTROL,
    }.items()
}

_SERIES = (
    "yearly daily duty growth spectrum cvrcurve tyearly tdaily tduty effcurve p-tcurve dispmode "
    "dispvalue chargetrigger dischargetrigger timechargetrig seasons ratings linetype core eventlog"
)
_LEFT_OUT = (
    "loadshape tshape priceshape growthshape xycurve spectrum tcc_curve energymeter monitor sensor "
    "fuse recloser relay swtcontrol invcontrol expcontrol storagecontroller fault"
)

SERIES = frozenset(_SERIES.split())
"""Properties that are read past: which series an element follows, and how it is drawn."""

LEFT_OUT = frozenset(_LEFT_OUT.split())
"""Classes that are read past."""
