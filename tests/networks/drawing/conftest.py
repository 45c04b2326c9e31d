"""Networks to draw, each loaded once, and what a test reads out of a picture."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from grid.site import Network
from networks.drawing.sheet import Spot, label_box
from networks.flow.year import nominal_flow
from networks.sources.source import load

SVG = "{http://www.w3.org/2000/svg}"


def _first_line_out(model):
    """Take out the fourth line, and leave what it fed without voltage."""
    return model.switched(out=[("line", int(model.line.index[3]))])


CASES = {
    "rural1": ("simbench:1-LV-rural1--0-sw", None),
    "rural3": ("simbench:1-LV-rural3--1-sw", None),
    "semiurb4": ("simbench:1-LV-semiurb4--0-sw", None),
    "rings": ("simbench:1-MV-rural--0-sw", None),
    "rings with an outage": ("simbench:1-MV-rural--0-sw", _first_line_out),
    "two transformers": ("pandapower:create_cigre_network_mv", None),
    "three feeders": ("pandapower:create_cigre_network_lv", None),
    "ties out": ("pandapower:case33bw", None),
    "lines out": (
        "pandapower:case33bw",
        lambda m: m.switched(out=[("line", 5), ("line", 24)], back=[("line", 35)]),
    ),
    "loop closed": ("pandapower:case33bw", lambda m: m.switched(back=[("line", 32), ("line", 33)])),
    "two sources": ("pandapower:mv_oberrhein", None),
}


@dataclass(frozen=True)
class Read:
    """A picture as XML."""

    root: ElementTree.Element

    def groups(self, kind):
        """Return the groups that have a class."""
        return [one for one in self.root.iter(f"{SVG}g") if kind in one.get("class", "").split()]

    def of(self, identity):
        """Return the one element with an id."""
        (found,) = [one for one in self.root.iter() if one.get("id") == identity]
        return found

    def label_boxes(self):
        """Return (text, box) of every label, measured as they were placed."""
        (labels,) = self.groups("labels")
        return [
            (
                one.text,
                label_box(
                    one.text,
                    Spot(float(one.get("x")), float(one.get("y")), one.get("text-anchor", "start")),
                    float(one.get("font-size")),
                    one.get("class", ""),
                ),
            )
            for one in labels.iter(f"{SVG}text")
        ]

    def clashes(self):
        """Return pairs of labels that cover each other."""
        boxes = self.label_boxes()
        return [
            (text, other)
            for n, (text, a) in enumerate(boxes)
            for other, b in boxes[n + 1 :]
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        ]


def read(picture):
    return Read(ElementTree.fromstring(picture.svg))


def view_box(picture):
    """Return width and height."""
    return tuple(map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', picture.svg).groups()))


@pytest.fixture(scope="session")
def drawn_case():
    """Return a function (name) -> (model, state, limits) of :data:`CASES`."""
    kept = {}

    def get(name):
        if name not in kept:
            source, change = CASES[name]
            model = load(source) if change is None else change(load(source))
            limits = Network(source, voltage_min_pu=0.95, voltage_max_pu=1.05)
            kept[name] = model, nominal_flow(model), limits
        return kept[name]

    return get
