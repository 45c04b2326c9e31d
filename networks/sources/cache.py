"""Compiled arrays on disk: plain npz, never pickle, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

FORMAT = 3
_FACTS = "facts.json"
_PACKAGES = ("khazri", "pandapower", "simbench", "numpy")


def cache_dir() -> Path:
    """Return the cache folder: ``KHAZRI_CACHE``, or the user's cache of ``khazri``."""
    named = os.environ.get("KHAZRI_CACHE")
    if named:
        return Path(named)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("khazri"))


def cache_path(kind: str, *parts: str) -> Path:
    """Return the file that keeps what `parts` determine under the installed versions."""
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package}={version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package}=none")
    text = "\x1f".join((str(FORMAT), kind, *parts, *versions))
    return cache_dir() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def write(path: Path, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write arrays and JSON facts to `path` at once; a folder that cannot be written is left."""
    encoded = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), dtype=np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.stem, suffix=".part", delete=False
        ) as part:
            np.savez(part, allow_pickle=False, **{_FACTS: encoded}, **arrays)
        os.replace(part.name, path)
    except OSError:
        # A cache is a convenience: without a writable folder everything is compiled again.
        return


def read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
    """Return (arrays, facts), or None when the file is missing or not whole."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != _FACTS}
            facts = json.loads(stored[_FACTS].tobytes())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return (arrays, facts) if isinstance(facts, dict) else None
