"""The words of OpenDSS that a network may use: commands, options, classes and properties.

A script of OpenDSS can read and write any file, start an editor or a shell and load
a library. What is not listed here is refused by name. ``LEFT_OUT`` and ``SERIES`` are
read past: series, meters, protection and controls, of which a network file holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

IGNORED_COMMANDS = ("clear", "clearall", "solve", "calcvoltagebases", "calcv", "makebuslist")
INCLUDES = ("redirect", "compile")
SWITCHES = ("enable", "disable")

OPTIONS = (
    "voltagebases", "defaultbasefrequency", "loadmult", "controlmode", "maxiterations",
    "maxiter", "maxcontroliter", "tolerance", "earthmodel",
)  # fmt: skip
IGNORED_OPTIONS = (
    "mode", "number", "stepsize", "hour", "sec", "time", "year", "algorithm", "trapezoidal",
    "normvminpu", "normvmaxpu", "emergvminpu", "emergvmaxpu", "loadmodel", "random",
)  # fmt: skip

_RATED = "normamps emergamps faultrate pctperm repair basefreq enabled like"
_EVERY = "spectrum basefreq enabled like"
_SOURCE = (
    "bus1 basekv pu angle frequency phases mvasc3 mvasc1 x1r1 x0r0 isc3 isc1 r1 x1 r0 x0 scantype "
    "sequence bus2 z1 z0 z2 puz1 puz0 puz2 basemva yearly daily duty model puzideal"
)
_WINDING = "phases windings wdg bus conn kv kva tap %r rneut xneut buses conns kvs kvas taps"
_REACTANCE = "xhl xht xlt xscarray thermal n m flrise hsrise %loadloss %noloadloss normhkva"

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "vsource": f"{_SOURCE} {_EVERY}",
        "circuit": f"{_SOURCE} {_EVERY}",
        "linecode": (
            "nphases r1 x1 r0 x0 c1 c0 units rmatrix xmatrix cmatrix basefreq normamps emergamps "
            "faultrate pctperm repair kron rg xg rho neutral b1 b0 seasons ratings linetype like"
        ),
        "line": (
            "bus1 bus2 linecode length phases r1 x1 r0 x0 c1 c0 rmatrix xmatrix cmatrix switch rg "
            "xg rho geometry units spacing wires earthmodel cncables tscables b1 b0 seasons "
            f"ratings linetype {_RATED}"
        ),
        "wiredata": (
            "rdc rac runits gmrac gmrunits radius radunits normamps emergamps diam seasons ratings "
            "capradius like"
        ),
        "linespacing": "nconds nphases x h units like",
        "linegeometry": (
            "nconds nphases cond wire x h units normamps emergamps reduce spacing wires cncable "
            "tscable cncables tscables seasons ratings linetype like"
        ),
        "transformer": (
            f"{_WINDING} {_REACTANCE} emerghkva sub maxtap mintap numtaps subname %imag "
            "ppm_antifloat %rs bank xfmrcode xrconst x12 x13 x23 leadlag wdgcurrents core rdcohms "
            f"seasons ratings {_RATED}"
        ),
        "xfmrcode": (
            f"{_WINDING.replace(' bus ', ' ').replace(' buses ', ' ')} {_REACTANCE} emerghkva "
            "maxtap mintap numtaps %imag ppm_antifloat %rs x12 x13 x23 rdcohms seasons ratings like"
        ),
        "load": (
            "phases bus1 kv kw pf model yearly daily duty growth conn kvar rneut xneut status "
            "class vminpu vmaxpu vminnorm vminemerg xfkva allocationfactor kva %mean %stddev "
            "cvrwatts cvrvars kwh kwhdays cfactor cvrcurve numcust zipv %seriesrl relweight vlowpu "
            f"puxharm xrharm {_EVERY}"
        ),
        "capacitor": (
            f"bus1 bus2 phases kvar kv conn cmatrix cuf r xl harm numsteps states {_RATED}"
        ),
        "reactor": (
            "bus1 bus2 phases kvar kv conn rmatrix xmatrix parallel r x rp z1 z2 z0 z rcurve "
            f"lcurve lmh {_RATED}"
        ),
        "generator": (
            "phases bus1 kv kw pf kvar model vminpu vmaxpu yearly daily duty dispmode dispvalue "
            "conn status class vpu maxkvar minkvar pvfactor forceon kva mva xd xdp xdpp h d "
            "usermodel userdata shaftmodel shaftdata dutystart debugtrace balanced xrdp usefuel "
            f"fuelkwh %fuel %reserve refuel dynamiceq dynout {_EVERY}"
        ),
        "pvsystem": (
            "phases bus1 kv irradiance pmpp %pmpp temperature pf conn kvar kva %cutin %cutout "
            "effcurve p-tcurve %r %x model vminpu vmaxpu balanced limitcurrent yearly daily duty "
            "tyearly tdaily tduty class usermodel userdata debugtrace varfollowinverter dutystart "
            f"wattpriority pfpriority %pminnovars %pminkvarmax kvarmax kvarmaxabs {_EVERY}"
        ),
        "storage": (
            "phases bus1 kv conn kw kvar pf kva %cutin %cutout effcurve varfollowinverter kvarmax "
            "kvarmaxabs wattpriority pfpriority %pminnovars %pminkvarmax kwrated %kwrated kwhrated "
            "kwhstored %stored %reserve state %discharge %charge %effcharge %effdischarge "
            "%idlingkw %idlingkvar %r %x model vminpu vmaxpu balanced limitcurrent yearly daily "
            "duty dispmode dischargetrigger chargetrigger timechargetrig class dynadll dynadata "
            f"usermodel userdata debugtrace {_EVERY}"
        ),
        "regcontrol": (
            "transformer winding vreg band ptratio ctprim r x bus delay reversible revvreg revband "
            "revr revx tapdelay debugtrace maxtapchange inversetime tapwinding vlimit ptphase "
            "revthreshold revdelay revneutral eventlog remoteptratio tapnum reset ldc_z rev_z "
            "cogen basefreq enabled like"
        ),
        "capcontrol": (
            "element terminal capacitor type ptratio ctratio onsetting offsetting delay "
            "voltoverride vmax vmin delayoff deadtime ctphase ptphase vbus eventlog usermodel "
            "userdata pctminkvar reset basefreq enabled like"
        ),
    }.items()
}
"""The properties of each class in OpenDSS's order, by which a value without a name is placed."""

_REFUSED = (
    "usermodel userdata shaftmodel shaftdata dynadll dynadata dynamiceq dynout debugtrace "
    "wdgcurrents"
)
_SERIES = (
    "yearly daily duty growth spectrum cvrcurve tyearly tdaily tduty effcurve p-tcurve rcurve "
    "lcurve dispmode dispvalue dischargetrigger chargetrigger timechargetrig seasons ratings "
    "linetype core eventlog dutystart"
)
_LEFT_OUT = (
    "loadshape tshape priceshape growthshape xycurve spectrum tcc_curve energymeter monitor sensor "
    "fuse recloser relay swtcontrol invcontrol expcontrol storagecontroller fault"
)

REFUSED = frozenset(_REFUSED.split())
"""Properties that name a library or write a file."""

SERIES = frozenset(_SERIES.split())
"""Properties that are read past: which series an element follows, and how it is drawn."""

LEFT_OUT = frozenset(_LEFT_OUT.split())
"""Classes that are read past."""


def full_name(kind: str, name: str) -> str:
    """Return the property that `name` is short for, empty for none; the first one counts."""
    known = PROPERTIES[kind]
    if name in known:
        return name
    return next((word for word in known if word.startswith(name)), "")
