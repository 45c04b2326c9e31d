"""Options that several commands share, and how they answer machines."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def directory(parser: argparse.ArgumentParser, *, default: str = ".") -> None:
    """Add ``--dir``, the folder of the site's state."""
    parser.add_argument("--dir", type=Path, default=Path(default), help="folder of the site")


def as_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")


def answer(options: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    """Print `facts` as the last line for machines, or `text` for people."""
    print(json.dumps(facts, sort_keys=False) if options.json else text)
