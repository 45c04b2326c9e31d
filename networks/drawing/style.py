"""Colours of pictures: grey when all is well, colour for what is near or beyond a limit.

Blue is low and orange is high, which every common kind of colour blindness tells apart; a sign,
a dash or a thickness says the same. Rules are spelt out for each palette, since not every program
that shows SVG knows variables.
"""

from __future__ import annotations

from string import Template

LIGHT = {
    "sheet": "#ffffff", "ink": "#22282d", "soft": "#5b666f", "wire": "#8d99a3",
    "edge": "#7d8a94", "has": "#c3cad0", "slate": "#3b5568", "band": "#f3f5f6",
    "rule": "#dde1e4", "hot": "#000000",
    "nearlow": "#a9d3ee", "nearlowedge": "#00609a", "low": "#0072b2", "lowedge": "#00466e",
    "nearhigh": "#f6c98f", "nearhighedge": "#a05a00", "high": "#d55e00", "highedge": "#7a3600",
    "near": "#d9a441", "over": "#b3261e", "sign": "#ffffff", "flag": "#b36a00",
    "lowink": "#00598c", "highink": "#a84a00",
}  # fmt: skip
DARK = {
    "sheet": "#1b1f23", "ink": "#e6eaed", "soft": "#a5afb7", "wire": "#7b8791",
    "edge": "#97a3ac", "has": "#55616a", "slate": "#a3bac9", "band": "#23282d",
    "rule": "#3a4249", "hot": "#ffffff",
    "nearlow": "#1d4a69", "nearlowedge": "#7cc0ee", "low": "#3aa0e0", "lowedge": "#b9def7",
    "nearhigh": "#6b4714", "nearhighedge": "#f0b35e", "high": "#f07d2b", "highedge": "#ffcda6",
    "near": "#d9a441", "over": "#ff6f61", "sign": "#10151a", "flag": "#f0b35e",
    "lowink": "#7cc0ee", "highink": "#ffab6b",
}  # fmt: skip

_RULES = Template("""
.drawing .sheet { fill:$sheet; }
.drawing text { fill:$ink; paint-order:stroke; stroke:$sheet; stroke-width:3.5px; stroke-linejoin:round; }
.drawing text.soft { fill:$soft; } .drawing text.strong { font-weight:650; }
.drawing text.over { fill:$over; font-weight:650; } .drawing text.low { fill:$lowink; font-weight:650; } .drawing text.high { fill:$highink; font-weight:650; } .drawing text.flag { fill:$flag; font-weight:700; }
.drawing path { fill:none; stroke:$wire; stroke-width:2.5; } .drawing path.reach { stroke:transparent; stroke-width:14; }
.drawing .band { fill:$band; } .drawing .rule { stroke:$rule; stroke-width:1; fill:none; } .drawing .axis { stroke:$wire; stroke-width:1; fill:none; } .drawing .scale { fill:$ink; } .drawing path.scale { fill:none; stroke:$ink; stroke-width:1.5; }
.drawing .near path.wire { stroke:$near; stroke-width:4; } .drawing .over path.wire { stroke:$over; stroke-width:5; }
.drawing .dead path.wire { stroke-width:2; stroke-dasharray:5 4; } .drawing .out path.wire { stroke-width:2; stroke-dasharray:2 4; } .drawing .idle path.wire { stroke-width:2; }
.drawing .branch circle { fill:none; stroke:$slate; stroke-width:2.5; } .drawing .near circle { stroke:$near; } .drawing .over circle { stroke:$over; } .drawing .branch.dead circle, .drawing .branch.out circle { stroke:$wire; stroke-dasharray:4 3; }
.drawing .branch circle.contact { fill:$ink; stroke:none; } .drawing path.blade { stroke:$ink; stroke-width:2; } .drawing path.cross { stroke:$ink; stroke-width:2; } .drawing rect.opened { fill:$sheet; stroke:$ink; stroke-width:2; } .drawing rect.closed { fill:$slate; } .drawing .dead rect.closed { fill:$wire; }
.drawing .source path, .drawing .source rect, .drawing .source circle { fill:none; stroke:$slate; stroke-width:1.5; } .drawing .source rect { fill:$sheet; }
.drawing .bus circle { fill:$sheet; stroke:$edge; stroke-width:2; } .drawing .bus rect { fill:$slate; } .drawing .has circle { fill:$has; }
.drawing .near-low circle { fill:$nearlow; stroke:$nearlowedge; } .drawing .near-high circle { fill:$nearhigh; stroke:$nearhighedge; } .drawing .low circle { fill:$low; stroke:$lowedge; } .drawing .high circle { fill:$high; stroke:$highedge; } .drawing .dead circle { fill:$sheet; stroke:$soft; stroke-dasharray:3 2; }
.drawing .near-low rect { fill:$nearlowedge; } .drawing .near-high rect { fill:$nearhighedge; } .drawing .low rect { fill:$low; } .drawing .high rect { fill:$high; } .drawing .bus.dead rect { fill:$sheet; stroke:$soft; stroke-dasharray:3 2; }
.drawing text.sign { fill:$sign; stroke:none; font-weight:700; } .drawing .dead text.sign { fill:$soft; } .drawing .near-low text.sign { fill:$nearlowedge; } .drawing .near-high text.sign { fill:$nearhighedge; }
.drawing .bus circle.ring { fill:none; stroke:$flag; stroke-width:2; stroke-dasharray:4 3; }
.drawing g.bus:hover circle, .drawing g.branch:hover path.wire { stroke:$hot; stroke-width:4; }
""")

_HEAT = Template("""
.drawing .cell { stroke:none; } .drawing .c0 { fill:$c0; } .drawing .c1 { fill:$c1; } .drawing .c2 { fill:$c2; } .drawing .c3 { fill:$c3; } .drawing .c4 { fill:$c4; } .drawing .c5 { fill:$c5; } .drawing .c6 { fill:$c6; } .drawing .c7 { fill:$c7; }
.drawing .below { fill:$low; } .drawing .above { fill:$high; } .drawing .nodata { fill:$sheet; } .drawing path.stripe { stroke:$soft; stroke-width:1.2; } .drawing path.dots { stroke:$sign; stroke-width:1.1; }
.drawing .amount circle { fill:$has; stroke:$edge; stroke-width:1.5; } .drawing .amount.a0 circle { fill:$high; stroke:$highedge; } .drawing .amount.a1 circle { fill:$nearhigh; stroke:$nearhighedge; } .drawing .amount.none circle { fill:$sheet; stroke-dasharray:2 3; }
""")

_GREYS = ("#eceff1", "#d9dee2", "#c4cbd1", "#aeb7bf", "#98a3ac", "#828e98", "#6c7983", "#566570")
FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"


def _rules(palette: dict[str, str]) -> str:
    shades = {f"c{n}": shade for n, shade in enumerate(_GREYS)}
    return _RULES.substitute(palette) + _HEAT.substitute(palette | shades).lstrip()


STYLE = _rules(LIGHT)
"""Rules for a page that is light."""


def embedded() -> str:
    """Return rules for a file that stands alone: light, or dark where the reader prefers that."""
    return (
        f"\n.drawing {{ {FONT}; }}{STYLE}"
        f"@media (prefers-color-scheme: dark) {{{_rules(DARK)}}}\n"
    )
