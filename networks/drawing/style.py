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

_RULES = """
.sheet { fill:$sheet; }
text { fill:$ink; paint-order:stroke; stroke:$sheet; stroke-width:3.5px; stroke-linejoin:round; }
text.soft { fill:$soft; }
text.strong { font-weight:650; }
text.over { fill:$over; font-weight:650; }
text.low { fill:$lowink; font-weight:650; }
text.high { fill:$highink; font-weight:650; }
text.flag { fill:$flag; font-weight:700; }
path { fill:none; stroke:$wire; stroke-width:2.5; }
path.reach { stroke:transparent; stroke-width:14; }
.band { fill:$band; }
.rule { stroke:$rule; stroke-width:1; fill:none; }
.axis { stroke:$wire; stroke-width:1; fill:none; }
.scale { fill:$ink; }
path.scale { fill:none; stroke:$ink; stroke-width:1.5; }
.near path.wire { stroke:$near; stroke-width:4; }
.over path.wire { stroke:$over; stroke-width:5; }
.dead path.wire { stroke-width:2; stroke-dasharray:5 4; }
.out path.wire { stroke-width:2; stroke-dasharray:2 4; }
.idle path.wire { stroke-width:2; }
.branch circle { fill:none; stroke:$slate; stroke-width:2.5; }
.near circle { stroke:$near; }
.over circle { stroke:$over; }
.branch.dead circle, .branch.out circle { stroke:$wire; stroke-dasharray:4 3; }
.branch circle.contact { fill:$ink; stroke:none; }
path.blade { stroke:$ink; stroke-width:2; }
path.leader { stroke:$soft; stroke-width:1; }
path.cross { stroke:$ink; stroke-width:2; }
rect.opened { fill:$sheet; stroke:$ink; stroke-width:2; }
rect.closed { fill:$slate; }
.dead rect.closed { fill:$wire; }
.source path, .source rect, .source circle { fill:none; stroke:$slate; stroke-width:1.5; }
.source rect { fill:$sheet; }
.bus circle { fill:$sheet; stroke:$edge; stroke-width:2; }
.bus rect { fill:$slate; }
.has circle { fill:$has; }
.near-low circle { fill:$nearlow; stroke:$nearlowedge; }
.near-high circle { fill:$nearhigh; stroke:$nearhighedge; }
.low circle { fill:$low; stroke:$lowedge; }
.high circle { fill:$high; stroke:$highedge; }
.dead circle { fill:$sheet; stroke:$soft; stroke-dasharray:3 2; }
.near-low rect { fill:$nearlowedge; }
.near-high rect { fill:$nearhighedge; }
.low rect { fill:$low; }
.high rect { fill:$high; }
.bus.dead rect { fill:$sheet; stroke:$soft; stroke-dasharray:3 2; }
text.sign { fill:$sign; stroke:none; font-weight:700; }
.dead text.sign { fill:$soft; }
.near-low text.sign { fill:$nearlowedge; }
.near-high text.sign { fill:$nearhighedge; }
.bus circle.ring { fill:none; stroke:$flag; stroke-width:2; stroke-dasharray:4 3; }
g.bus:hover circle, g.branch:hover path.wire { stroke:$hot; stroke-width:4; }
path.cell, rect.cell { stroke:none; }
.cell.below { fill:$low; }
.cell.above { fill:$high; }
.cell.nodata { fill:$sheet; }
path.mark { stroke:$sign; stroke-width:1; }
path.month { stroke:$sheet; stroke-width:1; }
circle.worst { fill:none; stroke:$hot; stroke-width:2; }
circle.halo { fill:none; stroke:$sheet; stroke-width:5; }
path.stripe { stroke:$soft; stroke-width:1.2; }
.amount circle { fill:$has; stroke:$edge; stroke-width:1.5; }
.amount.a0 circle { fill:$high; stroke:$highedge; }
.amount.a1 circle { fill:$nearhigh; stroke:$nearhighedge; }
.amount.none circle { fill:$sheet; stroke-dasharray:2 3; }
"""
"""What is true inside ``.drawing``, a rule to a line; ``$name`` is a colour of the palette."""


_GREYS = ("#eceff1", "#d9dee2", "#c4cbd1", "#aeb7bf", "#98a3ac", "#828e98", "#6c7983", "#566570")
FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"


def _rules(palette: dict[str, str]) -> str:
    shades = "".join(f".cell.c{n} {{ fill:{shade}; }}\n" for n, shade in enumerate(_GREYS))
    made = []
    for line in Template(_RULES + shades).substitute(palette).strip().splitlines():
        selectors, _, declared = line.partition(" {")
        inside = ", ".join(f".drawing {one}" for one in selectors.split(", "))
        made.append(f"{inside} {{{declared}\n")
    return "".join(made)


STYLE = _rules(LIGHT)
"""Rules for a page that is light."""


def embedded() -> str:
    """Return rules for a file that stands alone: light, or dark where the reader prefers that."""
    return (
        f"\n.drawing {{ {FONT}; }}{STYLE}@media (prefers-color-scheme: dark) {{\n{_rules(DARK)}}}\n"
    )
