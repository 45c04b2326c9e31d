"""Trading computes in integers: its source has no way to a float."""

import ast
from pathlib import Path

import pytest

import trading

ROOT = Path(trading.__file__).parent
FOLDERS = (ROOT, ROOT / "mechanisms", ROOT / "tariffs", ROOT / "replay")
FILES = sorted(path for folder in FOLDERS for path in folder.glob("*.py"))
NAMES = {"float", "float16", "float32", "float64", "true_divide", "divide", "mean", "average"}


# Who reads an export joins paths with the same sign; they do no arithmetic on money.
JOINS_PATHS = {"verify.py", "log.py"}


def floats(source: str, *, joins_paths: bool = False) -> list[int]:
    """Return the lines of `source` that could make a float."""
    found = []
    for node in ast.walk(ast.parse(source)):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        division = divides and not joins_paths
        name = isinstance(node, ast.Name) and node.id in NAMES
        attribute = isinstance(node, ast.Attribute) and node.attr in NAMES
        if literal or division or name or attribute:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_source_has_no_float_literal_true_division_or_float_call(path):
    assert floats(path.read_text("utf-8"), joins_paths=path.name in JOINS_PATHS) == []


@pytest.mark.parametrize("source", ["x = 0.1", "x = a / b", "x /= 2", "float(x)", "np.float64(x)"])
def test_the_walker_sees_each_way_to_a_float(source):
    assert floats(source) == [1]
